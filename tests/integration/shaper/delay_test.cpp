// Delays and what goes with them: by netem where the kernel has it, else by the delay line at
// egress and refused otherwise.
#include "tests/integration/shaper/lane_fixture.h"
#include "tests/integration/shaper/traffic.h"

namespace zq::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr std::int32_t kMarked = 0x51;
constexpr std::uint16_t kPort = 7000;

// With the program that fits what the egress lane will be.
struct DelayNodes : LaneNodes {
  UniqueFd steer_line = bpf::steer_to_line();
  [[nodiscard]] Shaper fitting_shaper() const {
    return shaper(has_netem() ? steer_egress : steer_line);
  }
};

Nanos round_trip(const LaneNodes& nodes, bool v6 = false) {
  return v6 ? median_round_trip(nodes.a, LaneNodes::kA6, LaneNodes::kB6, kPort, 11, kMarked)
            : median_round_trip(nodes.a, LaneNodes::kA4, LaneNodes::kB4, kPort, 11, kMarked);
}

TEST(Delay, AtEgressInBothFamilies) {
  const DelayNodes nodes;
  const Echo echo4(nodes.b, LaneNodes::kB4, kPort);
  const Echo echo6(nodes.b, LaneNodes::kB6, kPort);
  nodes.put_stamp(kEgress, 8, kMarked);
  const Nanos floor = round_trip(nodes);
  Shaper shaper = nodes.fitting_shaper();
  check(shaper.prepare({queue(8, delay(30ms))}));
  for (const bool v6 : {false, true}) {
    const Nanos measured = round_trip(nodes, v6);
    EXPECT_GE(measured, 30ms);
    EXPECT_LT(measured, floor + 80ms);
  }
  EXPECT_EQ(shaper.uses_delay_line(), !has_netem());
  const QueueState state = state_of(shaper, 8);
  EXPECT_EQ(state.lane, has_netem() ? "netem" : "delay-line");
  EXPECT_EQ(state.sent_packets, 22U);
  EXPECT_EQ(state.dropped_packets + state.excess_packets + state.backlog_packets, 0U);
  EXPECT_EQ(state.drain, 30ms);
  EXPECT_EQ(state.limit_packets > 10'000, has_netem());
  EXPECT_THAT(value_of(shaper.violations()), testing::IsEmpty());
  check(shaper.remove(1s));
  EXPECT_LT(round_trip(nodes), floor + 20ms) << "back to the floor";
}

TEST(Delay, WithARateBothAreInForce) {
  const DelayNodes nodes;
  const Echo echo(nodes.b, LaneNodes::kB4, kPort);
  nodes.put_stamp(kEgress, 8, kMarked);
  Shaper shaper = nodes.fitting_shaper();
  Impairment both = delay(20ms);
  both.rate_bps = 10'000'000;
  check(shaper.prepare({queue(8, both)}));
  EXPECT_GE(round_trip(nodes), 20ms);
  const double goodput = tcp_goodput(nodes.a, nodes.b, LaneNodes::kB4, 2500ms, kMarked);
  EXPECT_LE(goodput, 10e6);
  EXPECT_GE(goodput, 8.5e6) << "slow start included";
  EXPECT_EQ(state_of(shaper, 8).dropped_packets, 0U);
  EXPECT_THAT(value_of(shaper.violations()), testing::IsEmpty());
  const MonoTime start = mono_now();
  check(shaper.remove(20s));
  EXPECT_LT(mono_now() - start, 10s) << "empty queues are seen to be empty, whatever they dropped";
  EXPECT_EQ(state_of(shaper, 8).discarded_packets, 0U);
}

TEST(Delay, ComesAfterARateThatIsInForceAlready) {
  const DelayNodes nodes;
  const Echo echo(nodes.b, LaneNodes::kB4, kPort);
  nodes.put_stamp(kEgress, 8, kMarked);
  const std::string before = nodes.dump();
  Shaper shaper = nodes.fitting_shaper();
  check(shaper.prepare({queue(7, rate(10'000'000))}));
  check(shaper.prepare({queue(7, rate(10'000'000)), queue(8, delay(25ms))}));
  EXPECT_GE(round_trip(nodes), 25ms);
  EXPECT_THAT(value_of(shaper.violations()), testing::IsEmpty());
  EXPECT_THAT(value_of(shaper.state()), testing::SizeIs(2));
  check(shaper.remove(1s));
  EXPECT_EQ(nodes.dump(), before);
}

TEST(Delay, RemovalWaitsForWhatIsHeld) {
  const DelayNodes nodes;
  nodes.put_stamp(kEgress, 8, kMarked);
  Shaper shaper = nodes.fitting_shaper();
  check(shaper.prepare({queue(8, delay(300ms))}));
  const UdpSocket a(nodes.a, LaneNodes::kA4, 7001);
  set_mark(a.fd(), kMarked);
  const UdpSocket b(nodes.b, LaneNodes::kB4, 7001);
  for (int i = 0; i < 50; ++i) ASSERT_EQ(a.send(LaneNodes::kB4, 7001), 0);
  EXPECT_TRUE(wait_until([&] { return state_of(shaper, 8).backlog_packets == 50; }));
  EXPECT_EQ(b.drain(), 0U);
  check(shaper.remove(5s));
  EXPECT_TRUE(wait_until([&, got = std::size_t{0}]() mutable { return (got += b.drain()) == 50; }));
  EXPECT_EQ(state_of(shaper, 8).sent_packets, 50U);
  EXPECT_EQ(state_of(shaper, 8).discarded_packets, 0U);
}

TEST(Delay, RemovalWithoutPatienceDiscardsAndCounts) {
  const DelayNodes nodes;
  nodes.put_stamp(kEgress, 8, kMarked);
  Shaper shaper = nodes.fitting_shaper();
  check(shaper.prepare({queue(8, delay(5s))}));
  const UdpSocket a(nodes.a, LaneNodes::kA4, 7001);
  set_mark(a.fd(), kMarked);
  const UdpSocket b(nodes.b, LaneNodes::kB4, 7001);
  for (int i = 0; i < 50; ++i) ASSERT_EQ(a.send(LaneNodes::kB4, 7001), 0);
  EXPECT_TRUE(wait_until([&] { return state_of(shaper, 8).backlog_packets == 50; }));
  check(shaper.remove(0s));
  EXPECT_EQ(state_of(shaper, 8).discarded_packets, 50U);
  EXPECT_EQ(b.drain(), 0U);
}

// The kernel marks packets that come out of an ifb so that they are not redirected again, and the
// mark must not go on to the peer, where it would let them past the first filter.
TEST(Delay, NothingSlipsPastThePeersFilters) {
  for (const Nanos patience : {Nanos(5s), Nanos(0s)}) {
    const DelayNodes nodes;
    nodes.put_stamp(kEgress, 8, kMarked);
    Shaper shaper = nodes.fitting_shaper();
    check(shaper.prepare({queue(8, delay(50ms))}));
    const UdpSocket a(nodes.a, LaneNodes::kA4, 7001);
    set_mark(a.fd(), kMarked);
    const UdpSocket b(nodes.b, LaneNodes::kB4, 7001);
    ASSERT_EQ(a.send(LaneNodes::kB4, 7001), 0);
    ASSERT_TRUE(b.receive());
    nodes.b.run([] {
      auto socket = value_of(NetlinkSocket::open());
      const Uplink device{"up0", ::if_nametoindex("up0")};
      const UniqueFd drop = bpf::drop();
      (void)value_of(add_clsact(socket, device));
      check(add_gate_filter(socket, device, kIngress, drop.get()));
    });
    const std::uint64_t before = state_of(shaper, 8).sent_packets;
    for (int i = 0; i < 60; ++i) ASSERT_EQ(a.send(LaneNodes::kB4, 7001), 0);
    check(shaper.remove(patience));
    const QueueState last = state_of(shaper, 8);
    EXPECT_EQ(last.sent_packets - before + last.discarded_packets, 60U);
    EXPECT_FALSE(b.receive(200ms));
  }
}

TEST(Delay, AtIngress) {
  const LaneNodes nodes;
  nodes.put_stamp(kIngress, 8);
  Shaper shaper = nodes.shaper();
  const Status prepared = shaper.prepare({queue(8, delay(30ms), kIngress, 4)});
  if (!has_netem()) {
    EXPECT_THAT(error_of(prepared),
                AllOf(HasSubstr("this node cannot make delay 30ms from group 4"),
                      HasSubstr("sch_netem is not in this kernel"),
                      HasSubstr("the delay line serves the sending side only")));
    EXPECT_EQ(prepared.error().code, ErrorCode::kRefused);
    return;
  }
  check(prepared);
  const Echo echo(nodes.b, LaneNodes::kB4, kPort);
  EXPECT_GE(round_trip(nodes), 30ms);
  EXPECT_THAT(value_of(shaper.violations()), testing::IsEmpty());
}

TEST(Delay, CorruptionAndReorderingNeedNetem) {
  const LaneNodes nodes;
  nodes.make_clsact();
  const std::string before = nodes.dump();
  Impairment corrupts;
  corrupts.corrupt = 0.25;
  Impairment reorders = delay(10ms);
  reorders.reorder = 0.25;
  for (const Impairment& impairment : {corrupts, reorders}) {
    Shaper shaper = nodes.shaper();
    const Status prepared = shaper.prepare({queue(1, impairment)});
    if (has_netem()) {
      check(prepared);
      EXPECT_THAT(nodes.tc("-d qdisc show dev zq-egress"),
                  HasSubstr(impairment.corrupt > 0 ? "corrupt 25%" : "reorder 25%"));
      continue;
    }
    EXPECT_THAT(error_of(prepared),
                AllOf(HasSubstr("sch_netem is not in this kernel"),
                      HasSubstr(impairment.corrupt > 0 ? "corrupts packets" : "reorders packets")));
    EXPECT_EQ(nodes.dump(), before) << "refused before anything was made";
  }
}

// What netem was asked for, as tc(8) reads it back; without netem there is nothing to read.
TEST(Delay, NetemGetsWhatWasAskedFor) {
  const LaneNodes nodes;
  nodes.make_clsact();
  Shaper shaper = nodes.shaper();
  Impairment full = delay(50'123'456ns);
  full.jitter = 7'654'321ns;
  full.delay_correlation = 0.25;
  full.distribution = Distribution::kParetoNormal;
  full.corrupt = 0.125;
  full.reorder = 0.5;
  full.rate_bps = 40'000'000'000;
  full.loss.kind = LossModel::Kind::kRandom;
  full.loss.parameters[0] = 0.5;
  full.duplicate = 0.5;
  Impairment table = delay(10ms);
  table.jitter = 1ms;
  table.distribution = Distribution::kCustom;
  table.table.assign(16384, 4096);
  const Status prepared = shaper.prepare({queue(1, full), queue(1000, table)});
  if (!has_netem()) {
    EXPECT_THAT(error_of(prepared), HasSubstr("sch_netem is not in this kernel"));
    return;
  }
  check(prepared);
  const std::string qdiscs = nodes.tc("-d qdisc show dev zq-egress");
  EXPECT_THAT(qdiscs,
              AllOf(HasSubstr("qdisc netem 2001: parent 7a71:1 limit"),
                    HasSubstr("delay 50.1ms  7.65ms 25%"), HasSubstr("corrupt 12.5%"),
                    HasSubstr("reorder 50%"), HasSubstr("qdisc bfifo 3001: parent 2001:1 limit"),
                    HasSubstr("qdisc netem 23e8: parent 7a71:3e8")));
  EXPECT_THAT(qdiscs, AllOf(testing::Not(HasSubstr("loss")), testing::Not(HasSubstr("duplicate"))));
  for (const QueueState& state : value_of(shaper.state())) EXPECT_GT(state.limit_packets, 10'000U);
  Impairment wide = delay(10s);
  wide.jitter = 3s;
  EXPECT_THAT(error_of(shaper.prepare({queue(2, wide)})), HasSubstr("at most 2.147s of jitter"));
}

}  // namespace
}  // namespace zq::test
