#include "controller/fleet/clock_filter.h"

#include <algorithm>
#include <cmath>

namespace zq {

ClockEstimate ClockEstimate::at(MonoTime other) const {
  ClockEstimate result = *this;
  result.instant = other;
  const double away = std::chrono::duration<double, std::nano>(other - instant).count();
  result.offset += Nanos{std::llround(drift * away)};
  // What is not known at all (max) stays so.
  if (uncertainty < Nanos::max() / 2) {
    result.uncertainty += Nanos{std::llround(drift_uncertainty * std::abs(away))};
  }
  return result;
}

void ClockFilter::add(const ClockExchange& exchange) {
  const std::int64_t outside = exchange.received_ns - exchange.sent_ns;
  const std::int64_t inside = exchange.remote_sent_ns - exchange.remote_received_ns;
  if (outside < 0 || inside < 0 || inside > outside) return;  // not an exchange of sane clocks
  recent_.push_back({.instant_ns = exchange.sent_ns + outside / 2,
                     .offset_ns = ((exchange.remote_received_ns - exchange.sent_ns) +
                                   (exchange.remote_sent_ns - exchange.received_ns)) /
                                  2,
                     .uncertainty_ns = (outside - inside + 1) / 2});
  if (recent_.size() > kRecent) recent_.pop_front();
}

// From the best exchange of the older half and the best of the newer one.
ClockFilter::Drift ClockFilter::drift() const {
  const auto surer = [](const Measured& a, const Measured& b) {
    return a.uncertainty_ns < b.uncertainty_ns;
  };
  const auto middle = recent_.begin() + static_cast<std::ptrdiff_t>(recent_.size() / 2);
  if (middle == recent_.begin()) return {};
  const auto older = std::min_element(recent_.begin(), middle, surer);
  const auto newer = std::min_element(middle, recent_.end(), surer);
  const auto apart = static_cast<double>(newer->instant_ns - older->instant_ns);
  if (apart <= 0) return {};
  const Drift measured{
      .rate = static_cast<double>(newer->offset_ns - older->offset_ns) / apart,
      .uncertainty = static_cast<double>(newer->uncertainty_ns + older->uncertainty_ns) / apart};
  return measured.uncertainty < kMaxDrift ? measured : Drift{};
}

std::optional<ClockEstimate> ClockFilter::estimate(MonoTime instant) const {
  std::optional<ClockEstimate> best;
  const Drift known = drift();
  for (const Measured& measured : recent_) {
    const ClockEstimate estimate = ClockEstimate{.offset = Nanos{measured.offset_ns},
                                                 .uncertainty = Nanos{measured.uncertainty_ns},
                                                 .instant = mono_from_ns(measured.instant_ns),
                                                 .drift = known.rate,
                                                 .drift_uncertainty = known.uncertainty}
                                       .at(instant);
    if (!best || estimate.uncertainty < best->uncertainty) best = estimate;
  }
  return best;
}

}  // namespace zq
