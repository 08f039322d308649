// Asked against measured delay.
#include "tests/integration/delay_line/line_nodes.h"
#include "tests/integration/delay_line/one_way.h"

namespace zq::test {
namespace {

constexpr double kMedianError = 0.3;  // ms over the floor

double milliseconds(Nanos duration) { return to_seconds(duration) * 1e3; }

class DelayLineDelay : public ::testing::TestWithParam<bool> {
 protected:
  [[nodiscard]] OneWay measure(const OneWayPlan& plan = {}) const {
    return GetParam() ? measure_one_way(nodes.a, LineNodes::kA6, nodes.b, LineNodes::kB6, plan)
                      : measure_one_way(nodes.a, LineNodes::kA4, nodes.b, LineNodes::kB4, plan);
  }
  LineNodes nodes;
};

TEST_P(DelayLineDelay, IsWhatWasAskedOverTheFloor) {
  const double floor = measure().median();
  nodes.start({});
  for (const Nanos delay : {1ms, 10ms, 100ms, 500ms}) {
    nodes.line->set_classes({line_class(1, delayed(delay))});
    const double expected = floor + milliseconds(delay);
    const OneWay got = measure_median([&] { return measure(); }, expected, kMedianError);
    EXPECT_EQ(got.lost(), 0U);
    EXPECT_NEAR(got.median(), expected, kMedianError);
    EXPECT_GE(got.quantile(0), milliseconds(delay)) << "released before its time";
  }
  EXPECT_EQ(nodes.line->stats().overflowed, 0U);
  EXPECT_EQ(nodes.line->stats().send_errors, 0U);
}

// Flows apart, each with more time between its packets than the jitter can take, so that keeping
// order within a flow does not change what is drawn.
OneWayPlan independent_packets() {
  OneWayPlan plan;
  plan.packets = 2000;
  plan.interval = 500us;
  plan.flows = 200;
  return plan;
}

TEST_P(DelayLineDelay, UniformJitterHasItsMeanAndSpread) {
  const double floor = measure().median();
  nodes.start({line_class(1, delayed(20ms, 10ms))});
  const OneWay got = measure(independent_packets());
  EXPECT_EQ(got.lost(), 0U);
  EXPECT_NEAR(got.mean() - floor, 20, 0.3 + 3 * 5.77 / std::sqrt(2000.0));
  EXPECT_NEAR(got.deviation(), 10 / std::sqrt(3.0), 0.4);  // of a uniform distribution
  EXPECT_GE(got.quantile(0), 10);
  EXPECT_NEAR(got.quantile(0.99) - floor, 29.8, 0.7);
}

TEST_P(DelayLineDelay, NormalJitterHasItsMeanAndSpread) {
  const double floor = measure().median();
  nodes.start({line_class(1, delayed(30ms, 5ms, Distribution::kNormal))});
  const OneWay got = measure(independent_packets());
  EXPECT_EQ(got.lost(), 0U);
  EXPECT_NEAR(got.mean() - floor, 30, 0.3 + 3 * 5 / std::sqrt(2000.0));
  EXPECT_NEAR(got.deviation(), 5, 0.5);
  // 68 % are within one deviation.
  EXPECT_NEAR(got.quantile(0.84) - got.quantile(0.16), 10, 0.8);
}

TEST_P(DelayLineDelay, OfOneFlowKeepsItsOrderUnderJitter) {
  nodes.start({line_class(1, delayed(20ms, 19ms))});
  OneWayPlan plan;
  plan.packets = 2000;
  plan.interval = 200us;
  plan.flows = 4;
  const OneWay got = measure(plan);
  EXPECT_EQ(got.lost(), 0U);
  bool overtaken = false;  // between flows
  std::vector<std::uint64_t> last(plan.flows, 0);
  for (std::size_t i = 0; i < got.numbers.size(); ++i) {
    const std::uint64_t number = got.numbers[i];
    std::uint64_t& before = last[number % plan.flows];
    EXPECT_GE(number, before) << "a flow's packets changed places";
    before = number;
    overtaken |= i > 0 && number < got.numbers[i - 1];
  }
  EXPECT_TRUE(overtaken) << "no packet overtook one of another flow: there is no jitter";
}

INSTANTIATE_TEST_SUITE_P(Families, DelayLineDelay, ::testing::Bool(),
                         [](const auto& family) { return family.param ? "IPv6" : "IPv4"; });

}  // namespace
}  // namespace zq::test
