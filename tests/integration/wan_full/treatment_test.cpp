// Rates and losses between the zones of a testbed with links, against what the links say.
#include "tests/integration/wan/wan_fixture.h"

namespace zq::test {
namespace {

using ::testing::AllOf;
using ::testing::Ge;
using ::testing::Le;

TEST(WanEnvironment, RatesAreOfALinksZonesTogether) {
  WanTestbed wan({link("east", "west", delay_of(5ms, 20'000'000))});
  ASSERT_EQ(wan.bring_up(), "");
  const auto transfer = [&](const std::string& from, const std::string& to, bool v4) {
    return BulkTransfer(wan.netns(from), wan.netns(to), wan.address(to, v4)).run(1s, 3s);
  };
  for (const bool v4 : {true, false}) {
    const BulkResult alone = transfer("a1", "c1", v4);
    EXPECT_TRUE(alone.intact);
    EXPECT_THAT(alone.mbit_per_s, AllOf(Ge(17.5), Le(20.5))) << (v4 ? "IPv4" : "IPv6");
  }
  BulkResult both[2];
  std::thread other([&] { both[1] = transfer("b1", "d1", true); });
  both[0] = transfer("a1", "c1", true);
  other.join();
  const double together = both[0].mbit_per_s + both[1].mbit_per_s;
  EXPECT_THAT(together, AllOf(Ge(17.5), Le(22)))
      << both[0].mbit_per_s << " and " << both[1].mbit_per_s;
}

TEST(WanEnvironment, LosesItsShareInEachDirection) {
  Impairment lossy = delay_of(1ms);
  lossy.loss = {LossModel::Kind::kRandom, {0.1}};
  WanTestbed wan({link("a", "c", lossy)});
  ASSERT_EQ(wan.bring_up(), "");
  const OneWayPlan plan{.packets = 1000, .interval = 1ms};
  for (const auto& [from, to] : {std::pair("a1", "c1"), std::pair("c1", "a1")}) {
    // 99.9 % interval of a binomial distribution with n = 1000 and p = 0.1.
    EXPECT_THAT(wan.measure(from, to, true, plan).lost(), AllOf(Ge(70U), Le(132U)));
  }
  EXPECT_EQ(wan.measure("b1", "c1", true, plan).lost(), 0) << "no link joins b and c";
}

}  // namespace
}  // namespace zq::test
