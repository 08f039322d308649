// Tables from which netem and the delay line draw delays, by the formulas of iproute2's generators
// (netem/normal.c, pareto.c and paretonormal.c), so that a delay means here what it means with tc.
#include <algorithm>
#include <cmath>
#include <limits>

#include "agent/base/impairment.h"

namespace zq {

namespace {

constexpr std::size_t kEntries = 4096;
constexpr double kScale = 8192;  // NETEM_DIST_SCALE: the value of one `jitter`
// A quantile function is sampled at the middle of the first quarter of each entry's share, as
// normal.c does: it keeps every fourth of 16384 steps.
constexpr double kSteps = 4 * kEntries;

std::int16_t to_entry(double value) {
  constexpr double kMin = std::numeric_limits<std::int16_t>::min();
  constexpr double kMax = std::numeric_limits<std::int16_t>::max();
  return static_cast<std::int16_t>(std::lround(std::clamp(value, kMin, kMax)));
}

double normal_quantile(double probability) {
  double low = -10;
  double high = 10;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (0.5 * std::erfc(-middle / std::sqrt(2.0)) < probability ? low : high) = middle;
  }
  return (low + high) / 2;
}

double normal_value(std::size_t entry) {
  return kScale * normal_quantile((4 * static_cast<double>(entry) + 0.5) / kSteps);
}

// Pareto with shape 3: its mean 1.5 is moved to 0, and the scale is that of pareto.c.
double pareto_value(std::size_t entry) {
  const double share = 1 - static_cast<double>(entry) / kEntries;
  const double value = (std::pow(share, -1.0 / 3) - 1.5) * (4.0 / 3) * kScale;
  return std::min<double>(value, std::numeric_limits<std::int16_t>::max());
}

template <class Value>
std::vector<std::int16_t> make_table(const Value& value) {
  std::vector<std::int16_t> table(kEntries);
  for (std::size_t entry = 0; entry < kEntries; ++entry) table[entry] = to_entry(value(entry));
  return table;
}

}  // namespace

std::vector<std::int16_t> distribution_table(Distribution distribution) {
  switch (distribution) {
    case Distribution::kNormal:
      return make_table(normal_value);
    case Distribution::kPareto:
      return make_table(pareto_value);
    case Distribution::kParetoNormal:
      return make_table(
          [](std::size_t entry) { return (normal_value(entry) + 3 * pareto_value(entry)) / 4; });
    case Distribution::kUniform:
    case Distribution::kCustom:
      break;
  }
  return {};
}

}  // namespace zq
