// The lanes as objects in the kernel: what they leave alone, what they leave behind, what happens
// when somebody else touches them.
#include "agent/dataplane/lanes.h"

#include <linux/pkt_sched.h>

#include "agent/dataplane/capability_report.h"
#include "agent/dataplane/hooks.h"
#include "agent/dataplane/journal.h"
#include "agent/dataplane/monitor.h"
#include "agent/dataplane/steering.h"
#include "tests/integration/shaper/lane_fixture.h"
#include "tests/integration/shaper/traffic.h"

namespace zq::test {
namespace {

using testing::HasSubstr;

constexpr std::int32_t kMarked = 0x51;

// The device's qdiscs without clsact, as tc(8) shows them.
std::string roots(const LaneNodes& nodes) {
  return nodes.tc("qdisc show dev up0 | grep -v clsact");
}

TEST(Lanes, EveryRootQdiscIsLeftAlone) {
  const std::vector<std::string> kRoots = {
      "",  // what the device came with
      "root handle 5: pfifo limit 77",
      "root handle 5: pfifo_fast",
      "root handle 5: mq",
      "root handle 1: htb default 10",
      "root handle 5: tbf rate 900mbit burst 64kb latency 50ms",
      "root handle 5: fq",
      "root handle 5: fq_codel",
      "root handle 5: prio",
      "root handle 5: sfq",
      "root handle 5: netem delay 1ms",
  };
  std::vector<std::string> tried;
  for (const std::string& root : kRoots) {
    SCOPED_TRACE(root);
    const LaneNodes nodes;
    const std::string add =
        fmt::format("tc -n {} qdisc add dev up0 {} 2>/dev/null", nodes.a.name(), root);
    if (!root.empty() && std::system(add.c_str()) != 0) continue;  // not in this kernel
    tried.push_back(root);
    if (root.find("htb") != std::string::npos) {
      nodes.a.tc("class add dev up0 parent 1: classid 1:10 htb rate 2gbit quantum 60000");
    }
    const std::string before = nodes.dump();
    const std::string roots_before = roots(nodes);
    nodes.put_stamp(kEgress, 9);
    nodes.put_stamp(kIngress, 10);
    Shaper shaper = nodes.shaper();
    check(shaper.prepare({queue(9, rate(50'000'000)), queue(10, rate(50'000'000), kIngress)}));
    const Echo echo(nodes.b, LaneNodes::kB4, 7000);
    EXPECT_LT(median_round_trip(nodes.a, LaneNodes::kA4, LaneNodes::kB4, 7000), 100ms);
    EXPECT_GE(state_of(shaper, 9).sent_packets, 21U);
    EXPECT_GE(state_of(shaper, 10).sent_packets, 21U);
    EXPECT_EQ(roots(nodes), roots_before);
    EXPECT_THAT(nodes.dump(),
                testing::AllOf(HasSubstr("link zq-egress"), HasSubstr("link zq-ingress"),
                               HasSubstr("qdisc zq-egress htb handle 7a71:0")));
    EXPECT_THAT(value_of(shaper.violations()), testing::IsEmpty());
    check(shaper.remove(1s));
    nodes.take_stamp(kEgress);
    nodes.take_stamp(kIngress);
    EXPECT_EQ(nodes.dump(), before);
    EXPECT_EQ(roots(nodes), roots_before);
  }
  EXPECT_GE(tried.size(), 6U) << fmt::format("only {}", fmt::join(tried, ", "));
}

TEST(Lanes, TheDestructorRemovesWhatItMade) {
  const LaneNodes nodes;
  nodes.make_clsact();
  const std::string before = nodes.dump();
  {
    Shaper shaper = nodes.shaper();
    EXPECT_EQ(nodes.dump(), before) << "make() makes nothing yet";
    check(shaper.prepare({queue(1, rate(1'000'000))}));
    EXPECT_NE(nodes.dump(), before);
  }
  EXPECT_EQ(nodes.dump(), before);
}

TEST(Lanes, ClassesAreAddedToThoseThatAreThere) {
  const LaneNodes nodes;
  nodes.make_clsact();
  Shaper shaper = nodes.shaper();
  check(shaper.prepare({queue(1, rate(1'000'000))}));
  check(shaper.prepare({queue(1, rate(1'000'000)), queue(2, rate(2'000'000))}));
  check(shaper.prepare({queue(3, rate(2'000'000), kIngress)}));
  EXPECT_THAT(value_of(shaper.state()), testing::SizeIs(3));
  EXPECT_THAT(value_of(shaper.violations()), testing::IsEmpty());
  EXPECT_THAT(error_of(shaper.prepare({queue(2, rate(3'000'000))})), HasSubstr("cannot become"));
}

TEST(Lanes, ASecondShaperIsRefused) {
  const LaneNodes nodes;
  nodes.make_clsact();
  Shaper first = nodes.shaper();
  check(first.prepare({queue(1, rate(1'000'000))}));
  Shaper second = nodes.shaper();
  const Status refused = second.prepare({queue(1, rate(1'000'000))});
  EXPECT_THAT(error_of(refused), HasSubstr("zq-egress exists already"));
  EXPECT_THAT(value_of(first.violations()), testing::IsEmpty());
}

TEST(Lanes, RemovalWaitsForWhatIsInside) {
  const LaneNodes nodes;
  nodes.put_stamp(kEgress, 4, kMarked);
  Shaper shaper = nodes.shaper();
  check(shaper.prepare({queue(4, rate(1'000'000))}));
  const UdpSocket a(nodes.a, LaneNodes::kA4, 7001);
  set_mark(a.fd(), kMarked);
  const UdpSocket b(nodes.b, LaneNodes::kB4, 7001);
  const std::string text(1000, 'x');  // 8.3 ms each
  for (int i = 0; i < 14; ++i) ASSERT_EQ(a.send(LaneNodes::kB4, 7001, text), 0);
  EXPECT_GT(state_of(shaper, 4).backlog_packets, 5U);
  check(shaper.remove(5s));
  EXPECT_EQ(b.drain(), 14U);
  const QueueState last = state_of(shaper, 4);
  EXPECT_EQ(last.sent_packets, 14U);
  EXPECT_EQ(last.backlog_packets + last.discarded_packets + last.dropped_packets, 0U);
  check(shaper.remove(5s));
}

TEST(Lanes, RemovalCountsWhatItDiscards) {
  const LaneNodes nodes;
  nodes.put_stamp(kEgress, 4, kMarked);
  Shaper shaper = nodes.shaper();
  check(shaper.prepare({queue(4, rate(100'000))}));
  const UdpSocket a(nodes.a, LaneNodes::kA4, 7001);
  set_mark(a.fd(), kMarked);
  const UdpSocket b(nodes.b, LaneNodes::kB4, 7001);
  const std::string text(1000, 'x');  // 83 ms each; 16,000 bytes of them fit
  for (int i = 0; i < 40; ++i) ASSERT_EQ(a.send(LaneNodes::kB4, 7001, text), 0);
  check(shaper.remove(100ms));
  const QueueState last = state_of(shaper, 4);
  EXPECT_EQ(last.sent_packets, b.drain());
  EXPECT_GE(last.discarded_packets, 10U);
  EXPECT_GE(last.excess_packets, 10U);
  EXPECT_EQ(last.dropped_packets, 0U);
  EXPECT_EQ(last.sent_packets + last.discarded_packets + last.excess_packets, 40U);
}

TEST(Lanes, WhatOthersDoToThemIsAViolation) {
  const LaneNodes nodes;
  nodes.make_clsact();
  Shaper shaper = nodes.shaper();
  check(shaper.prepare({queue(5, rate(1'000'000))}));
  const auto violations = [&] { return value_of(shaper.violations()); };
  EXPECT_THAT(violations(), testing::IsEmpty());

  nodes.a.tc("class change dev zq-egress classid 7a71:5 htb rate 2mbit");
  EXPECT_THAT(violations(), testing::Contains(HasSubstr("zq-egress: gone or changed: class")));
  nodes.a.tc("filter del dev up0 egress pref 2");
  EXPECT_THAT(violations(),
              testing::Contains("up0 egress: the steering filter is gone or changed"));
  nodes.a.tc("qdisc del dev zq-egress root");
  EXPECT_THAT(violations(), testing::Contains(HasSubstr("gone or changed: qdisc zq-egress htb")));
  nodes.a.ip("link set zq-egress down");
  EXPECT_THAT(violations(), testing::Contains("device zq-egress is down"));
  nodes.a.ip("link del zq-egress");
  EXPECT_THAT(violations(), testing::Contains("device zq-egress went away"));
  EXPECT_EQ(error_of(shaper.remove(0ms)), "") << "what is gone need not be removed";
}

TEST(Lanes, LeftoversAreFoundByNameAndKind) {
  const LaneNodes nodes;
  nodes.make_clsact();
  const std::string before = nodes.dump();
  nodes.a.ip("link add zq-ingress type bridge");  // somebody else's
  const auto clean = [&] {
    return nodes.a.run([&] { return value_of(remove_leftover_lanes({nodes.uplink})); });
  };
  EXPECT_THAT(clean(), testing::IsEmpty());
  {
    auto socket = nodes.socket();
    const unsigned lane = value_of(add_ifb(socket, "zq-egress"));
    check(set_steering_filter(socket, nodes.uplink, kEgress, nodes.steer_egress.get(), lane));
  }
  EXPECT_THAT(clean(), testing::ElementsAre("up0 egress: the steering filter", "device zq-egress"));
  EXPECT_EQ(nodes.dump(), before);
  EXPECT_NE(nodes.a.device_index("zq-ingress"), 0U);
}

TEST(Lanes, TheNextLifeOfAnAgentRemovesThem) {
  const LaneNodes nodes;
  const std::string before = nodes.dump();
  nodes.put_stamp(kEgress, 5);
  const TempDir state;
  const auto removed = nodes.a.run([&] {
    // As an agent leaves it that is killed.
    check(write_journal(
        state.path(),
        {value_of(current_boot_id()), value_of(current_netns_inode()), {{nodes.uplink, false}}}));
    auto socket = value_of(NetlinkSocket::open());
    const unsigned lane = value_of(add_ifb(socket, "zq-egress"));
    check(set_steering_filter(socket, nodes.uplink, kEgress, nodes.steer_egress.get(), lane));
    return value_of(clean_leftovers(state.path()));
  });
  EXPECT_THAT(removed, testing::ElementsAre("up0 egress: the steering filter", "device zq-egress",
                                            "up0 egress: the gate's filter", "up0: clsact",
                                            "the journal of an earlier life"));
  EXPECT_EQ(nodes.dump(), before);
}

TEST(Lanes, OthersLoseNothingWhileQueuesComeAndGo) {
  const LaneNodes nodes;
  nodes.put_stamp(kEgress, 5, kMarked);
  nodes.put_stamp(kIngress, 6, kMarked);
  std::atomic<bool> stop = false;
  std::uint64_t sent = 0;
  const UdpSocket a(nodes.a, LaneNodes::kA4, 7001);
  const UdpSocket b(nodes.b, LaneNodes::kB4, 7001);
  std::uint64_t received = 0;
  std::thread flood([&] {
    const SocketAddress to(LaneNodes::kB4, 7001);
    while (!stop || sent < 20'000) {
      if (a.send(to, "x", 1) == 0) ++sent;
      if (sent % 64 == 0) received += b.drain();
    }
  });
  for (int round = 0; round < 10; ++round) {
    Shaper shaper = nodes.shaper();
    check(shaper.prepare({queue(5, rate(50'000'000)), queue(6, rate(50'000'000), kIngress)}));
    check(shaper.prepare({queue(7, rate(60'000'000))}));
    check(shaper.remove(1s));
  }
  stop = true;
  flood.join();
  EXPECT_TRUE(wait_until([&] { return (received += b.drain()) >= sent; }));
  EXPECT_EQ(received, sent);
  EXPECT_GE(sent, 20'000U);
}

TEST(Lanes, TheMonitorTellsOurOwnFiltersFromOthersDoings) {
  const LaneNodes nodes;
  nodes.make_clsact();
  FilterMonitor monitor =
      nodes.a.run([&] { return value_of(FilterMonitor::open({nodes.uplink})); });
  Shaper shaper = nodes.shaper();
  check(shaper.prepare({queue(5, rate(1'000'000))}));
  EXPECT_TRUE(value_of(monitor.relevant_change()));
  EXPECT_THAT(monitor.violations(), testing::IsEmpty());
  {
    auto socket = nodes.socket();
    check(set_steering_filter(socket, nodes.uplink, kEgress, nodes.steer_ingress.get(),
                              nodes.a.device_index("zq-egress")));
    (void)value_of(monitor.relevant_change());
    EXPECT_THAT(monitor.violations(),
                testing::ElementsAre("up0 egress: the steering filter was replaced"));
  }
  nodes.a.tc("filter del dev up0 egress pref 2");
  EXPECT_TRUE(value_of(monitor.relevant_change()));
  EXPECT_THAT(monitor.violations(), testing::Contains("up0 egress: the steering filter is gone"));
  nodes.a.ip("link set zq-egress down");
  EXPECT_TRUE(value_of(monitor.relevant_change())) << "lanes are watched, too";
}

TEST(Lanes, ForeignFiltersBehindTheGateAreNamed) {
  const LaneNodes nodes;
  nodes.put_stamp(kEgress, 5);
  Shaper shaper = nodes.shaper();
  check(shaper.prepare({queue(5, rate(1'000'000))}));
  auto socket = nodes.socket();
  EXPECT_THAT(value_of(filters_behind(socket, {nodes.uplink})), testing::IsEmpty());
  nodes.a.tc(
      "filter add dev up0 ingress protocol ip prio 9 u32 match ip dport 9 0xffff flowid 1:1");
  EXPECT_THAT(value_of(filters_behind(socket, {nodes.uplink})),
              testing::Each(HasSubstr("up0 ingress: filter pref 9 u32")));
  EXPECT_THAT(value_of(filters_behind(socket, {nodes.uplink})), testing::Not(testing::IsEmpty()));
}

TEST(Lanes, CapabilitiesSayWhatIsThere) {
  const auto capabilities = queue_capabilities();
  ASSERT_THAT(capabilities, testing::SizeIs(3));
  EXPECT_EQ(capabilities[0].name, "ifb");
  EXPECT_TRUE(capabilities[0].present) << capabilities[0].text;
  EXPECT_EQ(capabilities[1].name, "htb");
  EXPECT_TRUE(capabilities[1].present) << capabilities[1].text;
  EXPECT_EQ(capabilities[2].name, "netem");
  // The same question asked with tc(8).
  const LaneNodes nodes;
  const std::string ask =
      fmt::format("tc -n {} qdisc add dev lo root netem delay 1ms 2>/dev/null", nodes.a.name());
  EXPECT_EQ(capabilities[2].present, std::system(ask.c_str()) == 0) << capabilities[2].text;
}

}  // namespace
}  // namespace zq::test
