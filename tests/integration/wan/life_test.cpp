// The life of the process behind a testbed's links: how it begins, ends, dies, and is refused.
#include "agent/dataplane/gate.h"
#include "tests/integration/wan/wan_fixture.h"

namespace zq::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr double kUndelayedMs = 20;

TEST(WanLife, KilledItIsNoticedAndPacketsFlowUndelayed) {
  WanTestbed wan({link("a", "c", delay_of(50ms))});
  ASSERT_EQ(wan.bring_up(), "");
  EXPECT_GE(wan.measure("a1", "c1").median(), 50);
  EXPECT_EQ(error_of(wan.testbed->check_environment(wan.cluster)), "");

  const auto before = wan.environment();
  ASSERT_TRUE(before.alive);
  ASSERT_EQ(::kill(before.pid, SIGKILL), 0);
  EXPECT_TRUE(eventually([&] { return !wan.environment().alive; }));
  const auto dead = wan.testbed->check_environment(wan.cluster);
  ASSERT_FALSE(dead);
  EXPECT_EQ(dead.error().code, ErrorCode::kUnavailable);
  // The lease is three seconds long.
  EXPECT_TRUE(eventually([&] { return wan.measure("a1", "c1").median() < kUndelayedMs; }, 5s));
  const OneWay after = wan.measure("a1", "c1");
  EXPECT_EQ(after.lost(), 0);
  EXPECT_LT(after.median(), kUndelayedMs);
  EXPECT_TRUE(wan.testbed->down());
  EXPECT_THAT(traces_of(wan.name), IsEmpty());
}

TEST(WanLife, AskedToEndItRemovesWhatItMade) {
  WanTestbed wan({link("a", "c", delay_of(50ms)), link("b", "c", delay_of(10ms, 5'000'000))});
  ASSERT_EQ(wan.bring_up(), "");
  const TestNetns core = wan.core();
  const auto dump = [&] { return core.run([] { return value_of(dump_everything()); }); };
  EXPECT_THAT(dump(), HasSubstr("zq-"));
  ASSERT_EQ(::kill(wan.environment().pid, SIGTERM), 0);
  ASSERT_TRUE(eventually([&] { return !wan.environment().alive; }));
  EXPECT_THAT(dump(), Not(HasSubstr("zq-")));
  EXPECT_THAT(dump(), Not(HasSubstr("clsact")));
  EXPECT_LT(wan.measure("a1", "c1").median(), kUndelayedMs);
}

TEST(WanLife, EndsByItselfWhenItCannotBeReliedOn) {
  WanTestbed wan({link("a", "c", delay_of(50ms))});
  ASSERT_EQ(wan.bring_up(), "");
  wan.core().tc("qdisc del dev z3 clsact");
  ASSERT_TRUE(eventually([&] { return !wan.environment().alive; }));
  const auto dead = wan.testbed->check_environment(wan.cluster);
  ASSERT_FALSE(dead);
  EXPECT_THAT(dead.error().message, HasSubstr("z3 egress: the gate's filter is gone"));
}

TEST(WanLife, IsNotWhatAnotherClusterFileSays) {
  WanTestbed wan({link("a", "c", delay_of(50ms))});
  ASSERT_EQ(wan.bring_up(), "");
  Cluster edited = wan.cluster;
  edited.testbed->links[0].impairment.delay = 60ms;
  const auto other = wan.testbed->check_environment(edited);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, ErrorCode::kRefused);
  edited.testbed->links.clear();
  EXPECT_FALSE(wan.testbed->check_environment(edited));
}

TEST(WanLife, WhatTheKernelCannotDoIsRefusedByName) {
  Impairment damaging = delay_of(5ms);
  damaging.corrupt = 0.5;
  WanTestbed wan({link("a", "c", damaging)});
  const std::string error = wan.bring_up();
  if (kernel_has(capability::kNetem)) {
    EXPECT_EQ(error, "");
    return;
  }
  EXPECT_THAT(error, HasSubstr("netem"));
  EXPECT_THAT(error, HasSubstr("environment"));
  EXPECT_THAT(traces_of(wan.name), IsEmpty());
}

}  // namespace
}  // namespace zq::test
