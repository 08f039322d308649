// Windows that open and close by the kernel's clock, programmes swapped under load, and what the
// evidence says about both.
#include <iostream>

#include "tests/integration/dataplane/flood.h"

namespace zq::test {
namespace {

constexpr auto kEgress = FlowDirection::kEgress;
constexpr auto kIngress = FlowDirection::kIngress;
constexpr int kRate = 8000;

TEST(Window, OpensAndClosesByTheClockUnderAFlood) {
  const TwoNodes nodes;
  Gate gate = nodes.attach();
  ASSERT_TRUE(value_of(gate.renew_lease(60s)));
  const UdpSocket a(nodes.a, TwoNodes::kA4, 7000);
  const UdpSocket b(nodes.b, TwoNodes::kB4, 7000);
  Flood out(a, TwoNodes::kB4, 7000, kRate);
  Flood in(b, TwoNodes::kA4, 7000, kRate);
  const MonoTime from = mono_now() + 400ms;
  const MonoTime until = from + 400ms;
  check(gate.load({{rule(kEgress, 1, from, until), rule(kIngress, 1, from, until)}, {}}));
  ASSERT_TRUE(wait_until([&] { return mono_now() > until + 200ms; }));
  out.stop();
  in.stop();
  EXPECT_EQ(out.errors() + in.errors(), 0U);
  EXPECT_GE(out.sent() + in.sent(), 2U * 5000) << "over 1 s: the flood itself was too slow";

  for (const FlowDirection direction : {kEgress, kIngress}) {
    SCOPED_TRACE(static_cast<int>(direction));
    const WindowEvidence proof = evidence(gate, direction, 1);
    EXPECT_GT(proof.last_passed_ns, 0);
    EXPECT_LT(proof.last_passed_ns, to_ns(from));
    EXPECT_GE(proof.first_dropped_ns, to_ns(from));
    EXPECT_LT(proof.last_dropped_ns, to_ns(until));
    EXPECT_GE(proof.first_passed_ns, to_ns(until));
    EXPECT_EQ(proof.passed_packets, 0U);
    EXPECT_GE(proof.dropped_packets, 1000U);
    const auto opening_gap = proof.first_dropped_ns - proof.last_passed_ns;
    const auto closing_gap = proof.first_passed_ns - proof.last_dropped_ns;
    std::cout << fmt::format(
        "direction {}: {} dropped, gaps {} us at the opening, {} us at the end\n",
        static_cast<int>(direction), proof.dropped_packets, opening_gap / 1000, closing_gap / 1000);
    const GateCounter counted = counter(gate, direction, 1);
    EXPECT_EQ(counted.dropped_packets, proof.dropped_packets);
  }
  // Every datagram is accounted for: counted as dropped, or received.
  const WindowEvidence egress = evidence(gate, kEgress, 1);
  std::size_t received = 0;
  EXPECT_TRUE(wait_until([&] {
    received += b.drain();
    return received + egress.dropped_packets >= out.sent();
  }));
  EXPECT_EQ(received + egress.dropped_packets, out.sent());
}

TEST(Window, SeveralWindowsAreKeptApart) {
  const TwoNodes nodes;
  Gate gate = nodes.attach();
  ASSERT_TRUE(value_of(gate.renew_lease(60s)));
  const UdpSocket a(nodes.a, TwoNodes::kA4, 7000);
  const UdpSocket b(nodes.b, TwoNodes::kB4, 7000);
  const MonoTime start = mono_now() + 300ms;
  GateRule flapping{kEgress, 1, {}};
  for (int i = 0; i < 4; ++i) {
    flapping.segments.push_back({start + i * 200ms, start + i * 200ms + 100ms});
  }
  Flood out(a, TwoNodes::kB4, 7000, kRate);
  check(gate.load({{flapping}, {}}));
  ASSERT_TRUE(wait_until([&] { return mono_now() > flapping.segments.back().until + 50ms; }));
  out.stop();
  const auto proofs = value_of(gate.evidence());
  ASSERT_EQ(proofs.size(), 4U);
  for (std::size_t i = 0; i < proofs.size(); ++i) {
    SCOPED_TRACE(i);
    const std::int64_t from = to_ns(flapping.segments[i].from);
    const std::int64_t until = to_ns(flapping.segments[i].until);
    EXPECT_GT(proofs[i].dropped_packets, 0U);
    EXPECT_GE(proofs[i].first_dropped_ns, from);
    EXPECT_LT(proofs[i].last_dropped_ns, until);
    EXPECT_LT(proofs[i].last_passed_ns, from);
    EXPECT_GT(proofs[i].last_passed_ns, i == 0 ? 0 : to_ns(flapping.segments[i - 1].until));
    EXPECT_GE(proofs[i].first_passed_ns, until);
  }
}

TEST(Window, ALongSilenceIsBridgedInTheEvidence) {
  const TwoNodes nodes;
  Gate gate = nodes.attach();
  ASSERT_TRUE(value_of(gate.renew_lease(60s)));
  const UdpSocket a(nodes.a, TwoNodes::kA4, 7000);
  const MonoTime start = mono_now() + 400ms;
  const GateRule two{kEgress, 1, {{start, start + 20ms}, {start + 40ms, start + 60ms}}};
  check(gate.load({{two}, {}}));
  ASSERT_EQ(a.send(TwoNodes::kB4, 7000), 0);
  ASSERT_LT(mono_now(), start) << "the machine is too slow for this test";
  ASSERT_TRUE(wait_until([&] { return mono_now() > start + 60ms; }));
  ASSERT_EQ(a.send(TwoNodes::kB4, 7000), 0);
  for (const WindowEvidence& proof : value_of(gate.evidence())) {
    EXPECT_GT(proof.last_passed_ns, 0);
    EXPECT_LT(proof.last_passed_ns, to_ns(start));
    EXPECT_GE(proof.first_passed_ns, to_ns(start + 60ms));
  }
}

TEST(Window, HealingEndsWindowsAndKeepsTheirEvidence) {
  const TwoNodes nodes;
  Gate gate = nodes.attach();
  ASSERT_TRUE(value_of(gate.renew_lease(60s)));
  const UdpSocket a(nodes.a, TwoNodes::kA4, 7000);
  const UdpSocket b(nodes.b, TwoNodes::kB4, 7000);
  const MonoTime now = mono_now();
  check(gate.load({{{kEgress, 1, {{now, now + 60s}, {now + 61s, now + 70s}}}}, {}}));
  ASSERT_EQ(a.send(TwoNodes::kB4, 7000), 0);
  check(gate.load({}));
  const MonoTime healed = mono_now();
  ASSERT_EQ(a.send(TwoNodes::kB4, 7000), 0);
  ASSERT_TRUE(b.receive());
  const auto proofs = value_of(gate.evidence());
  ASSERT_EQ(proofs.size(), 2U);
  EXPECT_EQ(proofs[0].window.until, now + 60s) << "as it was planned";
  EXPECT_EQ(proofs[0].dropped_packets, 1U);
  EXPECT_EQ(proofs[0].passed_packets, 0U);
  EXPECT_GE(proofs[0].first_passed_ns, to_ns(healed));
  EXPECT_EQ(proofs[1].dropped_packets, 0U);
  check(gate.load({{rule(kEgress, 1, now, now + 60s)}, {}}));
  EXPECT_EQ(evidence(gate, kEgress, 1).dropped_packets, 0U) << "a new programme starts anew";
  EXPECT_EQ(counter(gate, kEgress, 1).dropped_packets, 1U) << "counters go on";
}

TEST(Window, SwappingProgrammesLosesNothingOfOthers) {
  const TwoNodes nodes;
  add_address(nodes.b, "up0", "10.66.0.3/24");
  GateConfig config = nodes.config();
  config.groups = 3;
  config.book.push_back({prefix("10.66.0.3"), 2});
  Gate gate = nodes.attach(config);
  ASSERT_TRUE(value_of(gate.renew_lease(60s)));
  const UdpSocket a(nodes.a, TwoNodes::kA4, 7000);
  const UdpSocket cut_off(nodes.b, TwoNodes::kB4, 7000);
  const UdpSocket spared(nodes.b, "10.66.0.3", 7000);

  constexpr std::size_t kPackets = 100000;
  std::size_t received = 0;
  std::size_t swaps = 0;
  {
    Flood to_spared(a, "10.66.0.3", 7000, 50000);
    while (to_spared.sent() < kPackets) {
      // One group is cut all the time, by ever new programmes; it must not see a gap either.
      check(gate.load(cut(1)));
      ++swaps;
      ASSERT_EQ(a.send(TwoNodes::kB4, 7000), 0);
      received += spared.drain();
    }
    to_spared.stop();
    EXPECT_TRUE(wait_until([&] {
      received += spared.drain();
      return received == to_spared.sent();
    })) << received
        << " of " << to_spared.sent();
  }
  EXPECT_GE(swaps, 10U);
  EXPECT_EQ(cut_off.drain(), 0U);
  EXPECT_EQ(counter(gate, kEgress, 1).dropped_packets, swaps);
  EXPECT_GE(counter(gate, kEgress, 2).passed_packets, kPackets);
  std::cout << fmt::format("{} packets, {} swaps\n", received, swaps);
}

TEST(Window, JoiningAClsactLosesNothing) {
  const TwoNodes nodes;
  nodes.a.tc("qdisc add dev up0 clsact");
  const UdpSocket a(nodes.a, TwoNodes::kA4, 7000);
  const UdpSocket b(nodes.b, TwoNodes::kB4, 7000);
  Flood out(a, TwoNodes::kB4, 7000, kRate);
  {
    Gate gate = nodes.attach();
    ASSERT_TRUE(value_of(gate.renew_lease(60s)));
    check(gate.load(cut(0)));
    check(gate.detach());
  }
  out.stop();
  EXPECT_GT(out.sent(), 0U);
  std::size_t received = 0;
  EXPECT_TRUE(wait_until([&] { return (received += b.drain()) == out.sent(); }))
      << received << " of " << out.sent();
}

}  // namespace
}  // namespace zq::test
