#include "controller/fleet/clock_filter.h"

#include <algorithm>

namespace zq {

void ClockFilter::add(const ClockExchange& exchange) {
  const std::int64_t outside = exchange.received_ns - exchange.sent_ns;
  const std::int64_t inside = exchange.remote_sent_ns - exchange.remote_received_ns;
  if (outside < 0 || inside < 0 || inside > outside) return;  // not an exchange of sane clocks
  recent_.push_back({.round_trip_ns = outside - inside,
                     .offset_ns = ((exchange.remote_received_ns - exchange.sent_ns) +
                                   (exchange.remote_sent_ns - exchange.received_ns)) /
                                  2});
  if (recent_.size() > kRecent) recent_.pop_front();
}

std::optional<ClockEstimate> ClockFilter::estimate() const {
  if (recent_.empty()) return std::nullopt;
  const auto best = std::min_element(
      recent_.begin(), recent_.end(),
      [](const Measured& a, const Measured& b) { return a.round_trip_ns < b.round_trip_ns; });
  return ClockEstimate{.offset = Nanos{best->offset_ns},
                       .uncertainty = Nanos{(best->round_trip_ns + 1) / 2}};
}

}  // namespace zq
