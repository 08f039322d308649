// Which packets a segment is about: protocols, ports on either end, both families, VLANs; and which
// of several segments decides.
#include <linux/if_packet.h>
#include <net/ethernet.h>

#include "tests/integration/dataplane/two_nodes.h"

namespace zq::test {
namespace {

constexpr auto kEgress = FlowDirection::kEgress;
constexpr auto kIngress = FlowDirection::kIngress;

GateRule::Segment drop(const Scope& scope) {
  GateRule::Segment segment;
  segment.from = mono_now();
  segment.until = segment.from + 60s;
  segment.scope = scope;
  return segment;
}

// Whether a datagram from `from` arrives at `to`, which nobody else uses. Waits until it has, or
// something was dropped.
bool crosses(const Gate& gate, const UdpSocket& from, const UdpSocket& to,
             const std::string& address, std::uint16_t port) {
  const auto dropped = [&] {
    return counter(gate, kEgress, 1).dropped_packets + counter(gate, kIngress, 1).dropped_packets;
  };
  const std::uint64_t before = dropped();
  EXPECT_EQ(from.send(address, port), 0);
  std::size_t received = 0;
  wait_until([&] { return (received += to.drain()) > 0 || dropped() > before; });
  return received > 0 || to.receive(20ms);
}

bool pings(const TestNetns& from, const char* address) {
  return std::system(fmt::format("nsenter --net=/run/netns/{} ping -c1 -W1 {} >/dev/null",
                                 from.name(), address)
                         .c_str()) == 0;
}

// Whether a TCP connection to a listener on the port comes about soon.
bool connects(const TwoNodes& nodes, const char* address, std::uint16_t port) {
  const SocketAddress target(address, port);
  const auto open = [&](const TestNetns& netns, int flags) {
    return netns.run([&] {
      return UniqueFd(::socket(target.get()->sa_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
    });
  };
  const UniqueFd listener = open(nodes.b, 0);
  const int one = 1;
  (void)::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (::bind(listener.get(), target.get(), target.size) != 0 || ::listen(listener.get(), 8) != 0) {
    throw std::runtime_error("listen");
  }
  const UniqueFd client = open(nodes.a, 0);
  const timeval wait{1, 0};
  (void)::setsockopt(client.get(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
  return ::connect(client.get(), target.get(), target.size) == 0;
}

class Scoped : public testing::Test {
 protected:
  void load(std::vector<GateRule::Segment> segments, FlowDirection direction = kEgress) {
    check(gate_.load({{{direction, 1, std::move(segments)}}, {}}));
  }
  // Whether a datagram of these ports goes from a to b, in both families alike.
  bool udp(std::uint16_t source, std::uint16_t destination) {
    const bool v4 = udp_over(TwoNodes::kA4, TwoNodes::kB4, source, destination);
    EXPECT_EQ(udp_over(TwoNodes::kA6, TwoNodes::kB6, source, destination), v4) << "the families";
    return v4;
  }
  bool udp_over(const char* from, const char* to, std::uint16_t source, std::uint16_t destination) {
    const UdpSocket a(nodes_.a, from, source);
    const UdpSocket b(nodes_.b, to, destination);
    return crosses(gate_, a, b, to, destination);
  }
  void SetUp() override { ASSERT_TRUE(value_of(gate_.renew_lease(60s))); }

  TwoNodes nodes_;
  Gate gate_ = nodes_.attach();
};

TEST_F(Scoped, AProtocolOfBothFamilies) {
  load({drop({.protocol = IPPROTO_UDP, .ports = {}, .source_ports = {}, .destination_ports = {}})});
  EXPECT_FALSE(udp(7000, 7001));
  EXPECT_TRUE(connects(nodes_, TwoNodes::kB4, 7002));
  EXPECT_TRUE(connects(nodes_, TwoNodes::kB6, 7002));
  EXPECT_TRUE(pings(nodes_.a, TwoNodes::kB4));

  load({drop({.protocol = IPPROTO_TCP, .ports = {}, .source_ports = {}, .destination_ports = {}})});
  EXPECT_TRUE(udp(7000, 7001));
  EXPECT_FALSE(connects(nodes_, TwoNodes::kB4, 7003));
  EXPECT_FALSE(connects(nodes_, TwoNodes::kB6, 7003));

  load(
      {drop({.protocol = IPPROTO_ICMP, .ports = {}, .source_ports = {}, .destination_ports = {}})});
  EXPECT_TRUE(udp(7000, 7001));
  EXPECT_FALSE(pings(nodes_.a, TwoNodes::kB4));
  EXPECT_FALSE(pings(nodes_.a, TwoNodes::kB6)) << "ICMP stands for ICMPv6 too";
  EXPECT_GE(evidence(gate_, kEgress, 1).dropped_packets, 2U);
  EXPECT_EQ(evidence(gate_, kEgress, 1).exempt_packets, 0U) << "neighbour discovery is not meant";
}

TEST_F(Scoped, PortsOnEitherEnd) {
  Scope scope;
  scope.ports = {{7000, 7000}, {7100, 7110}};
  load({drop(scope)});
  EXPECT_FALSE(udp(7000, 7500));
  EXPECT_FALSE(udp(7500, 7000));
  EXPECT_FALSE(udp(7500, 7100));
  EXPECT_FALSE(udp(7110, 7500));
  EXPECT_TRUE(udp(7111, 7500));
  EXPECT_TRUE(udp(7500, 7099));
  EXPECT_TRUE(pings(nodes_.a, TwoNodes::kB4)) << "no ports, no match";
}

TEST_F(Scoped, PortsOfOneEnd) {
  Scope scope;
  scope.protocol = IPPROTO_UDP;
  scope.source_ports = {{7000, 7009}};
  load({drop(scope)});
  EXPECT_FALSE(udp(7009, 7500));
  EXPECT_TRUE(udp(7500, 7009));

  scope.source_ports.clear();
  scope.destination_ports = {{7000, 7009}};
  load({drop(scope)});
  EXPECT_TRUE(udp(7009, 7500));
  EXPECT_FALSE(udp(7500, 7009));
  EXPECT_TRUE(connects(nodes_, TwoNodes::kB4, 7001)) << "another protocol";
}

TEST_F(Scoped, ListsAreMetTogether) {
  Scope scope;
  scope.source_ports = {{7000, 7009}, {7020, 7020}};
  scope.destination_ports = {{7500, 7500}};
  scope.ports = {{7005, 7020}};
  load({drop(scope)});
  EXPECT_FALSE(udp(7005, 7500));
  EXPECT_FALSE(udp(7020, 7500));
  EXPECT_TRUE(udp(7004, 7500)) << "not in the list for either end";
  EXPECT_TRUE(udp(7005, 7501));
  EXPECT_TRUE(udp(7500, 7005)) << "the wrong way round";
}

TEST_F(Scoped, AnswersOfAServiceAtTheIngress) {
  Scope scope;
  scope.source_ports = {{7500, 7500}};
  load({drop(scope)}, kIngress);
  const UdpSocket a(nodes_.a, TwoNodes::kA4, 7000);
  const UdpSocket service(nodes_.b, TwoNodes::kB4, 7500);
  const UdpSocket other(nodes_.b, TwoNodes::kB4, 7501);
  EXPECT_TRUE(crosses(gate_, a, service, TwoNodes::kB4, 7500));
  EXPECT_FALSE(crosses(gate_, service, a, TwoNodes::kA4, 7000));
  EXPECT_TRUE(crosses(gate_, other, a, TwoNodes::kA4, 7000));
}

TEST_F(Scoped, TheFirstThatMatchesDecides) {
  Scope spared;
  spared.ports = {{7000, 7000}};
  GateRule::Segment pass = drop(spared);
  pass.treatment = Treatment::kImpair;
  Impairment harmless;  // it never happens, to all purposes
  harmless.duplicate = 1e-9;
  GateRule::Segment ended = drop({});
  ended.from -= 10s;
  ended.until = ended.from + 1s;
  check(gate_.load({{{kEgress, 1, {ended, pass, drop({})}}}, {harmless}}));
  EXPECT_TRUE(udp(7000, 7500));
  EXPECT_FALSE(udp(7001, 7500));
  auto proofs = value_of(gate_.evidence());
  ASSERT_EQ(proofs.size(), 3U);
  EXPECT_EQ(proofs[0].dropped_packets, 0U);
  EXPECT_EQ(proofs[1].impaired_packets, 2U);
  EXPECT_EQ(proofs[1].segment, 1U);
  EXPECT_GE(proofs[2].dropped_packets, 2U);

  check(gate_.load({{{kEgress, 1, {ended, drop({}), pass}}}, {harmless}}));
  EXPECT_FALSE(udp(7000, 7500));
  proofs = value_of(gate_.evidence());
  EXPECT_GE(proofs[1].dropped_packets, 2U);
  EXPECT_EQ(proofs[2].impaired_packets, 0U);
}

TEST_F(Scoped, AllSixtyFourSegmentsAreSeen) {
  std::vector<GateRule::Segment> segments;
  for (std::uint16_t i = 0; i < kMaxSegments; ++i) {
    Scope scope;
    for (std::uint16_t range = 0; range < kMaxPortRanges; ++range) {
      const auto port = static_cast<std::uint16_t>(10'000 + i * 100 + range * 2);
      scope.destination_ports.push_back({port, port});
    }
    segments.push_back(drop(scope));
  }
  load(std::move(segments));
  EXPECT_FALSE(udp(7000, 10'000));
  EXPECT_FALSE(udp(7000, 10'000 + 63 * 100 + 14)) << "the last range of the last segment";
  EXPECT_TRUE(udp(7000, 10'000 + 63 * 100 + 13));
  EXPECT_EQ(value_of(gate_.evidence())[63].dropped_packets, 2U);
}

TEST_F(Scoped, EvidenceIsOfItsOwnScope) {
  Scope scope;
  scope.ports = {{7000, 7000}};
  GateRule::Segment later = drop(scope);
  later.from += 300ms;
  load({later});
  EXPECT_TRUE(udp(7001, 7500));
  EXPECT_EQ(evidence(gate_, kEgress, 1).last_passed_ns, 0) << "not in scope";
  EXPECT_TRUE(udp(7000, 7500));
  const std::int64_t passed = evidence(gate_, kEgress, 1).last_passed_ns;
  EXPECT_GT(passed, 0);
  EXPECT_LT(passed, to_ns(later.from));
  ASSERT_TRUE(wait_until([&] { return mono_now() > later.from; }));
  EXPECT_FALSE(udp(7000, 7500));
  EXPECT_TRUE(udp(7001, 7500));
  EXPECT_EQ(evidence(gate_, kEgress, 1).passed_packets, 0U);
  check(gate_.load({}));
  EXPECT_TRUE(udp(7001, 7500));
  EXPECT_EQ(evidence(gate_, kEgress, 1).first_passed_ns, 0) << "not in scope";
  EXPECT_TRUE(udp(7000, 7500));
  EXPECT_GT(evidence(gate_, kEgress, 1).first_passed_ns, 0);
}

// A tagged UDP datagram as another host would put it on the wire.
std::vector<std::uint8_t> tagged_datagram(std::uint16_t source, std::uint16_t destination) {
  std::vector<std::uint8_t> frame(12, 0xff);
  const auto put16 = [&](std::uint32_t value) {
    frame.push_back(static_cast<std::uint8_t>(value >> 8));
    frame.push_back(static_cast<std::uint8_t>(value));
  };
  for (const std::uint32_t word : {0x8100U, 0x0007U, 0x0800U}) put16(word);
  for (const std::uint32_t word : {0x4500U, 30U, 0U, 0U, 0x4011U, 0U, 0x0a42U, 2U, 0x0a42U, 1U})
    put16(word);
  for (const std::uint32_t word : {std::uint32_t{source}, std::uint32_t{destination}, 10U, 0U}) {
    put16(word);
  }
  put16(0);
  return frame;
}

TEST_F(Scoped, InsideAVlanTag) {
  Scope scope;
  scope.destination_ports = {{7000, 7000}};
  load({drop(scope)}, kIngress);
  const UniqueFd raw = nodes_.b.run(
      [] { return UniqueFd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL))); });
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = static_cast<int>(nodes_.b.device_index("up0"));
  to.sll_halen = ETH_ALEN;
  const auto send = [&](std::uint16_t port) {
    const auto frame = tagged_datagram(7500, port);
    ASSERT_EQ(::sendto(raw.get(), frame.data(), frame.size(), 0,
                       reinterpret_cast<const sockaddr*>(&to), sizeof to),
              static_cast<ssize_t>(frame.size()));
  };
  send(7000);
  send(7000);
  send(7001);
  EXPECT_TRUE(wait_until([&] { return counter(gate_, kIngress, 1).passed_packets >= 1; }));
  EXPECT_EQ(evidence(gate_, kIngress, 1).dropped_packets, 2U);
}

TEST_F(Scoped, RefusesWhatCannotBe) {
  Scope scope;
  scope.protocol = IPPROTO_ICMP;
  scope.ports = {{1, 1}};
  const auto refusal = [&](const GateRule::Segment& segment) {
    return error_of(gate_.load({{{kEgress, 1, {segment}}}, {}}));
  };
  EXPECT_THAT(refusal(drop(scope)), testing::HasSubstr("has no ports"));
  scope.protocol = IPPROTO_TCP;
  scope.ports = {{9, 1}};
  EXPECT_THAT(refusal(drop(scope)), testing::HasSubstr("9-1"));
  scope.ports.assign(kMaxPortRanges + 1, {1, 1});
  EXPECT_THAT(refusal(drop(scope)), testing::HasSubstr("at most 8"));
  GateRule::Segment flapping = drop({});
  flapping.period = 100ms;
  EXPECT_THAT(refusal(flapping), testing::HasSubstr("is on for 0 ns"));
  GateRule::Segment impaired = drop({});
  impaired.treatment = Treatment::kImpair;
  EXPECT_THAT(refusal(impaired), testing::HasSubstr("impairment 0, but there are 0"));
}

}  // namespace
}  // namespace zq::test
