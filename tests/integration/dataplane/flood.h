// A steady stream of sequence-numbered datagrams, with the time at which each was sent.
#pragma once

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "tests/integration/dataplane/two_nodes.h"

namespace zq::test {

class Flood {
 public:
  // Sends from `source` until stopped, about `per_second` datagrams a second in bursts of 1 ms.
  Flood(const UdpSocket& source, const std::string& address, std::uint16_t port, int per_second)
      : thread_([this, &source, target = SocketAddress(address, port), per_second] {
          const int burst = std::max(1, per_second / 1000);
          const Nanos pause = Nanos(1s) * burst / per_second;
          for (MonoTime next = mono_now(); !stop_; next += pause) {
            for (int i = 0; i < burst; ++i) {
              const std::uint64_t number = sent_++;
              if (source.send(target, &number, sizeof number) != 0) ++errors_;
            }
            std::this_thread::sleep_until(next);
          }
        }) {}
  Flood(const Flood&) = delete;
  Flood& operator=(const Flood&) = delete;
  ~Flood() { stop(); }

  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] std::uint64_t sent() const { return sent_; }
  [[nodiscard]] std::uint64_t errors() const { return errors_; }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> sent_{0};
  std::atomic<std::uint64_t> errors_{0};
  std::thread thread_;
};

}  // namespace zq::test
