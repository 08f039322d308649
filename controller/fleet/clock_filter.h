// Estimates a remote monotonic clock from timestamped exchanges: the smallest round trip wins, and
// only recent exchanges count, so that drift cannot make an old one lie.
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

  void add(const ClockExchange& exchange);
  [[nodiscard]] std::optional<ClockEstimate> estimate() const;

 private:
  struct Measured {
    std::int64_t round_trip_ns;
    std::int64_t offset_ns;
  };
  std::deque<Measured> recent_;
};

}  // namespace zq
