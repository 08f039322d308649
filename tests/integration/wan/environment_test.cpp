// What packets meet between the zones of a testbed with links, against what the links say.
#include "tests/integration/wan/wan_fixture.h"

namespace zq::test {
namespace {

using ::testing::AllOf;
using ::testing::Ge;
using ::testing::IsEmpty;
using ::testing::Le;

// Beyond the delay asked for and the way without any: what a machine with more to do than CPUs adds
// to the median.
constexpr double kSlackMs = 3;

TEST(WanEnvironment, IsBetweenTheZonesThatItIsAskedForAndNowhereElse) {
  WanTestbed wan;  // presets: zones of a region 5 ms apart, regions 250 ms
  ASSERT_EQ(wan.bring_up(), "");
  for (const bool v4 : {true, false}) {
    const double floor = wan.measure("a1", "a2", v4).median();
    EXPECT_LT(floor, kSlackMs) << "inside a zone nothing is delayed";
    struct Way {
      const char *from, *to;
      double delay_ms;
    };
    for (const Way& way : {Way{"a1", "b1", 5}, Way{"b2", "a2", 5}, Way{"a1", "c1", 250},
                           Way{"c1", "a1", 250}, Way{"d1", "b2", 250}, Way{"c1", "d1", 5}}) {
      const OneWay measured = wan.measure(way.from, way.to, v4, {.packets = 60});
      EXPECT_EQ(measured.lost(), 0) << way.from << " to " << way.to;
      EXPECT_THAT(measured.median(), AllOf(Ge(way.delay_ms), Le(way.delay_ms + floor + kSlackMs)))
          << way.from << " to " << way.to << (v4 ? " IPv4" : " IPv6");
    }
  }
  EXPECT_THAT(
      value_of(wan.testbed->environment()),
      ::testing::ElementsAre("a <-> b: delay 5ms, rate 1Gbit/s", "c <-> d: delay 5ms, rate 1Gbit/s",
                             "east <-> west: delay 250ms, rate 10Mbit/s"));
  ASSERT_TRUE(wan.testbed->down());
  EXPECT_THAT(traces_of(wan.name), IsEmpty());
}

}  // namespace
}  // namespace zq::test
