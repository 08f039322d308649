// What chance allows.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

#include "agent/base/time.h"

namespace zq::test {

struct Draw {
  std::uint64_t hits = 0;
  std::uint64_t of = 0;
};

// Whether the count lies inside the 99 % interval of the binomial distribution (normal
// approximation with continuity correction; all uses have more than 10 expected hits).
[[nodiscard]] inline bool inside_99(const Draw& draw, double probability) {
  const auto n = static_cast<double>(draw.of);
  const double deviation = std::sqrt(n * probability * (1 - probability));
  return std::abs(static_cast<double>(draw.hits) - n * probability) <= 2.576 * deviation + 0.5;
}

// One draw in a hundred lies outside its 99 % interval although all is well, so a draw that does is
// taken anew, up to three times in all: chance alone fails a case in 10^-6, while a probability
// that is off by more than the interval's width fails it nearly always.
inline void expect_probability(double probability, const std::function<Draw()>& draw) {
  Draw last;
  for (int attempt = 1; attempt <= 3; ++attempt) {
    last = draw();
    ASSERT_GT(last.of, 0U);
    if (inside_99(last, probability)) return;
  }
  ADD_FAILURE() << "asked for " << probability * 100 << " %, and three draws were outside the 99 % "
                << "interval; the last: " << last.hits << " of " << last.of << " = "
                << 100.0 * static_cast<double>(last.hits) / static_cast<double>(last.of) << " %";
}

[[nodiscard]] inline double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

[[nodiscard]] inline double deviation_of(const std::vector<double>& values) {
  const double mean = mean_of(values);
  double sum = 0;
  for (const double value : values) sum += (value - mean) * (value - mean);
  return std::sqrt(sum / static_cast<double>(values.size()));
}

// Kolmogorov-Smirnov distance between two samples, both ascending.
[[nodiscard]] inline double distance_of(const std::vector<double>& a,
                                        const std::vector<double>& b) {
  double worst = 0;
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.size() && j < b.size()) {
    const double value = std::min(a[i], b[j]);
    while (i < a.size() && a[i] <= value) ++i;
    while (j < b.size() && b[j] <= value) ++j;
    worst = std::max(worst, std::abs(static_cast<double>(i) / static_cast<double>(a.size()) -
                                     static_cast<double>(j) / static_cast<double>(b.size())));
  }
  return worst;
}

}  // namespace zq::test
