// Loss, duplication and flapping, measured by what arrives and by what the gate counts.
#include <cmath>
#include <iostream>
#include <map>

#include "tests/integration/dataplane/flood.h"

namespace zq::test {
namespace {

constexpr auto kEgress = FlowDirection::kEgress;
constexpr auto kIngress = FlowDirection::kIngress;
constexpr std::uint64_t kPackets = 40'000;
// Two-sided 99.99 %: of all comparisons here together, one run in a thousand fails by chance.
constexpr double kQuantile = 4.0;

GateProgramme impaired(const Impairment& impairment, FlowDirection direction = kEgress) {
  GateRule::Segment segment;
  segment.from = mono_now();
  segment.until = segment.from + 60s;
  segment.treatment = Treatment::kImpair;
  return {{{direction, 1, {segment}}}, {impairment}};
}

Impairment losing(LossModel::Kind kind, std::array<double, 5> parameters) {
  Impairment impairment;
  impairment.loss = {kind, parameters};
  return impairment;
}

// What became of numbered datagrams from one node to the other.
struct Outcome {
  std::vector<std::uint32_t> copies;  // by number
  [[nodiscard]] double share_lost() const {
    return static_cast<double>(std::ranges::count(copies, 0U)) / static_cast<double>(copies.size());
  }
  // Lengths of runs of lost packets.
  [[nodiscard]] std::vector<double> bursts() const {
    std::vector<double> lengths;
    bool inside = false;
    for (const std::uint32_t count : copies) {
      if (count == 0 && !inside) lengths.push_back(0);
      inside = count == 0;
      if (inside) lengths.back() += 1;
    }
    return lengths;
  }
};

Outcome measure(const TwoNodes& nodes, bool to_b = true, std::uint64_t packets = kPackets) {
  const UdpSocket a(nodes.a, TwoNodes::kA4, 7000);
  const UdpSocket b(nodes.b, TwoNodes::kB4, 7000);
  const UdpSocket& from = to_b ? a : b;
  const UdpSocket& to = to_b ? b : a;
  const SocketAddress target(to_b ? TwoNodes::kB4 : TwoNodes::kA4, 7000);
  Outcome outcome;
  outcome.copies.resize(packets);
  std::uint64_t received = 0;
  const auto drain = [&] {
    received += to.drain([&](std::string_view bytes) {
      std::uint64_t number = 0;
      std::memcpy(&number, bytes.data(), sizeof number);
      if (number < packets) ++outcome.copies[number];
    });
  };
  for (std::uint64_t number = 0; number < packets; ++number) {
    EXPECT_EQ(from.send(target, &number, sizeof number), 0);
    if (number % 256 == 0) drain();
  }
  // Until nothing more arrives.
  std::uint64_t before = 0;
  wait_until([&] {
    before = received;
    std::this_thread::sleep_for(20ms);
    drain();
    return received == before;
  });
  return outcome;
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double deviation(const std::vector<double>& values) {
  const double middle = mean(values);
  double sum = 0;
  for (const double value : values) sum += (value - middle) * (value - middle);
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

void expect_binomial(double share, double expected, double count, const char* what) {
  const double margin = kQuantile * std::sqrt(expected * (1 - expected) / count);
  std::cout << fmt::format("{}: {:.4f}, expected {:.4f} +- {:.4f}\n", what, share, expected,
                           margin);
  EXPECT_NEAR(share, expected, margin) << what;
}

TEST(Chance, RandomLossAtEitherHook) {
  const TwoNodes nodes;
  Gate gate = nodes.attach();
  ASSERT_TRUE(value_of(gate.renew_lease(60s)));
  for (const FlowDirection direction : {kEgress, kIngress}) {
    for (const double probability : {0.01, 0.1, 0.5}) {
      SCOPED_TRACE(probability);
      check(gate.load(impaired(losing(LossModel::Kind::kRandom, {probability}), direction)));
      const std::uint64_t passed = counter(gate, direction, 1).passed_packets;
      const std::uint64_t lost = counter(gate, direction, 1).lost_packets;
      const Outcome outcome = measure(nodes, direction == kEgress);
      expect_binomial(outcome.share_lost(), probability, kPackets, "random loss");
      const WindowEvidence proof = evidence(gate, direction, 1);
      const GateCounter now = counter(gate, direction, 1);
      EXPECT_EQ(proof.lost_packets, std::ranges::count(outcome.copies, 0U));
      EXPECT_GE(proof.impaired_packets, kPackets);
      EXPECT_EQ(proof.impaired_segments, proof.impaired_packets);
      EXPECT_EQ(proof.dropped_packets, 0U);
      EXPECT_EQ(now.lost_packets - lost, proof.lost_packets);
      EXPECT_EQ(now.passed_packets - passed, proof.impaired_packets - proof.lost_packets);
      EXPECT_GE(proof.first_impaired_ns, to_ns(proof.window.from));
      EXPECT_GT(proof.last_impaired_ns, proof.first_impaired_ns);
    }
  }
}

TEST(Chance, AllAndNothing) {
  const TwoNodes nodes;
  Gate gate = nodes.attach();
  ASSERT_TRUE(value_of(gate.renew_lease(60s)));
  check(gate.load(impaired(losing(LossModel::Kind::kRandom, {1}))));
  EXPECT_EQ(measure(nodes, true, 2000).share_lost(), 1);
  check(gate.load(impaired(losing(LossModel::Kind::kGilbertElliott, {1e-9, 1, 1, 0}))));
  EXPECT_EQ(measure(nodes, true, 2000).share_lost(), 0) << "it never turns bad";
}

// Each draw leans towards the one before, as netem's does: losses come in bunches.
TEST(Chance, CorrelatedLossComesInBunches) {
  const TwoNodes nodes;
  Gate gate = nodes.attach();
  ASSERT_TRUE(value_of(gate.renew_lease(60s)));
  check(gate.load(impaired(losing(LossModel::Kind::kRandom, {0.3, 0.5}))));
  const Outcome outcome = measure(nodes);
  // The same draw, here. Its spread is narrower than that of independent ones, so that the share is
  // not the probability; tc-netem(8) says so too.
  std::uint64_t state = 88172645463325252ULL;
  const auto random32 = [&] {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return static_cast<std::uint32_t>(state >> 16);
  };
  const auto threshold = static_cast<std::uint32_t>(0.3 * 4294967295.0);
  const std::uint64_t weight = static_cast<std::uint32_t>(0.5 * 4294967295.0) + 1ULL;
  Outcome model;
  model.copies.resize(1'000'000);
  std::uint64_t last = 0;
  for (auto& copies : model.copies) {
    last = (random32() * ((1ULL << 32) - weight) + last * weight) >> 32;
    copies = last <= threshold ? 0 : 1;
  }
  const std::vector<double> bursts = outcome.bursts();
  const std::vector<double> expected = model.bursts();
  const double count = static_cast<double>(bursts.size());
  const double margin = kQuantile * deviation(expected) / std::sqrt(count);
  std::cout << fmt::format("share {:.4f}, model {:.4f}; burst {:.3f}, model {:.3f} +- {:.3f}\n",
                           outcome.share_lost(), model.share_lost(), mean(bursts), mean(expected),
                           margin);
  EXPECT_NEAR(mean(bursts), mean(expected), margin);
  // Packets are not independent: the share varies more than a binomial does, by the bursts.
  const double share_margin =
      kQuantile * std::sqrt(model.share_lost() * (2 * mean(expected)) / kPackets);
  EXPECT_NEAR(outcome.share_lost(), model.share_lost(), share_margin);
}

TEST(Chance, GilbertElliottBursts) {
  const TwoNodes nodes;
  Gate gate = nodes.attach();
  ASSERT_TRUE(value_of(gate.renew_lease(60s)));
  const double p = 0.02;
  const double r = 0.2;
  const Impairment impairment = losing(LossModel::Kind::kGilbertElliott, {p, r, 1, 0});
  check(gate.load(impaired(impairment)));
  const Outcome outcome = measure(nodes);
  const std::vector<double> bursts = outcome.bursts();
  // Bad periods are geometric with mean 1/r, and so are the bursts.
  const double margin =
      kQuantile * std::sqrt(1 - r) / r / std::sqrt(static_cast<double>(bursts.size()));
  std::cout << fmt::format("{} bursts, mean {:.3f}, expected {:.3f} +- {:.3f}\n", bursts.size(),
                           mean(bursts), 1 / r, margin);
  EXPECT_NEAR(mean(bursts), 1 / r, margin);
  // Share of a two-state chain: variance of the mean is that of independent packets times
  // (1 + l) / (1 - l), l = 1 - p - r.
  const double share = p / (p + r);
  EXPECT_NEAR(share, impairment.loss.expected(), 1e-9);
  const double inflation = (2 - p - r) / (p + r);
  EXPECT_NEAR(outcome.share_lost(), share,
              kQuantile * std::sqrt(share * (1 - share) * inflation / kPackets));
}

TEST(Chance, FourStateLosesAloneAndInBursts) {
  const TwoNodes nodes;
  Gate gate = nodes.attach();
  ASSERT_TRUE(value_of(gate.renew_lease(60s)));
  // p13, p31, p32, p23, p14: bursts without gaps inside, and isolated losses.
  const Impairment impairment = losing(LossModel::Kind::kFourState, {0.01, 0.25, 0, 0, 0.02});
  check(gate.load(impaired(impairment)));
  const Outcome outcome = measure(nodes);
  const std::vector<double> bursts = outcome.bursts();
  const double share = impairment.loss.expected();
  // A run is an isolated loss (two thirds) or a burst with mean 4.
  const double expected = (0.02 * 1 + 0.01 * 4) / 0.03;
  const double square = (0.02 * 1 + 0.01 * (16 + 12)) / 0.03;  // of a geometric: mean^2 + variance
  const double spread = std::sqrt(square - expected * expected);
  const double count = static_cast<double>(bursts.size());
  std::cout << fmt::format(
      "share {:.4f}, expected {:.4f}; runs {:.3f}, expected {:.3f} +- {:.3f}\n",
      outcome.share_lost(), share, mean(bursts), expected, kQuantile * spread / std::sqrt(count));
  EXPECT_NEAR(mean(bursts), expected, kQuantile * spread / std::sqrt(count));
  EXPECT_NEAR(outcome.share_lost(), share, kQuantile * std::sqrt(share * 2 * square / kPackets));
  const auto alone = static_cast<double>(std::ranges::count(bursts, 1.0));
  expect_binomial(alone / count, (0.02 + 0.01 * 0.25) / 0.03, count, "runs of one");
}

TEST(Chance, DuplicatesArriveTwiceAndAreCountedOnce) {
  const TwoNodes nodes;
  Gate gate = nodes.attach();
  ASSERT_TRUE(value_of(gate.renew_lease(60s)));
  for (const FlowDirection direction : {kEgress, kIngress}) {
    SCOPED_TRACE(static_cast<int>(direction));
    Impairment twice;
    twice.duplicate = 0.2;
    check(gate.load(impaired(twice, direction)));
    const std::uint64_t passed = counter(gate, direction, 1).passed_packets;
    const Outcome outcome = measure(nodes, direction == kEgress);
    const auto doubled = static_cast<std::uint64_t>(std::ranges::count(outcome.copies, 2U));
    EXPECT_EQ(doubled + static_cast<std::uint64_t>(std::ranges::count(outcome.copies, 1U)),
              kPackets)
        << "none is lost, none comes thrice";
    expect_binomial(static_cast<double>(doubled) / kPackets, 0.2, kPackets, "duplicates");
    const WindowEvidence proof = evidence(gate, direction, 1);
    EXPECT_EQ(proof.duplicated_packets, doubled);
    EXPECT_EQ(counter(gate, direction, 1).passed_packets - passed, proof.impaired_packets)
        << "copies are not counted as packets";
  }
}

// As in netem: the two are drawn apart, and a packet that is both goes through once.
TEST(Chance, LossAndDuplicationAreDrawnApart) {
  const TwoNodes nodes;
  Gate gate = nodes.attach();
  ASSERT_TRUE(value_of(gate.renew_lease(60s)));
  Impairment both = losing(LossModel::Kind::kRandom, {0.3});
  both.duplicate = 0.4;
  check(gate.load(impaired(both)));
  const Outcome outcome = measure(nodes);
  const auto share = [&](std::uint32_t copies) {
    return static_cast<double>(std::ranges::count(outcome.copies, copies)) / kPackets;
  };
  expect_binomial(share(0), 0.3 * 0.6, kPackets, "none");
  expect_binomial(share(2), 0.7 * 0.4, kPackets, "two");
  const WindowEvidence proof = evidence(gate, kEgress, 1);
  expect_binomial(static_cast<double>(proof.lost_packets) / kPackets, 0.3, kPackets, "drawn lost");
  expect_binomial(static_cast<double>(proof.duplicated_packets) / kPackets, 0.4, kPackets,
                  "drawn doubled");
}

TEST(Chance, FlapsByTheDutyCycle) {
  const TwoNodes nodes;
  Gate gate = nodes.attach();
  ASSERT_TRUE(value_of(gate.renew_lease(60s)));
  const UdpSocket a(nodes.a, TwoNodes::kA4, 7000);
  const UdpSocket b(nodes.b, TwoNodes::kB4, 7000);
  GateRule::Segment flapping;
  flapping.from = mono_now() + 100ms;
  flapping.until = flapping.from + 1200ms;
  flapping.period = 100ms;
  flapping.on = 30ms;
  check(gate.load({{{kEgress, 1, {flapping}}}, {}}));
  std::uint64_t on = 0;
  std::uint64_t off = 0;
  std::uint64_t doubtful = 0;
  std::uint64_t received = 0;
  while (mono_now() < flapping.until + 50ms) {
    const MonoTime before = mono_now();
    const std::uint64_t number = on + off + doubtful;
    ASSERT_EQ(a.send(SocketAddress(TwoNodes::kB4, 7000), &number, sizeof number), 0);
    const bool was_on = flapping.in_force(before);
    if (was_on != flapping.in_force(mono_now())) {
      ++doubtful;  // a boundary fell between the two looks at the clock
    } else {
      ++(was_on ? on : off);
    }
    if (number % 256 == 0) received += b.drain();
  }
  received += b.drain();
  const WindowEvidence proof = evidence(gate, kEgress, 1);
  std::cout << fmt::format("{} on, {} off, {} doubtful; {} dropped\n", on, off, doubtful,
                           proof.dropped_packets);
  EXPECT_GT(on, 1000U);
  EXPECT_EQ(proof.dropped_packets + received, on + off + doubtful);
  EXPECT_GE(proof.dropped_packets, on);
  EXPECT_LE(proof.dropped_packets, on + doubtful);
  EXPECT_EQ(proof.passed_packets, 0U) << "off phases are no leak";
  EXPECT_LT(proof.last_passed_ns, to_ns(flapping.from));
  EXPECT_GE(proof.first_passed_ns, to_ns(flapping.until));
}

TEST(Chance, ALapsedLeaseEndsImpairments) {
  const TwoNodes nodes;
  Gate gate = nodes.attach();
  check(gate.load(impaired(losing(LossModel::Kind::kRandom, {1}))));
  const UdpSocket a(nodes.a, TwoNodes::kA4, 7000);
  const UdpSocket b(nodes.b, TwoNodes::kB4, 7000);
  ASSERT_TRUE(value_of(gate.renew_lease(1s)));
  ASSERT_EQ(a.send(TwoNodes::kB4, 7000), 0);
  EXPECT_FALSE(b.receive(50ms));
  EXPECT_TRUE(wait_until([&] { return value_of(gate.lease()).lapsed; }));
  ASSERT_EQ(a.send(TwoNodes::kB4, 7000), 0);
  EXPECT_TRUE(b.receive());
  const WindowEvidence proof = evidence(gate, kEgress, 1);
  EXPECT_EQ(proof.lost_packets, 1U);
  EXPECT_EQ(proof.passed_packets, 1U);
}

TEST(Chance, OffloadUnitsAreCountedBySegment) {
  const TwoNodes nodes;
  Gate gate = nodes.attach();
  ASSERT_TRUE(value_of(gate.renew_lease(60s)));
  Impairment harmless;
  harmless.duplicate = 1e-9;
  check(gate.load(impaired(harmless)));
  const UdpSocket a(nodes.a, TwoNodes::kA4, 7000);
  const int size = 1000;  // UDP_SEGMENT: the socket hands on units of several datagrams
  ASSERT_EQ(::setsockopt(a.fd(), IPPROTO_UDP, 103, &size, sizeof size), 0);
  const std::string text(10'000, 'x');
  ASSERT_EQ(a.send(TwoNodes::kB4, 7000, text), 0);
  const WindowEvidence proof = evidence(gate, kEgress, 1);
  EXPECT_GE(proof.impaired_segments, 10U);
  EXPECT_LE(proof.impaired_packets, proof.impaired_segments);
}

}  // namespace
}  // namespace zq::test
