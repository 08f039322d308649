// Bulk TCP between two namespaces; what arrives is checked.
#pragma once

#include <poll.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "agent/base/time.h"
#include "tests/integration/support/netns_fixture.h"

namespace zq::test {

struct BulkResult {
  double mbit_per_s = 0;  // of payload, after the warm-up
  std::uint64_t bytes = 0;
  bool intact = true;
};

class BulkTransfer {
 public:
  BulkTransfer(const TestNetns& from, const TestNetns& to, const std::string& address)
      : target_(address, kPort) {
    listener_ = to.run([&] {
      UniqueFd fd(::socket(target_.get()->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const int on = 1;
      (void)::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
      if (::bind(fd.get(), target_.get(), target_.size) != 0 || ::listen(fd.get(), 1) != 0) {
        throw std::runtime_error(std::string("listen: ") + std::strerror(errno));
      }
      return fd;
    });
    sender_ = from.run([&] {
      return UniqueFd(::socket(target_.get()->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    });
  }

  // Sends for `warm_up`, uncounted, and then for `length`.
  [[nodiscard]] BulkResult run(Nanos warm_up, Nanos length) const {
    std::atomic<bool> stop{false};
    std::thread sender([&] { send_until(stop); });
    const UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    BulkResult result;
    const MonoTime begin = mono_now() + warm_up;
    const MonoTime end = begin + length;
    receive_until(connection.get(), begin, result);
    const std::uint64_t before = result.bytes;
    const MonoTime measured_from = mono_now();
    receive_until(connection.get(), end, result);
    const double seconds = to_seconds(mono_now() - measured_from);
    result.mbit_per_s = static_cast<double>(result.bytes - before) * 8 / seconds / 1e6;
    stop = true;
    receive_until(connection.get(), end + std::chrono::seconds(30), result);  // until it closes
    sender.join();
    return result;
  }

 private:
  static constexpr std::uint16_t kPort = 7200;
  static constexpr std::size_t kBlock = 256 * 1024;
  // A pattern whose period is no power of two, so that a segment out of place shows.
  static constexpr std::size_t kPeriod = 251;

  void send_until(const std::atomic<bool>& stop) const {
    std::vector<std::uint8_t> pattern(kBlock + kPeriod);
    for (std::size_t i = 0; i < pattern.size(); ++i) {
      pattern[i] = static_cast<std::uint8_t>(i % kPeriod);
    }
    if (::connect(sender_.get(), target_.get(), target_.size) != 0) return;
    for (std::uint64_t at = 0; !stop;) {
      const ssize_t sent =
          ::send(sender_.get(), pattern.data() + at % kPeriod, kBlock, MSG_NOSIGNAL);
      if (sent < 0) return;
      at += static_cast<std::uint64_t>(sent);
    }
    (void)::shutdown(sender_.get(), SHUT_WR);
  }
  static void receive_until(int fd, MonoTime end, BulkResult& result) {
    std::vector<std::uint8_t> buffer(kBlock);
    while (mono_now() < end) {
      pollfd descriptor{fd, POLLIN, 0};
      if (::poll(&descriptor, 1, 10) <= 0) continue;
      const ssize_t size = ::recv(fd, buffer.data(), buffer.size(), 0);
      if (size <= 0) return;
      // The ends of a block tell whether anything is missing, doubled or moved before them.
      const auto last = static_cast<std::size_t>(size) - 1;
      for (const std::size_t place : {std::size_t{0}, last / 2, last}) {
        if (buffer[place] != (result.bytes + place) % kPeriod) result.intact = false;
      }
      result.bytes += static_cast<std::uint64_t>(size);
    }
  }

  SocketAddress target_;
  UniqueFd listener_, sender_;
};

}  // namespace zq::test
