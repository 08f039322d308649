#include "agent/dataplane/delay_line_draw.h"

#include <algorithm>
#include <cmath>

namespace zq {
namespace {

constexpr std::int64_t kTableScale = 8192;  // NETEM_DIST_SCALE

std::uint32_t correlated(const LineDelay& delay, LineDrawState& state, LineRandom& random) {
  const std::uint64_t value = random.next();
  if (delay.correlation == 0) return static_cast<std::uint32_t>(value);
  const std::uint64_t rho = std::uint64_t{delay.correlation} + 1;
  const std::uint64_t mixed = value * ((1ULL << 32) - rho) + state.last * rho;
  state.last = static_cast<std::uint32_t>(mixed >> 32);
  return state.last;
}

}  // namespace

LineDelay line_delay(const Impairment& impairment) {
  LineDelay delay;
  delay.delay_ns = impairment.delay.count();
  delay.jitter_ns = impairment.jitter.count();
  delay.correlation =
      static_cast<std::uint32_t>(std::llround(impairment.delay_correlation * 0xffffffffU));
  delay.table = impairment.distribution == Distribution::kCustom
                    ? impairment.table
                    : distribution_table(impairment.distribution);
  return delay;
}

std::uint32_t LineRandom::next() {
  state_ += 0x9e3779b97f4a7c15ULL;
  std::uint64_t value = state_;
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ value >> 27) * 0x94d049bb133111ebULL;
  return static_cast<std::uint32_t>(value >> 32);
}

std::int64_t draw_delay(const LineDelay& delay, LineDrawState& state, LineRandom& random) {
  if (delay.jitter_ns == 0) return delay.delay_ns;
  const std::uint32_t number = correlated(delay, state, random);
  std::int64_t offset = 0;
  if (delay.table.empty()) {
    const double share = number / 4294967296.0;  // in [0, 1)
    offset = static_cast<std::int64_t>(2.0 * share * static_cast<double>(delay.jitter_ns)) -
             delay.jitter_ns;
  } else {
    const std::int64_t value = delay.table[number % delay.table.size()];
    offset =
        delay.jitter_ns / kTableScale * value + delay.jitter_ns % kTableScale * value / kTableScale;
  }
  return std::max<std::int64_t>(0, delay.delay_ns + offset);
}

}  // namespace zq
