// The line as an object of the kernel: its device, its classes, its stamp, its bounds and its end.
#include "agent/base/capability.h"
#include "agent/dataplane/links.h"
#include "tests/integration/delay_line/forked.h"
#include "tests/integration/delay_line/line_nodes.h"
#include "tests/integration/delay_line/one_way.h"

namespace zq::test {
namespace {

std::vector<std::string> device_names(const TestNetns& netns) {
  return netns.run([] {
    NetlinkSocket socket = value_of(NetlinkSocket::open());
    std::vector<std::string> names;
    for (const Link& link : value_of(list_links(socket))) names.push_back(link.name);
    return names;
  });
}

DelayLine::ClassCount count_of(const DelayLine& line, std::uint16_t id) {
  for (const DelayLine::ClassCount& count : line.class_counts()) {
    if (count.id == id) return count;
  }
  return {};
}

TEST(DelayLineDevice, IsThereAsLongAsTheLine) {
  LineNodes nodes;
  const auto before = device_names(nodes.a);
  nodes.start({line_class(1, delayed(1ms))});
  EXPECT_THAT(device_names(nodes.a), ::testing::Contains("zq-egress"));
  EXPECT_EQ(nodes.line->device_index(), nodes.a.device_index("zq-egress"));
  const auto second = nodes.try_start(nodes.options());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kExists);
  nodes.line.reset();
  EXPECT_EQ(device_names(nodes.a), before);
}

TEST(DelayLineDevice, HasNoAddressesAndALongQueue) {
  LineNodes nodes;
  nodes.start({line_class(1, delayed(1ms))});
  EXPECT_NO_THROW(nodes.a.ip("addr show dev zq-egress | (! grep inet)"));
  EXPECT_NO_THROW(nodes.a.ip("-d link show dev zq-egress | grep -q 'NOARP,UP.*qlen 16384'"));
}

TEST(DelayLineDevice, CapabilityIsPresentHere) {
  const Capability capability = delay_line_capability();
  EXPECT_EQ(capability.name, capability::kDelayLine);
  EXPECT_TRUE(capability.present) << capability.text;
}

TEST(DelayLineClasses, EachHasItsOwnDelayAndCounts) {
  LineNodes nodes;
  nodes.start({line_class(5, delayed(5ms)), line_class(1000, delayed(50ms))});
  OneWayPlan plan;
  plan.packets = 50;
  for (const auto& [id, asked] : {std::pair(5, 5.0), std::pair(1000, 50.0), std::pair(33, 0.0)}) {
    plan.priority = id;
    const OneWay got = measure_one_way(nodes.a, LineNodes::kA4, nodes.b, LineNodes::kB4, plan);
    EXPECT_EQ(got.lost(), 0U);
    EXPECT_NEAR(got.median(), asked, 1.0) << id;
    // The first datagram of a measurement is not counted by it.
    const auto count = count_of(*nodes.line, static_cast<std::uint16_t>(id));
    EXPECT_EQ(count.forwarded_packets, plan.packets + 1);
    EXPECT_EQ(count.forwarded_bytes, plan.packets * (14 + 20 + 8 + 64) + 42);
    EXPECT_EQ(count.held_packets, 0U);
  }
}

TEST(DelayLineClasses, HeldFramesKeepTheirTimeAndTheirFlowKeepsItsOrder) {
  LineNodes nodes;
  nodes.start({line_class(1, delayed(600ms)), line_class(2, delayed(0ms))});
  const OneWayReceiver receiver(nodes.b, LineNodes::kB4, 7000);
  const UdpSocket old_flow(nodes.a, LineNodes::kA4, 7001), new_flow(nodes.a, LineNodes::kA4, 7002);
  const SocketAddress target(LineNodes::kB4, 7000);
  const auto send = [&](const UdpSocket& from, std::uint64_t number) {
    const OneWayStamp stamp{number, realtime_ns()};
    ASSERT_EQ(from.send(target, &stamp, sizeof stamp), 0);
  };
  send(old_flow, 0);
  ASSERT_TRUE(wait_until([&] { return nodes.line->stats().held_packets >= 1; }));
  EXPECT_GE(count_of(*nodes.line, 1).held_packets, 1U);
  nodes.line->set_classes({line_class(1, delayed(100ms))});
  send(old_flow, 1);
  send(new_flow, 2);
  OneWay got;
  ASSERT_TRUE(wait_until([&] {
    (void)receiver.receive(got);
    return got.numbers.size() == 3;
  }));
  EXPECT_THAT(got.numbers, ::testing::ElementsAre(2, 0, 1));
  EXPECT_NEAR(got.delays_ms[0], 100, 20);
  EXPECT_NEAR(got.delays_ms[1], 600, 20);
}

TEST(DelayLineStamp, MovesOnWhileTheLineServesAndEndsWithIt) {
  LineNodes nodes;
  nodes.start({line_class(1, delayed(500ms))});
  for (int i = 0; i < 20; ++i) {
    const Nanos left = nodes.liveness.alive_until() - mono_now();
    EXPECT_GT(left, 0ms);
    EXPECT_LE(left, kLineLiveness);
    std::this_thread::sleep_for(5ms);
  }
  EXPECT_TRUE(nodes.line->stats().serving);
  const UdpSocket source(nodes.a, LineNodes::kA4, 7001);
  ASSERT_EQ(source.send(LineNodes::kB4, 7000), 0);
  ASSERT_TRUE(wait_until([&] { return nodes.line->stats().held_packets > 0; }));
  nodes.line->stop();
  EXPECT_EQ(to_ns(nodes.liveness.alive_until()), 0);
  const DelayLineStats stats = nodes.line->stats();
  EXPECT_FALSE(stats.serving);
  EXPECT_EQ(stats.held_packets, 0U);
  EXPECT_GE(stats.discarded, 1U);
}

TEST(DelayLineStamp, EndsWhenSomebodyTakesTheDeviceAway) {
  LineNodes nodes;
  nodes.start({line_class(1, delayed(1ms))});
  nodes.a.ip("link del zq-egress");
  EXPECT_TRUE(wait_until([&] { return !nodes.line->stats().serving; }));
  EXPECT_TRUE(wait_until([&] { return nodes.liveness.alive_until() < mono_now(); }));
}

// What the gate's steering does, the test's own does too: the rest is the line's.
TEST(DelayLineStamp, LapsesWhenTheProcessIsKilledAndTrafficGoesOnUndelayed) {
  LineNodes nodes;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  Forked child([&] {
    const auto line = nodes.try_start(nodes.options());
    if (line) (*line)->set_classes({line_class(1, delayed(50ms))});
    const unsigned index = line ? (*line)->device_index() : 0;
    (void)!::write(ready[1], &index, sizeof index);
    for (;;) ::pause();
  });
  unsigned index = 0;
  EXPECT_EQ(::read(ready[0], &index, sizeof index), static_cast<ssize_t>(sizeof index));
  ::close(ready[0]);
  ::close(ready[1]);
  nodes.steer(index);
  OneWayPlan plan;
  plan.packets = 50;
  EXPECT_NEAR(measure_one_way(nodes.a, LineNodes::kA4, nodes.b, LineNodes::kB4, plan).median(), 50,
              1.0);
  child.kill();
  EXPECT_TRUE(wait_until([&] { return nodes.liveness.alive_until() < mono_now(); }, 1s));
  const OneWay after = measure_one_way(nodes.a, LineNodes::kA4, nodes.b, LineNodes::kB4, plan);
  EXPECT_EQ(after.lost(), 0U);
  EXPECT_LT(after.median(), 1.0);
}

}  // namespace
}  // namespace zq::test
