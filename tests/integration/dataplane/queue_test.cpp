// Packets that wait in a queue: counted once, dropped by windows that open meanwhile, let out after
// a heal, and no trace of it at the neighbour's. A low rate makes a standing queue in every kernel.
#include <cstddef>
#include <iostream>

#include "tests/integration/dataplane/flood.h"
#include "tests/integration/dataplane/foreign.h"

namespace zq::test {
namespace {

constexpr auto kEgress = FlowDirection::kEgress;
constexpr auto kIngress = FlowDirection::kIngress;
constexpr std::uint64_t kBurst = 30;      // packets; more would be over the rate for too long
constexpr std::size_t kPayload = 458;     // 500 bytes on the wire
constexpr std::uint64_t kRate = 400'000;  // 100 packets per second

GateRule::Segment impair(MonoTime from, Nanos length) {
  GateRule::Segment segment{from, from + length};
  segment.treatment = Treatment::kImpair;
  return segment;
}

Impairment rate() {
  Impairment impairment;
  impairment.rate_bps = kRate;
  return impairment;
}

class Queued : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(value_of(gate_.renew_lease(60s))); }
  void send_burst(const UdpSocket& from, const char* to, std::uint64_t count = kBurst) {
    const std::string text(kPayload, 'x');
    const SocketAddress target(to, 7000);
    for (std::uint64_t i = 0; i < count; ++i) {
      ASSERT_EQ(from.send(target, text.data(), text.size()), 0);
    }
  }
  static std::size_t receive(const UdpSocket& at, std::size_t expected) {
    std::size_t received = 0;
    wait_until([&] { return (received += at.drain()) >= expected; }, 15s);
    return received;
  }

  TwoNodes nodes_;
  Gate gate_ = nodes_.attach();
  UdpSocket a_{nodes_.a, TwoNodes::kA4, 7000};
  UdpSocket b_{nodes_.b, TwoNodes::kB4, 7000};
};

TEST_F(Queued, ARateHoldsAtEitherHookAndCountsOnce) {
  for (const FlowDirection direction : {kEgress, kIngress}) {
    SCOPED_TRACE(static_cast<int>(direction));
    check(gate_.load({{{direction, 1, {impair(mono_now(), 60s)}}}, {rate()}}));
    const bool egress = direction == kEgress;
    const MonoTime began = mono_now();
    send_burst(egress ? a_ : b_, egress ? TwoNodes::kB4 : TwoNodes::kA4);
    EXPECT_EQ(receive(egress ? b_ : a_, kBurst), kBurst);
    EXPECT_GT(mono_now() - began, 100ms) << "300 ms less what a burst may hold";
    const GateCounter counted = counter(gate_, direction, 1);
    const WindowEvidence proof = evidence(gate_, direction, 1);
    EXPECT_EQ(proof.impaired_packets, counted.queued_packets);
    EXPECT_GE(counted.queued_packets, kBurst);
    EXPECT_EQ(counted.queued_packets, counted.passed_packets);
    EXPECT_EQ(counted.unqueued_packets, 0U);
    EXPECT_EQ(proof.held_passed_packets, 0U) << "the segment is not over";
    EXPECT_THAT(value_of(gate_.violations()), testing::IsEmpty());
  }
  const auto queues = value_of(gate_.queues());
  ASSERT_EQ(queues.size(), 2U);
  for (const QueueState& queue : queues) {
    EXPECT_GE(queue.sent_packets, kBurst);
    EXPECT_EQ(queue.dropped_packets, 0U);
    EXPECT_GT(queue.burst_bytes, 0U);
  }
  EXPECT_GT(gate_.longest_drain(), Nanos{0});
}

// Were the mark that makes the kernel skip the lane's filters not consumed, it would make it skip
// the ingress of the peer, over a veth.
TEST_F(Queued, APeersGateSeesEveryPacketAlsoAfterAHeal) {
  GateConfig config = nodes_.config();
  config.own_group = 1;
  config.uplinks = {{"up0", nodes_.b.device_index("up0")}};
  const TempDir state;
  const Gate peer = nodes_.b.run([&] { return value_of(Gate::attach(config, state.path())); });
  check(gate_.load({{{kEgress, 1, {impair(mono_now(), 60s)}}}, {rate()}}));
  send_burst(a_, TwoNodes::kB4);
  const std::size_t before = receive(b_, 10);
  ASSERT_LT(before, kBurst) << "the machine is too slow for this test";
  check(gate_.load({}));
  EXPECT_EQ(before + receive(b_, kBurst - before), kBurst) << "a heal loses nothing";
  EXPECT_GE(counter(peer, kIngress, 0).passed_packets, kBurst);
  const WindowEvidence proof = evidence(gate_, kEgress, 1);
  EXPECT_GE(proof.held_passed_packets, 1U) << "of the 20 that were in the queue";
  EXPECT_LE(proof.held_passed_packets, proof.impaired_packets - before);
  EXPECT_GT(proof.last_held_ns, proof.last_impaired_ns);
  EXPECT_EQ(counter(gate_, kEgress, 1).passed_packets, proof.impaired_packets) << "counted once";
}

TEST_F(Queued, AWindowOfDropsOpensOntoAFullQueue) {
  // The queue is there before the clock starts.
  check(gate_.load({{{kEgress, 1, {impair(mono_now(), 30s)}}}, {rate()}}));
  GateRule::Segment drops;
  for (int tries = 0; tries < 10; ++tries) {  // until the burst is sent before the window opens
    const MonoTime now = mono_now();
    drops = {now + 150ms, now + 30s};
    check(gate_.load({{{kEgress, 1, {drops, impair(now, 30s)}}}, {rate()}}));
    send_burst(a_, TwoNodes::kB4);
    if (mono_now() < drops.from) break;
    check(gate_.load({}));
    ASSERT_TRUE(wait_until([&] { return value_of(gate_.queues())[0].backlog_packets == 0; }));
    b_.drain();
  }
  ASSERT_LT(mono_now(), drops.from) << "the machine is too slow for this test";
  std::size_t received = 0;
  WindowEvidence proof;
  EXPECT_TRUE(wait_until([&] {
    received += b_.drain();
    proof = evidence(gate_, kEgress, 1);
    return received + proof.held_dropped_packets >= kBurst;
  }));
  EXPECT_GT(received, 0U);
  EXPECT_GE(proof.held_dropped_packets, 1U) << "300 ms of packets, 150 ms of time";
  EXPECT_GE(proof.last_held_ns, to_ns(drops.from));
  // What else is under way between two hosts may have been held, too; what the test sent was not
  // both received and dropped.
  EXPECT_LE(received, kBurst);
  EXPECT_FALSE(b_.receive(50ms));
}

TEST_F(Queued, ALapsedLeaseLetsTheQueueOut) {
  const TwoNodes nodes;
  Gate gate = nodes.attach();
  ASSERT_TRUE(value_of(gate.renew_lease(200ms)));
  const MonoTime now = mono_now();
  GateRule::Segment drops{now + 150ms, now + 30s};
  check(gate.load({{{kEgress, 1, {impair(now, 150ms), drops}}}, {rate()}}));
  const UdpSocket a(nodes.a, TwoNodes::kA4, 7000);
  const UdpSocket b(nodes.b, TwoNodes::kB4, 7000);
  ASSERT_TRUE(wait_until([&] { return value_of(gate.lease()).lapsed; }));
  send_burst(a, TwoNodes::kB4);
  EXPECT_EQ(receive(b, kBurst), kBurst);
  EXPECT_EQ(counter(gate, kEgress, 1).queued_packets, 0U);
  EXPECT_EQ(counter(gate, kEgress, 1).dropped_packets, 0U);
}

TEST_F(Queued, DelayAndDuplicatesTogether) {
  Impairment impairment;
  impairment.delay = 30ms;
  impairment.duplicate = 1;
  check(gate_.load({{{kEgress, 1, {impair(mono_now(), 60s)}}}, {impairment}}));
  const MonoTime began = mono_now();
  send_burst(a_, TwoNodes::kB4, 20);
  ASSERT_TRUE(b_.receive());
  EXPECT_GE(mono_now() - began, 30ms);
  EXPECT_EQ(receive(b_, 39), 39U) << "copies are delayed as well";
  EXPECT_GE(evidence(gate_, kEgress, 1).duplicated_packets, 20U);
  EXPECT_EQ(counter(gate_, kEgress, 1).unqueued_packets, 0U);
  EXPECT_THAT(value_of(gate_.violations()), testing::IsEmpty());
}

// Rates first, delay later: where there is no netem the lane changes under way.
TEST_F(Queued, QueuesKeepTheirMeaningOverLoads) {
  Impairment delay;
  delay.delay = 20ms;
  check(gate_.load({{{kEgress, 1, {impair(mono_now(), 60s)}}}, {rate()}}));
  send_burst(a_, TwoNodes::kB4, 20);
  check(gate_.load({{{kEgress, 1, {impair(mono_now(), 60s)}}}, {delay, rate()}}));
  EXPECT_EQ(receive(b_, 20), 20U);
  const MonoTime began = mono_now();
  send_burst(a_, TwoNodes::kB4, 5);
  ASSERT_TRUE(b_.receive());
  EXPECT_GE(mono_now() - began, 20ms);
  EXPECT_EQ(receive(b_, 4), 4U);
  EXPECT_EQ(value_of(gate_.queues()).size(), 2U);
  check(gate_.detach());
  const auto queues = value_of(gate_.queues());
  ASSERT_EQ(queues.size(), 2U) << "what they did can still be told";
  EXPECT_EQ(queues[0].discarded_packets + queues[1].discarded_packets, 0U);
}

TEST_F(Queued, RefusesFiltersBehindTheGateThatWouldNotSeePackets) {
  add_foreign_filter(nodes_, kEgress, 10, "accounting");
  const GateProgramme programme{{{kEgress, 1, {impair(mono_now(), 60s)}}}, {rate()}};
  EXPECT_THAT(error_of(gate_.load(programme)), testing::HasSubstr("'accounting'"));
  check(gate_.load(cut(1)));
}

// Drops every packet whose tc_index is not 0.
UniqueFd stamp_detector() {
  constexpr std::int16_t kTcIndex = offsetof(__sk_buff, tc_index);
  const bpf_insn code[] = {
      {BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1, kTcIndex, 0},
      {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, TC_ACT_UNSPEC},
      {BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_2, 0, 1, 0},
      {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, TC_ACT_SHOT},
      {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
  };
  UniqueFd fd(bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "stamps", "GPL", code, 5, nullptr));
  if (!fd) throw std::runtime_error(std::string("loading: ") + strerror(errno));
  return fd;
}

TEST_F(Queued, NoStampReachesTheNeighbour) {
  nodes_.b.tc("qdisc add dev up0 clsact");
  add_filter(nodes_.b, kIngress, 1, "stamps", stamp_detector());
  Impairment impairment = rate();
  impairment.duplicate = 0.5;
  impairment.loss = {LossModel::Kind::kRandom, {0.1}};
  Impairment unqueued;
  unqueued.duplicate = 0.5;
  for (const Impairment& each : {impairment, unqueued}) {
    check(gate_.load({{{kEgress, 1, {impair(mono_now(), 60s)}}}, {each}}));
    send_burst(a_, TwoNodes::kB4, 15);
    const WindowEvidence proof = evidence(gate_, kEgress, 1);
    // Lost and doubled is one that goes through.
    const std::uint64_t expected =
        15 + proof.duplicated_packets - std::min<std::uint64_t>(proof.lost_packets, 15);
    EXPECT_GE(receive(b_, expected), expected);
  }
}

TEST_F(Queued, UnimpairedTrafficLosesNothingWhileProgrammesComeAndGo) {
  add_address(nodes_.b, "up0", "10.66.0.3/24");
  GateConfig config = nodes_.config();
  config.groups = 3;
  config.book.push_back({prefix("10.66.0.3"), 2});
  check(gate_.detach());
  Gate gate = nodes_.attach(config);
  ASSERT_TRUE(value_of(gate.renew_lease(60s)));
  const UdpSocket spared(nodes_.b, "10.66.0.3", 7000);
  Impairment lossy;
  lossy.loss = {LossModel::Kind::kRandom, {0.5}};
  constexpr std::uint64_t kPackets = 400'000;
  std::size_t received = 0;
  std::size_t loads = 0;
  Flood flood(a_, "10.66.0.3", 7000, 100'000);
  while (flood.sent() < kPackets) {
    const MonoTime now = mono_now();
    GateRule::Segment rejecting{now, now + 60s};
    rejecting.treatment = Treatment::kReject;
    switch (loads++ % 5) {
      case 0:
        check(gate.load({{{kEgress, 1, {impair(now, 60s)}}}, {rate()}}));
        break;
      case 1:
        check(gate.load({{{kEgress, 1, {impair(now, 60s)}}}, {lossy}}));
        break;
      case 2:
        check(gate.load(cut(1)));
        break;
      case 3:
        check(gate.load({{{kEgress, 1, {rejecting}}}, {}}));
        break;
      default:
        check(gate.load({}));
    }
    (void)a_.send(TwoNodes::kB4, 7000);
    received += spared.drain();
  }
  flood.stop();
  EXPECT_TRUE(wait_until([&] { return (received += spared.drain()) == flood.sent(); }))
      << received << " of " << flood.sent();
  EXPECT_GE(counter(gate, kEgress, 2).passed_packets, kPackets);
  EXPECT_EQ(counter(gate, kEgress, 2).dropped_packets, 0U);
  std::cout << fmt::format("{} packets, {} loads\n", received, loads);
}

}  // namespace
}  // namespace zq::test
