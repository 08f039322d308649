// Estimates a remote monotonic clock from timestamped exchanges. The true offset is within half the
// round trip of what an exchange says. Between the exchanges the offset drifts, at a rate that is
// taken as constant over the recent ones and measured from two of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "agent/base/time.h"
#include "controller/fleet/fleet.h"

namespace zq {

struct ClockExchange {
  std::int64_t sent_ns = 0;             // controller clock
  std::int64_t remote_received_ns = 0;  // agent clock
  std::int64_t remote_sent_ns = 0;      // agent clock
  std::int64_t received_ns = 0;         // controller clock
};

class ClockFilter {
 public:
  static constexpr std::size_t kRecent = 64;
  // As far as two clocks drift apart where it was not measured: one that the kernel slews as fast
  // as it can (500 ppm, adjtimex(2)), and crystals.
  static constexpr double kMaxDrift = 600e-6;

  void add(const ClockExchange& exchange);
  // The best there is for `instant` of the controller's clock.
  [[nodiscard]] std::optional<ClockEstimate> estimate(MonoTime instant) const;

 private:
  struct Measured {
    std::int64_t instant_ns;  // halfway, controller clock
    std::int64_t offset_ns;
    std::int64_t uncertainty_ns;
  };
  struct Drift {
    double rate = 0;
    double uncertainty = kMaxDrift;
  };
  [[nodiscard]] Drift drift() const;

  std::deque<Measured> recent_;
};

}  // namespace zq
