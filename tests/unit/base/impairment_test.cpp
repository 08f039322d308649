#include "agent/base/impairment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace zq {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

Impairment delayed(int ms) {
  Impairment impairment;
  impairment.delay = milliseconds(ms);
  return impairment;
}

std::string problem(const Impairment& impairment) {
  const Status status = check(impairment);
  return status ? "" : status.error().message;
}

TEST(Scope, IsSaidInWords) {
  EXPECT_EQ(to_string(Scope{}), "all");
  EXPECT_EQ(to_string(Scope{.protocol = IPPROTO_TCP,
                            .ports = {{2181, 2181}, {2888, 3888}},
                            .source_ports = {},
                            .destination_ports = {}}),
            "tcp ports 2181,2888-3888");
  EXPECT_EQ(to_string(Scope{.protocol = IPPROTO_UDP,
                            .ports = {},
                            .source_ports = {{5000, 5000}},
                            .destination_ports = {{53, 53}}}),
            "udp from 5000 to 53");
  EXPECT_EQ(
      to_string(Scope{.protocol = 47, .ports = {}, .source_ports = {}, .destination_ports = {}}),
      "protocol 47");
}

TEST(Impairment, IsSaidInWords) {
  Impairment impairment = delayed(50);
  impairment.jitter = milliseconds(5);
  impairment.distribution = Distribution::kNormal;
  impairment.loss = {LossModel::Kind::kRandom, {0.01}};
  impairment.rate_bps = 100'000'000;
  EXPECT_EQ(to_string(impairment), "delay 50ms +-5ms normal, loss 1%, rate 100Mbit/s");
  EXPECT_EQ(format_rate(1'500'000'000), "1.5Gbit/s");
  EXPECT_EQ(format_rate(8'000), "8kbit/s");
}

TEST(Impairment, ThatDoesNothingOrCannotBeIsRefused) {
  EXPECT_THAT(problem({}), HasSubstr("nothing is impaired"));
  EXPECT_EQ(problem(delayed(60'000)), "");
  EXPECT_THAT(problem(delayed(60'001)), HasSubstr("at most"));
  Impairment impairment = delayed(5);
  impairment.jitter = milliseconds(5);
  EXPECT_THAT(problem(impairment), HasSubstr("longer"));
  impairment = delayed(5);
  impairment.distribution = Distribution::kPareto;
  EXPECT_THAT(problem(impairment), HasSubstr("no jitter"));
  impairment.jitter = milliseconds(1);
  EXPECT_EQ(problem(impairment), "");
  impairment.distribution = Distribution::kCustom;
  impairment.table.assign(15, 0);
  EXPECT_THAT(problem(impairment), HasSubstr("15 values"));
  impairment.table.assign(16, 0);
  EXPECT_EQ(problem(impairment), "");
  impairment = {};
  impairment.reorder = 0.25;
  EXPECT_THAT(problem(impairment), HasSubstr("no delay"));
  impairment = {};
  impairment.rate_bps = kMinRateBps - 1;
  EXPECT_THAT(problem(impairment), HasSubstr("8kbit/s to 100Gbit/s"));
  impairment.rate_bps = kMaxRateBps;
  EXPECT_EQ(problem(impairment), "");
  impairment.duplicate = std::nan("");
  EXPECT_THAT(problem(impairment), HasSubstr("duplicate"));
  impairment = {};
  impairment.loss = {LossModel::Kind::kFourState, {0.6, 0.5, 0.1, 0.5, 0.5}};
  EXPECT_THAT(problem(impairment), HasSubstr("p13 and p14"));
}

// Runs the chain as net/sched/sch_netem.c does.
double simulated_loss(const LossModel& loss, int packets) {
  std::mt19937 random(1);
  std::uniform_real_distribution<double> draw(0, 1);
  int lost = 0;
  int state = 1;
  const auto& p = loss.parameters;
  for (int i = 0; i < packets; ++i) {
    const double value = draw(random);
    if (loss.kind == LossModel::Kind::kGilbertElliott) {
      if (state == 1 ? value < p[0] : value < p[1]) state = 3 - state;
      lost += draw(random) < (state == 2 ? p[2] : p[3]) ? 1 : 0;
      continue;
    }
    switch (state) {
      case 1:
        state = value < p[4] ? 4 : value < p[4] + p[0] ? 3 : 1;
        break;
      case 2:
        state = value < p[3] ? 3 : 2;
        break;
      case 3:
        state = value < p[2] ? 2 : value < p[2] + p[1] ? 1 : 3;
        break;
      default:
        state = 1;
    }
    lost += state >= 3 ? 1 : 0;
  }
  return static_cast<double>(lost) / packets;
}

TEST(LossModel, ExpectsWhatTheChainLosesInTheLongRun) {
  using Kind = LossModel::Kind;
  const std::vector<LossModel> models{
      {Kind::kGilbertElliott, {0.02, 0.2, 0.9, 0.01}}, {Kind::kGilbertElliott, {0, 0.2, 1, 0.05}},
      {Kind::kFourState, {0.05, 0.3, 0.2, 0.4, 0.02}}, {Kind::kFourState, {0, 0.3, 0.2, 0.4, 0.1}},
      {Kind::kFourState, {0.1, 0, 0.2, 0.4, 0.02}},    {Kind::kFourState, {0.1, 0.5, 0, 0, 0}},
      {Kind::kFourState, {0.1, 0.2, 0.2, 0, 0.1}},     {Kind::kFourState, {0.1, 0, 0, 0.5, 0}},
  };
  for (const LossModel& model : models) {
    EXPECT_NEAR(model.expected(), simulated_loss(model, 400'000), 0.006)
        << testing::PrintToString(model.parameters);
  }
  EXPECT_EQ((LossModel{Kind::kRandom, {0.1, 0.25}}).expected(), 0.1);
}

struct Moments {
  double mean;
  double deviation;
};

Moments moments(const std::vector<std::int16_t>& table) {
  const auto size = static_cast<double>(table.size());
  const double mean = std::accumulate(table.begin(), table.end(), 0.0) / size;
  double squares = 0;
  for (const std::int16_t value : table) squares += (value - mean) * (value - mean);
  return {mean / 8192, std::sqrt(squares / size) / 8192};
}

TEST(Impairment, WhatIsToComeTwiceIsLostOnce) {
  Impairment both;
  both.loss = {LossModel::Kind::kRandom, {0.66}};
  both.duplicate = 0.5;
  EXPECT_DOUBLE_EQ(both.missing_share(), 0.33);
  EXPECT_NEAR(both.doubled_share(), 0.17 / 0.67, 1e-12);
  both.loss.parameters[0] = 1;
  EXPECT_DOUBLE_EQ(both.missing_share(), 0.5);
  EXPECT_DOUBLE_EQ(both.doubled_share(), 0);
}

TEST(DistributionTable, HasTheShapeOfItsName) {
  EXPECT_TRUE(distribution_table(Distribution::kUniform).empty());
  const auto normal = distribution_table(Distribution::kNormal);
  ASSERT_EQ(normal.size(), 4096U);
  EXPECT_TRUE(std::is_sorted(normal.begin(), normal.end()));
  EXPECT_NEAR(moments(normal).mean, 0, 0.002);
  EXPECT_NEAR(moments(normal).deviation, 1, 0.005);
  EXPECT_NEAR(normal[2048], 0, 3);
  EXPECT_NEAR(normal[3447] / 8192.0, 1, 0.002);  // 84.13 % are below one deviation

  const auto pareto = distribution_table(Distribution::kPareto);
  ASSERT_EQ(pareto.size(), 4096U);
  EXPECT_EQ(pareto.front(), -5461);  // (1 - 1.5) * 4/3 * 8192
  EXPECT_EQ(pareto.back(), 32767);
  EXPECT_NEAR(moments(pareto).mean, 0, 0.04);  // the tail is cut off at 4

  const auto mixed = distribution_table(Distribution::kParetoNormal);
  ASSERT_EQ(mixed.size(), 4096U);
  for (const std::size_t entry : {100U, 1000U, 2048U, 4000U}) {
    EXPECT_NEAR(mixed[entry], (normal[entry] + 3.0 * pareto[entry]) / 4, 1.5);
  }
}

}  // namespace
}  // namespace zq
