// Delays asked for against delays measured.
#include <fmt/core.h>

#include "tests/vm/faults/border.h"
#include "tests/vm/faults/statistics.h"

namespace zq::test {
namespace {

using namespace std::chrono_literals;

class Delay : public OnPath {};

// DESIGN: the median within 0.1 ms above the machine's own floor; 0.3 ms through the delay line.
Nanos tolerance() { return has_netem() ? Nanos(100us) : Nanos(300us); }

std::vector<Nanos> measure(Border& border, const StreamPlan& plan) {
  const StreamResult result = border.stream(plan);
  EXPECT_EQ(result.send_errors, 0U);
  EXPECT_EQ(result.distinct().size(), result.sent);
  EXPECT_EQ(result.arrivals.size(), result.sent);
  return result.latencies();
}

TEST_P(Delay, MedianIsWhatWasAskedAboveTheFloor) {
  Border border(GetParam());
  const Nanos floor = quantile(measure(border, {}), 0.5);
  for (const Nanos asked : {1ms, 10ms, 100ms, 500ms}) {
    if (!impaired_or_refused(border, delayed(asked))) continue;
    const auto sorted = measure(border, {.patience = asked + 500ms});
    const Nanos error = quantile(sorted, 0.5) - floor - asked;
    fmt::print("{} delay {}: floor {:.3f} ms, median {:+.3f} ms above, p99 {:+.3f} ms\n",
               to_string(GetParam()), format_duration(asked), milliseconds(floor),
               milliseconds(error), milliseconds(quantile(sorted, 0.99) - floor - asked));
    EXPECT_LE(error, tolerance());
    EXPECT_GE(error, -20us);  // the floor's own spread
  }
  border.heal();
  const Nanos after = quantile(measure(border, {}), 0.5);
  EXPECT_LT(after - floor, tolerance());
}
ZQ_ON_ALL_PATHS(Delay);

struct Shape {
  const char* name;
  Distribution distribution;
};

// Two delays and nothing in between.
std::vector<std::int16_t> two_valued_table() {
  std::vector<std::int16_t> table(16, 8192);
  std::fill_n(table.begin(), 8, -8192);
  return table;
}

// What the shape promises, in ms.
std::vector<double> expected_sample(const Impairment& impairment) {
  std::vector<double> sample;
  std::vector<std::int16_t> table = impairment.table;
  if (impairment.distribution == Distribution::kUniform) {
    for (int i = -8192; i < 8192; ++i) table.push_back(static_cast<std::int16_t>(i));
  } else if (impairment.distribution != Distribution::kCustom) {
    table = distribution_table(impairment.distribution);
  }
  for (const std::int16_t value : table) {
    const double delay =
        milliseconds(impairment.delay) + value * milliseconds(impairment.jitter) / 8192;
    sample.push_back(std::max(0.0, delay));
  }
  std::sort(sample.begin(), sample.end());
  return sample;
}

class Jitter : public testing::TestWithParam<Shape> {};

TEST_P(Jitter, HasTheShapeThatWasAsked) {
  Border border({FlowDirection::kEgress, false});
  const double floor = milliseconds(quantile(measure(border, {}), 0.5));
  Impairment impairment = delayed(50ms, 10ms);
  impairment.distribution = GetParam().distribution;
  if (impairment.distribution == Distribution::kCustom) impairment.table = two_valued_table();
  border.impair(impairment);
  // Pareto's tail ends at 4 times the jitter. A packet every 100 ms in each flow.
  const auto sorted = measure(border, {.count = 3000, .flows = 100, .patience = 500ms});
  std::vector<double> got;
  for (const Nanos latency : sorted) got.push_back(milliseconds(latency) - floor);
  const auto asked = expected_sample(impairment);
  const double distance = distance_of(got, asked);
  fmt::print(
      "{}: mean {:.3f} ms (asked {:.3f}), deviation {:.3f} ms (asked {:.3f}), distance {:.4f}\n",
      GetParam().name, mean_of(got), mean_of(asked), deviation_of(got), deviation_of(asked),
      distance);
  const double n = static_cast<double>(got.size());
  const double slack = milliseconds(tolerance());
  EXPECT_NEAR(mean_of(got), mean_of(asked), slack + 4.4 * deviation_of(asked) / std::sqrt(n));
  // 4.4 deviations of a sample's deviation; heavy tails have a larger one than normal samples.
  EXPECT_NEAR(deviation_of(got), deviation_of(asked), slack + 0.1 * deviation_of(asked));
  // Kolmogorov's bound that chance passes once in 10^5, and what the floor's spread blurs.
  if (impairment.distribution != Distribution::kCustom) {
    EXPECT_LT(distance, 2.47 / std::sqrt(n) + 0.02);
  } else {
    const auto between = std::count_if(got.begin(), got.end(), [&](double latency) {
      return std::abs(std::abs(latency - 50) - 10) > 10 * slack;
    });
    EXPECT_EQ(between, 0);
  }
}
INSTANTIATE_TEST_SUITE_P(Shape, Jitter,
                         testing::Values(Shape{"Uniform", Distribution::kUniform},
                                         Shape{"Normal", Distribution::kNormal},
                                         Shape{"Pareto", Distribution::kPareto},
                                         Shape{"ParetoNormal", Distribution::kParetoNormal},
                                         Shape{"Custom", Distribution::kCustom}),
                         [](const auto& test) { return std::string(test.param.name); });

// netem takes its correlated random number modulo the size of the table (or the width of the
// jitter), which leaves nothing of the correlation; the delay line does what was asked.
TEST(JitterCorrelation, IsKeptByTheDelayLineAndLostInNetem) {
  Border border({FlowDirection::kEgress, false});
  Impairment impairment = delayed(50ms, 20ms);
  impairment.delay_correlation = 0.5;
  border.impair(impairment);
  const auto arrivals = border.stream({.count = 3000, .flows = 100, .patience = 500ms}).distinct();
  ASSERT_EQ(arrivals.size(), 3000U);
  std::vector<double> delays;
  for (const Arrival& arrival : arrivals) delays.push_back(milliseconds(arrival.latency));
  const double mean = mean_of(delays);
  const double deviation = deviation_of(delays);
  double product = 0;
  for (std::size_t i = 1; i < delays.size(); ++i) {
    product += (delays[i] - mean) * (delays[i - 1] - mean);
  }
  const double correlation =
      product / static_cast<double>(delays.size() - 1) / (deviation * deviation);
  const double expected = has_netem() ? 0 : 0.5;
  fmt::print("correlation {:.3f} (asked 0.5, expected {})\n", correlation, expected);
  EXPECT_NEAR(correlation, expected, 0.1);
}

}  // namespace
}  // namespace zq::test
