// Which packets the gate takes for which group's: exemptions, transit, prefixes, VLANs, big books.
#include <linux/if_packet.h>
#include <net/ethernet.h>

#include "tests/integration/dataplane/two_nodes.h"

namespace zq::test {
namespace {

constexpr auto kEgress = FlowDirection::kEgress;
constexpr auto kIngress = FlowDirection::kIngress;

// Whether a datagram from a's socket arrives at b's.
bool crosses(const UdpSocket& from, const UdpSocket& to, const std::string& address,
             std::uint16_t port, std::chrono::milliseconds wait = 50ms) {
  EXPECT_EQ(from.send(address, port), 0);
  return to.receive(wait);
}

TEST(Selection, ExemptsByPortProtocolAndAddress) {
  const TwoNodes nodes;
  add_address(nodes.b, "up0", "10.66.0.3/24");
  GateConfig config = nodes.config();
  config.book.push_back({prefix("10.66.0.3"), 1});
  GateExemption by_port;
  by_port.protocol = IPPROTO_UDP;
  by_port.port = 7100;
  GateExemption by_address;
  by_address.any_address = false;
  by_address.prefix = prefix("10.66.0.3");
  GateExemption wrong_protocol = by_port;
  wrong_protocol.protocol = IPPROTO_TCP;
  wrong_protocol.port = 7101;
  GateExemption only_v6;
  only_v6.any_address = false;
  only_v6.prefix = prefix("::/0");
  only_v6.port = 7102;
  config.exempt = {by_port, by_address, wrong_protocol, only_v6};
  Gate gate = nodes.attach(config);
  ASSERT_TRUE(value_of(gate.renew_lease(30s)));
  check(gate.load(cut(1)));

  const UdpSocket a4(nodes.a, TwoNodes::kA4, 7099);
  const UdpSocket a6(nodes.a, TwoNodes::kA6, 7099);
  const auto reaches = [&](const UdpSocket& from, const char* address, std::uint16_t port) {
    const UdpSocket to(nodes.b, address, port);
    return crosses(from, to, address, port);
  };
  EXPECT_TRUE(reaches(a4, TwoNodes::kB4, 7100)) << "the port is exempt";
  EXPECT_TRUE(reaches(a6, TwoNodes::kB6, 7100)) << "in both families";
  EXPECT_FALSE(reaches(a4, TwoNodes::kB4, 7099)) << "other ports are not";
  EXPECT_FALSE(reaches(a4, TwoNodes::kB4, 7101)) << "the port is exempt for TCP only";
  EXPECT_TRUE(reaches(a4, "10.66.0.3", 7099)) << "the address is exempt";
  EXPECT_TRUE(reaches(a6, TwoNodes::kB6, 7102)) << "exempt in IPv6";
  EXPECT_FALSE(reaches(a4, TwoNodes::kB4, 7102)) << "but not in IPv4";
  EXPECT_GE(counter(gate, kEgress, 1).exempt_packets, 4U);
  EXPECT_GE(evidence(gate, kEgress, 1).exempt_packets, 4U);
  EXPECT_EQ(evidence(gate, kEgress, 1).passed_packets, 0U);
}

TEST(Selection, NeighbourDiscoveryWorksInsideACut) {
  const TwoNodes nodes;
  Gate gate = nodes.attach();
  ASSERT_TRUE(value_of(gate.renew_lease(30s)));
  check(gate.load(cut(1)));
  // An unanswered ping makes each side look for the other, again once it has forgotten it: requests
  // go to a multicast group, which is in no book, but the answers come and go between the peers.
  const auto look_for = [](const TestNetns& from, const char* address) {
    from.ip("-6 neigh flush dev up0");
    (void)std::system(fmt::format("nsenter --net=/run/netns/{} ping -6 -c1 -W1 {} >/dev/null",
                                  from.name(), address)
                          .c_str());
  };
  EXPECT_TRUE(wait_until([&] {
    look_for(nodes.a, TwoNodes::kB6);
    return counter(gate, kIngress, 1).exempt_packets >= 1;
  }));
  EXPECT_TRUE(wait_until([&] {
    look_for(nodes.b, TwoNodes::kA6);
    return counter(gate, kEgress, 1).exempt_packets >= 1;
  }));
  EXPECT_GE(counter(gate, kEgress, 1).dropped_packets, 1U) << "the echo request itself is cut";
  const std::string state =
      fmt::format("ip -n {} -6 neigh show {} dev up0 | grep -qE 'REACHABLE|DELAY|PROBE|STALE'",
                  nodes.a.name(), TwoNodes::kB6);
  EXPECT_EQ(std::system(state.c_str()), 0);
}

TEST(Selection, TransitPassesAndIsCounted) {
  const TwoNodes nodes;
  // Behind `a` there is a third node of group 2, whose traffic to `b` only passes through `a`.
  const TestNetns c;
  connect_veth(nodes.a, "down0", c, "up0");
  add_address(nodes.a, "down0", "10.67.0.1/24");
  add_address(c, "up0", "10.67.0.2/24");
  c.ip("route add default via 10.67.0.1");
  nodes.b.ip("route add 10.67.0.0/24 via 10.66.0.1");
  nodes.a.run([] { shell("sysctl -q -w net.ipv4.ip_forward=1"); });

  GateConfig config = nodes.config();
  config.groups = 3;
  config.book.push_back({prefix("10.67.0.2"), 2});
  Gate gate = nodes.attach(config);
  ASSERT_TRUE(value_of(gate.renew_lease(30s)));
  check(gate.load(cut(1)));
  const UdpSocket at_c(c, "10.67.0.2", 7000);
  const UdpSocket at_b(nodes.b, TwoNodes::kB4, 7000);
  EXPECT_TRUE(crosses(at_c, at_b, TwoNodes::kB4, 7000, 2000ms));
  EXPECT_TRUE(crosses(at_b, at_c, "10.67.0.2", 7000, 2000ms));
  EXPECT_EQ(counter(gate, kEgress, 1).transit_packets, 1U);
  EXPECT_EQ(counter(gate, kIngress, 1).transit_packets, 1U);
  const UdpSocket at_a(nodes.a, TwoNodes::kA4, 7000);
  EXPECT_FALSE(crosses(at_a, at_b, TwoNodes::kB4, 7000)) << "a's own traffic is still cut";
}

TEST(Selection, TheMostSpecificPrefixWins) {
  const TwoNodes nodes;
  for (const char* address : {"10.66.8.1/32", "10.66.9.1/32", "10.66.9.2/32"}) {
    add_address(nodes.b, "up0", address);
  }
  add_address(nodes.b, "up0", "fd66:8::1/128");
  add_address(nodes.b, "up0", "fd66:9::1/128");
  nodes.a.ip("route add 10.66.8.0/23 dev up0");
  nodes.a.ip("-6 route add fd66:8::/31 dev up0");

  GateConfig config = nodes.config();
  config.groups = 5;
  config.book = {{prefix("10.66.0.1"), 0},    {prefix("10.66.8.0/23"), 1},
                 {prefix("10.66.9.0/24"), 2}, {prefix("10.66.9.2"), 3},
                 {prefix("fd66::1"), 0},      {prefix("fd66:8::/31"), 1},
                 {prefix("fd66:9::/32"), 2},  {prefix("::/0"), 4}};
  Gate gate = nodes.attach(config);
  ASSERT_TRUE(value_of(gate.renew_lease(30s)));
  check(gate.load(cut(2)));
  const UdpSocket a4(nodes.a, TwoNodes::kA4, 7000);
  const UdpSocket a6(nodes.a, TwoNodes::kA6, 7000);
  const auto reaches = [&](const UdpSocket& from, const char* address) {
    const UdpSocket to(nodes.b, address, 7000);
    return crosses(from, to, address, 7000, 200ms);
  };
  EXPECT_TRUE(reaches(a4, "10.66.8.1")) << "only in the /23, group 1";
  EXPECT_FALSE(reaches(a4, "10.66.9.1")) << "in the /24, group 2";
  EXPECT_TRUE(reaches(a4, "10.66.9.2")) << "listed as a host, group 3";
  EXPECT_TRUE(reaches(a6, "fd66:8::1"));
  EXPECT_FALSE(reaches(a6, "fd66:9::1"));
  EXPECT_EQ(counter(gate, kEgress, 2).dropped_packets, 2U);
  check(gate.load(cut(4)));
  EXPECT_FALSE(reaches(a6, TwoNodes::kB6)) << "::/0 takes all other IPv6 addresses";
  EXPECT_TRUE(reaches(a4, TwoNodes::kB4)) << "but no IPv4 address";
}

TEST(Selection, ABookOfTenThousandAddresses) {
  const TwoNodes nodes;
  GateConfig config = nodes.config();
  config.groups = 10;
  for (std::uint32_t i = 0; i < 5000; ++i) {
    config.book.push_back({IpPrefix::host(IpAddress::from_v4(0x0a440000U + i)), 2 + i % 8});
    std::array<std::uint8_t, 16> v6{0xfd, 0x66, 0, 1};
    v6[14] = static_cast<std::uint8_t>(i >> 8);
    v6[15] = static_cast<std::uint8_t>(i);
    config.book.push_back({IpPrefix::host(IpAddress::from_bytes(v6)), 2 + i % 8});
  }
  const MonoTime begun = mono_now();
  Gate gate = nodes.attach(config);
  RecordProperty("attach_ms", static_cast<int>((mono_now() - begun) / 1ms));
  ASSERT_TRUE(value_of(gate.renew_lease(30s)));
  check(gate.load(cut(9)));
  // Entry 4999 of each family is in group 2 + 4999 % 8 = 9; the one before in group 8.
  nodes.b.ip("addr add 10.68.19.135/32 dev up0");
  nodes.b.ip("addr add 10.68.19.134/32 dev up0");
  add_address(nodes.b, "up0", "fd66:1::1387/128");
  nodes.a.ip("route add 10.68.0.0/16 dev up0");
  nodes.a.ip("-6 route add fd66:1::/64 dev up0");
  const UdpSocket a4(nodes.a, TwoNodes::kA4, 7000);
  const UdpSocket a6(nodes.a, TwoNodes::kA6, 7000);
  EXPECT_FALSE(crosses(a4, UdpSocket(nodes.b, "10.68.19.135", 7000), "10.68.19.135", 7000));
  EXPECT_FALSE(crosses(a6, UdpSocket(nodes.b, "fd66:1::1387", 7000), "fd66:1::1387", 7000));
  EXPECT_TRUE(crosses(a4, UdpSocket(nodes.b, "10.68.19.134", 7000), "10.68.19.134", 7000, 2000ms));
  EXPECT_EQ(counter(gate, kEgress, 9).dropped_packets, 2U);
}

// An Ethernet frame with VLAN tags in its bytes, an IPv4 header with the given addresses, and no
// more payload than it needs.
std::string tagged_frame(int tags, const char* source, const char* destination) {
  std::string frame(12, '\xff');
  for (int i = 0; i < tags; ++i) frame += std::string("\x81\x00\x00", 3) + static_cast<char>(5 + i);
  frame += std::string("\x08\x00", 2);
  std::string header(20, '\0');
  header[0] = 0x45;
  header[3] = 28;
  header[8] = 64;
  header[9] = IPPROTO_UDP;
  if (::inet_pton(AF_INET, source, header.data() + 12) != 1 ||
      ::inet_pton(AF_INET, destination, header.data() + 16) != 1) {
    throw std::runtime_error("bad address");
  }
  return frame + header + std::string(8, '\0');
}

TEST(Selection, SeesThroughTagsInThePayload) {
  const TwoNodes nodes;
  Gate gate = nodes.attach();
  ASSERT_TRUE(value_of(gate.renew_lease(30s)));
  const auto send = [](const TestNetns& netns, const std::string& frame) {
    netns.run([&] {
      const UniqueFd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
      sockaddr_ll to{};
      to.sll_family = AF_PACKET;
      to.sll_ifindex = static_cast<int>(::if_nametoindex("up0"));
      to.sll_halen = 6;
      if (::sendto(fd.get(), frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&to),
                   sizeof to) < 0) {
        throw std::runtime_error("sending a frame");
      }
    });
  };
  for (int tags = 0; tags <= 2; ++tags) {
    SCOPED_TRACE(tags);
    check(gate.load(cut(1)));
    send(nodes.a, tagged_frame(tags, TwoNodes::kA4, TwoNodes::kB4));
    send(nodes.b, tagged_frame(tags, TwoNodes::kB4, TwoNodes::kA4));
    EXPECT_TRUE(wait_until([&] { return evidence(gate, kEgress, 1).dropped_packets == 1; }, 1s));
    EXPECT_TRUE(wait_until([&] { return evidence(gate, kIngress, 1).dropped_packets == 1; }, 1s));
  }
}

TEST(Selection, RefusesContradictions) {
  const TwoNodes nodes;
  GateConfig twice = nodes.config();
  twice.book.push_back({prefix(TwoNodes::kB4), 0});
  EXPECT_THAT(error_of(nodes.try_attach(twice)), testing::HasSubstr("10.66.0.2 is listed twice"));
  GateConfig unknown = nodes.config();
  unknown.book.push_back({prefix("10.66.0.9"), 7});
  EXPECT_THAT(error_of(nodes.try_attach(unknown)), testing::HasSubstr("10.66.0.9 is in group 7"));
  GateConfig crowded = nodes.config();
  crowded.exempt.resize(kMaxExemptions + 1);
  EXPECT_THAT(error_of(nodes.try_attach(crowded)), testing::HasSubstr("at most 32"));

  Gate gate = nodes.attach();
  const MonoTime now = mono_now();
  const GateRule backwards{kEgress, 1, {{now + 2s, now + 2s}}};
  EXPECT_THAT(error_of(gate.load({{backwards}, {}})), testing::HasSubstr("segment 0 of egress"));
  const GateRule one = rule(kEgress, 1, now, now + 1s);
  EXPECT_THAT(error_of(gate.load({{one, one}, {}})), testing::HasSubstr("two rules"));
  EXPECT_THAT(error_of(gate.load({{rule(kEgress, 5, now, now + 1s)}, {}})),
              testing::HasSubstr("group 5"));
  GateRule many{kIngress, 1, {}};
  for (std::size_t i = 0; i <= kMaxSegments; ++i) {
    many.segments.push_back({now + i * 2s, now + i * 2s + 1s});
  }
  EXPECT_THAT(error_of(gate.load({{many}, {}})), testing::HasSubstr("at most 64"));
}

}  // namespace
}  // namespace zq::test
