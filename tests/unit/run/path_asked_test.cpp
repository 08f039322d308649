// What is asked of a path, and when it is measured.
#include "tests/unit/run/measure_fixture.h"

namespace zq {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(Measure, WhatIsAskedIsThatOfTheFirstSegmentThatHoldsAProbe) {
  delay(milliseconds(50));
  EXPECT_TRUE(asked().impaired);
  EXPECT_DOUBLE_EQ(asked().delay_ms.low, 50);
  EXPECT_NE(asked().only, nullptr);
  FaultSegment drop;
  drop.window = {Nanos{0}, seconds(10)};
  drop.scope.protocol = IPPROTO_TCP;
  auto& segments = plan.programmes[0].entries[0].segments;
  segments.insert(segments.begin(), drop);
  EXPECT_FALSE(asked().cut);  // probes are no TCP
  segments.front().scope.protocol = IPPROTO_UDP;
  EXPECT_TRUE(asked().cut);
  segments.front().scope.destination_ports = {{53, 53}};
  EXPECT_FALSE(asked().cut);
  segments.front().scope.destination_ports = {{5000, 6000}};
  EXPECT_TRUE(asked().cut);
}

TEST_F(Measure, ACutAtEitherEndIsACutAndOneOfAPartOfTheTimeIsNeither) {
  add(1, Direction::kIngress, Treatment::kDrop, {Nanos{0}, seconds(5)});
  EXPECT_TRUE(asked(Nanos{0}, seconds(5)).cut);
  EXPECT_FALSE(asked().cut);
  EXPECT_TRUE(asked().mixed);
  EXPECT_FALSE(asked(seconds(5), seconds(10)).mixed);
}

TEST_F(Measure, RampsAreRangesAndFlappingIsAShareOfTheTime) {
  Impairment slow;
  slow.delay = milliseconds(10);
  impair(slow, {Nanos{0}, seconds(5)});
  slow.delay = milliseconds(110);
  impair(slow, {seconds(5), seconds(10)});
  EXPECT_DOUBLE_EQ(asked().delay_ms.low, 10);
  EXPECT_DOUBLE_EQ(asked().delay_ms.high, 110);
  EXPECT_DOUBLE_EQ(asked().mean_delay_ms, 60);
  EXPECT_EQ(asked().only, nullptr);
  plan.programmes[0].entries.clear();
  FaultSegment& drop = add(0, Direction::kEgress, Treatment::kDrop, {Nanos{0}, seconds(10)});
  drop.period = seconds(1);
  drop.on = milliseconds(250);
  EXPECT_FALSE(asked().cut);
  EXPECT_DOUBLE_EQ(asked().loss.low, 0.25);
  EXPECT_TRUE(asked(Nanos{0}, milliseconds(500)).mixed);  // not one period
}

TEST_F(Measure, StepsOfARampAreMeasuredApartWhereTheyAreLongEnough) {
  Impairment slow;
  slow.delay = milliseconds(500);
  impair(slow, {Nanos{0}, seconds(5)});
  slow.delay = milliseconds(100);
  impair(slow, {seconds(5), seconds(10)});
  const auto windows = measure_windows(plan, plan.phases[1], {});
  ASSERT_THAT(windows, SizeIs(2));
  EXPECT_EQ(windows[0].stage, "during:slow 1 of 2");
  EXPECT_EQ(windows[0].from, Nanos{milliseconds(800)});
  EXPECT_EQ(windows[1].from, seconds(5) + milliseconds(800));  // what the first step holds
  EXPECT_EQ(windows[1].until, seconds(10) - milliseconds(600));
}

TEST_F(Measure, APhaseOfManyShortStepsIsMeasuredAsAWhole) {
  for (int i = 0; i < 10; ++i) {
    Impairment slow;
    slow.delay = milliseconds(10 * (i + 1));
    impair(slow, {seconds(i), seconds(i + 1)});
  }
  const auto windows = measure_windows(plan, plan.phases[1], {});
  ASSERT_THAT(windows, SizeIs(1));
  EXPECT_EQ(windows[0].stage, "during:slow");
  EXPECT_EQ(windows[0].begin, Nanos{0});
  EXPECT_EQ(windows[0].end, Nanos{seconds(10)});
}

}  // namespace
}  // namespace zq
