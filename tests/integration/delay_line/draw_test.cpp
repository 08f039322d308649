// The draws of the delay line, by their statistics.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "agent/dataplane/delay_line_draw.h"

namespace zq {
namespace {

using namespace std::chrono_literals;

constexpr int kDraws = 200'000;

struct Statistics {
  double mean = 0, deviation = 0, correlation = 0;  // of one draw with the next
};

Statistics draw_many(const Impairment& impairment) {
  const LineDelay delay = line_delay(impairment);
  LineDrawState state;
  LineRandom random(42);
  std::vector<double> values;
  for (int i = 0; i < kDraws; ++i) {
    values.push_back(static_cast<double>(draw_delay(delay, state, random)) / 1e6);
  }
  Statistics result;
  for (const double value : values) result.mean += value / kDraws;
  double square = 0, product = 0;
  for (std::size_t i = 1; i < values.size(); ++i) {
    square += std::pow(values[i] - result.mean, 2);
    product += (values[i] - result.mean) * (values[i - 1] - result.mean);
  }
  result.deviation = std::sqrt(square / kDraws);
  result.correlation = square > 0 ? product / square : 0;
  return result;
}

Impairment impaired(Nanos delay, Nanos jitter, Distribution distribution, double correlation = 0) {
  Impairment impairment;
  impairment.delay = delay;
  impairment.jitter = jitter;
  impairment.distribution = distribution;
  impairment.delay_correlation = correlation;
  return impairment;
}

TEST(LineDraw, WithoutJitterIsTheDelay) {
  const Statistics got = draw_many(impaired(50ms, 0ms, Distribution::kNormal));
  EXPECT_NEAR(got.mean, 50, 1e-6);
  EXPECT_NEAR(got.deviation, 0, 1e-6);
}

TEST(LineDraw, UniformJitterSpreadsEvenly) {
  const Statistics got = draw_many(impaired(50ms, 12ms, Distribution::kUniform));
  EXPECT_NEAR(got.mean, 50, 0.1);
  EXPECT_NEAR(got.deviation, 12 / std::sqrt(3.0), 0.05);
  EXPECT_NEAR(got.correlation, 0, 0.01);
}

TEST(LineDraw, JitterIsTheDeviationOfANormalDistribution) {
  const Statistics got = draw_many(impaired(50ms, 5ms, Distribution::kNormal));
  EXPECT_NEAR(got.mean, 50, 0.2);
  EXPECT_NEAR(got.deviation, 5, 0.2);
}

// As netem: each number is a mixture of a fresh one and the one before, which also narrows them.
TEST(LineDraw, CorrelationTiesADrawToTheOneBefore) {
  const Statistics got = draw_many(impaired(50ms, 10ms, Distribution::kUniform, 0.25));
  EXPECT_NEAR(got.mean, 50, 0.1);
  EXPECT_NEAR(got.correlation, 0.25, 0.02);
  EXPECT_NEAR(got.deviation, 10 / std::sqrt(3.0) * std::sqrt(0.75 / 1.25), 0.1);
}

TEST(LineDraw, TakesValuesFromACustomTable) {
  Impairment impairment = impaired(50ms, 8192us, Distribution::kCustom);
  impairment.table.assign(8, 8192);
  impairment.table.insert(impairment.table.end(), 8, -4096);
  const LineDelay delay = line_delay(impairment);
  LineDrawState state;
  LineRandom random(7);
  std::set<std::int64_t> seen;
  for (int i = 0; i < 200; ++i) seen.insert(draw_delay(delay, state, random));
  EXPECT_EQ(seen, (std::set<std::int64_t>{50'000'000 - 4'096'000, 50'000'000 + 8'192'000}));
}

TEST(LineDraw, NeverGoesBackInTime) {
  const LineDelay delay = line_delay(impaired(1ms, 60s, Distribution::kNormal));
  LineDrawState state;
  LineRandom random(1);
  for (int i = 0; i < 1000; ++i) EXPECT_GE(draw_delay(delay, state, random), 0);
}

}  // namespace
}  // namespace zq
