#include "controller/run/tolerance.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace zq {
namespace {

using std::chrono::milliseconds;

LossModel model(LossModel::Kind kind, std::array<double, 5> parameters) {
  LossModel loss;
  loss.kind = kind;
  loss.parameters = parameters;
  return loss;
}

TEST(Tolerance, NormalDistancesAreTheOnesOfTables) {
  EXPECT_NEAR(normal_distance(0.05), 1.95996, 1e-4);
  EXPECT_NEAR(normal_distance(1e-4), 3.89059, 1e-4);
}

TEST(Tolerance, FewTrialsHaveTheBinomialsOwnTails) {
  // P(X >= 8) of 100 trials at 1 % is 2e-5, P(X >= 7) is 1e-4.
  const Range range = share_range(0.01, 100, 1, 1e-4);
  EXPECT_DOUBLE_EQ(range.low, 0);
  EXPECT_DOUBLE_EQ(range.high, 0.07);
  const Range mirrored = share_range(0.99, 100, 1, 1e-4);
  EXPECT_NEAR(mirrored.low, 0.93, 1e-9);
  EXPECT_DOUBLE_EQ(mirrored.high, 1);
  EXPECT_DOUBLE_EQ(share_range(0, 100, 1, 1e-4).high, 0);
  EXPECT_DOUBLE_EQ(share_range(1, 100, 1, 1e-4).low, 1);
}

TEST(Tolerance, ExactAndNormalRangesMeet) {
  const Range exact = share_range(0.1, 20'000, 1, 1e-4);
  const Range normal = share_range(0.1, 20'001, 1, 1e-4);
  EXPECT_NEAR(exact.low, normal.low, 3e-4);
  EXPECT_NEAR(exact.high, normal.high, 3e-4);
}

// The range holds what is drawn, and not much more: checked against draws of each model.
TEST(Tolerance, VarianceOfBurstsIsTheOneThatIsSeen) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> uniform(0, 1);
  const double p = 0.02, r = 0.1;  // bursts of 10
  const LossModel loss = model(LossModel::Kind::kGilbertElliott, {p, r, 1, 0, 0});
  ASSERT_NEAR(loss.expected(), p / (p + r), 1e-9);
  constexpr int kRounds = 400, kPackets = 5'000;
  double sum = 0, squares = 0;
  bool bad = false;
  for (int round = 0; round < kRounds; ++round) {
    int lost = 0;
    for (int i = 0; i < kPackets; ++i) {
      bad = bad ? uniform(random) >= r : uniform(random) < p;
      lost += bad ? 1 : 0;
    }
    const double share = static_cast<double>(lost) / kPackets;
    sum += share;
    squares += share * share;
  }
  const double mean = sum / kRounds;
  const double variance = squares / kRounds - mean * mean;
  const double independent = mean * (1 - mean) / kPackets;
  EXPECT_NEAR(loss_variance(loss), variance / independent, 0.2 * loss_variance(loss));
  EXPECT_GT(loss_variance(loss), 10);
}

TEST(Tolerance, ModelsWithoutMemoryVaryAsIndependentLosses) {
  EXPECT_DOUBLE_EQ(loss_variance(model(LossModel::Kind::kRandom, {0.1, 0, 0, 0, 0})), 1);
  EXPECT_NEAR(loss_variance(model(LossModel::Kind::kRandom, {0.1, 0.5, 0, 0, 0})), 3, 1e-9);
  // Good to bad as often as bad to bad.
  EXPECT_NEAR(loss_variance(model(LossModel::Kind::kGilbertElliott, {0.3, 0.7, 1, 0, 0})), 1, 0.01);
  EXPECT_GT(loss_variance(model(LossModel::Kind::kFourState, {0.05, 0.3, 0.1, 0.4, 0.01})), 1.5);
}

TEST(Tolerance, JitterIsDrawnFromItsDistribution) {
  Impairment uniform;
  uniform.delay = milliseconds(50);
  uniform.jitter = milliseconds(10);
  EXPECT_DOUBLE_EQ(jitter_quantile(uniform, 0.9), 0.8);
  EXPECT_DOUBLE_EQ(jitter_reach(uniform), 1);
  EXPECT_EQ(drain_bound(uniform), Nanos{milliseconds(60)});
  Impairment normal = uniform;
  normal.distribution = Distribution::kNormal;
  EXPECT_NEAR(jitter_quantile(normal, 0.5), 0, 0.05);
  EXPECT_NEAR(jitter_quantile(normal, 0.9), 1.28, 0.08);
  EXPECT_GT(drain_bound(normal), Nanos{milliseconds(70)});
}

TEST(Tolerance, WhoSkipsADelayOvertakesThoseAhead) {
  // One in four skips a delay of 10 packets: nearly everybody else is overtaken by somebody.
  EXPECT_NEAR(overtaken_share(0.25, 10), 0.75 * (1 - std::pow(0.75, 10)), 1e-9);
  EXPECT_DOUBLE_EQ(overtaken_share(0.25, 0.5), 0);
}

}  // namespace
}  // namespace zq
