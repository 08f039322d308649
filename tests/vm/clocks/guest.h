// A node that is a virtual machine behind a TAP device of a namespace: an agent, a clock of its
// own, and a way to read that clock from outside.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "agent/base/time.h"
#include "tests/e2e/zonequake.h"
#include "tests/integration/support/netns_fixture.h"

namespace zq::test {

inline constexpr std::uint16_t kAgentPort = 4270;
inline constexpr std::uint16_t kClockPort = 4271;

// Makes the TAP device "up0" in `netns`, gives the guest `address` on it, and starts an agent in
// the guest, whose clock runs fast by `drift_ppm`. The agent serves the guest's loopback only;
// `relay` is a unix socket here that leads to it over the link.
class Guest {
 public:
  Guest(const TestNetns& netns, const std::string& address, const std::string& node, int drift_ppm,
        std::string relay);
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;
  ~Guest();

  // Waits until the agent can be reached; false when `within` is over or the guest has ended.
  bool wait_until_up(std::chrono::seconds within);
  [[nodiscard]] std::string output() const { return machine_->output(); }

 private:
  std::unique_ptr<e2e::Running> machine_;
  std::unique_ptr<e2e::Running> forwarder_;
  std::string relay_;
};

// Exchanges times with a clock server all the while, a hundred times a second.
class ClockWatch {
 public:
  ClockWatch(const TestNetns& netns, const std::string& own, const std::string& address);
  ClockWatch(const ClockWatch&) = delete;
  ClockWatch& operator=(const ClockWatch&) = delete;
  ~ClockWatch() { stop(); }

  void stop();

  // The other clock minus ours, within bounds that hold whatever the network did: every exchange
  // near the instant bounds it, widened by the drift until then.
  struct Bounds {
    Nanos low{}, high{};
  };
  // Of the exchanges within 2 s of the instant, for clocks that drift by at most `max_ppm`.
  [[nodiscard]] std::optional<Bounds> offset_at(MonoTime instant, int max_ppm) const;

 private:
  struct Exchange {
    MonoTime sent, received;
    std::int64_t remote_ns;
  };
  void watch(const SocketAddress& server);

  UdpSocket socket_;
  std::vector<Exchange> exchanges_;
  mutable std::mutex mutex_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace zq::test
