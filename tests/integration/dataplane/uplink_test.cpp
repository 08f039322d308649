// Which devices the gate goes to, and the monitor that watches them.
#include <poll.h>

#include "agent/dataplane/addresses.h"
#include "agent/dataplane/monitor.h"
#include "tests/integration/dataplane/foreign.h"

namespace zq::test {
namespace {

std::vector<std::string> resolve(const TestNetns& netns, const std::vector<std::string>& peers) {
  std::vector<IpAddress> addresses;
  for (const std::string& peer : peers) addresses.push_back(value_of(IpAddress::parse(peer)));
  std::vector<std::string> names;
  for (const Uplink& uplink : netns.run([&] { return value_of(resolve_uplinks(addresses)); })) {
    EXPECT_EQ(uplink.index, netns.device_index(uplink.device));
    names.push_back(uplink.device);
  }
  return names;
}

TEST(Uplinks, FollowTheRoutes) {
  const TwoNodes nodes;
  const TestNetns c;
  connect_veth(nodes.a, "side0", c, "up0");
  add_address(nodes.a, "side0", "10.67.0.1/24");
  nodes.a.ip("route add 10.70.0.0/16 via 10.67.0.2");
  nodes.a.ip("route add 10.71.0.0/16 nexthop via 10.66.0.2 nexthop via 10.67.0.2");
  using testing::ElementsAre;
  using testing::IsEmpty;
  EXPECT_THAT(resolve(nodes.a, {TwoNodes::kB4, TwoNodes::kB6}), ElementsAre("up0"));
  EXPECT_THAT(resolve(nodes.a, {"10.70.3.4"}), ElementsAre("side0"));
  EXPECT_THAT(resolve(nodes.a, {TwoNodes::kB4, "10.67.0.2"}), ElementsAre("up0", "side0"));
  EXPECT_THAT(resolve(nodes.a, {"10.71.0.1"}), ElementsAre("up0", "side0"))
      << "a multipath route uses both";
  EXPECT_THAT(resolve(nodes.a, {TwoNodes::kA4, TwoNodes::kA6, "127.0.0.1", "::1"}), IsEmpty())
      << "one's own addresses need no uplink";
  EXPECT_THAT(resolve(nodes.a, {"10.99.0.1", "fd66:99::1"}), IsEmpty()) << "unreachable";
  nodes.a.ip("route add unreachable 10.72.0.0/16");
  nodes.a.ip("route add blackhole 10.73.0.0/16");
  nodes.a.ip("route add prohibit 10.74.0.0/16");
  nodes.a.ip("-6 route add unreachable fd66:72::/32");
  nodes.a.ip("-6 route add blackhole fd66:73::/32");
  EXPECT_THAT(resolve(nodes.a, {"10.72.0.1", "10.73.0.1", "10.74.0.1", "fd66:72::1", "fd66:73::1"}),
              IsEmpty());
}

TEST(Uplinks, NeverADeviceAndItsLowerDevice) {
  const TwoNodes nodes;
  nodes.a.ip("link add link up0 name mac0 type macvlan mode bridge");
  nodes.a.ip("link set mac0 up");
  add_address(nodes.a, "mac0", "10.67.0.1/24");
  using testing::ElementsAre;
  EXPECT_THAT(resolve(nodes.a, {"10.67.0.2"}), ElementsAre("mac0"));
  EXPECT_THAT(resolve(nodes.a, {"10.67.0.2", TwoNodes::kB4}), ElementsAre("up0"));
}

TEST(Uplinks, KeepsTunnelsBesideWhatTheyRunOver) {
  const TwoNodes nodes;
  nodes.a.ip("link add vx0 type vxlan id 42 dev up0 remote 10.66.0.2 dstport 4789");
  nodes.a.ip("link set vx0 up");
  add_address(nodes.a, "vx0", "10.67.0.1/24");
  EXPECT_THAT(resolve(nodes.a, {"10.67.0.2", TwoNodes::kB4}), testing::ElementsAre("up0", "vx0"));
}

TEST(Uplinks, ManyPeersTakeNoTime) {
  const TwoNodes nodes;
  nodes.a.ip("route add default via 10.66.0.2");
  std::vector<IpAddress> peers;
  for (std::uint32_t i = 0; i < 5000; ++i) peers.push_back(IpAddress::from_v4(0x0a420000U + i * 2));
  const MonoTime begun = mono_now();
  const auto uplinks = nodes.a.run([&] { return value_of(resolve_uplinks(peers)); });
  ASSERT_EQ(uplinks.size(), 1U);
  EXPECT_EQ(uplinks.front().device, "up0");
  EXPECT_LT(mono_now() - begun, 5s);
}

TEST(Uplinks, AddressesThatTheBookDoesNotListAreTold) {
  const TwoNodes nodes;
  const TestNetns c;
  connect_veth(nodes.a, "side0", c, "up0");
  GateConfig config = nodes.config();
  const auto unlisted = [&] {
    return nodes.a.run([&] { return value_of(unlisted_addresses(config)); });
  };
  add_address(nodes.a, "side0", "10.67.0.1/24");
  add_address(nodes.a, "lo", "10.68.0.1/32");
  add_address(nodes.a, "up0", "169.254.7.7/16");
  EXPECT_THAT(unlisted(), testing::IsEmpty()) << "other devices, link-local ones";

  add_address(nodes.a, "up0", "10.66.9.9/24");
  add_address(nodes.a, "up0", "10.69.0.1 peer 10.69.0.2");
  add_address(nodes.a, "up0", "fd66:9::9/64");
  const auto about = [](const char* address) {
    return testing::AllOf(testing::HasSubstr("device up0 also has " + std::string(address) + ","),
                          testing::HasSubstr("does not list for this node"));
  };
  EXPECT_THAT(unlisted(), testing::UnorderedElementsAre(about("10.66.9.9"), about("10.69.0.1"),
                                                        about("fd66:9::9")));
  config.book.push_back({prefix("10.66.9.0/24"), 0});
  config.book.push_back({prefix("10.69.0.1"), 0});
  config.book.push_back({prefix("fd66:9::/64"), 0});
  EXPECT_THAT(unlisted(), testing::IsEmpty());
  config.book.push_back({prefix("10.66.9.9"), 1});  // longer than the prefix above
  EXPECT_THAT(unlisted(), testing::ElementsAre(testing::HasSubstr("gives to other nodes")));
}

// Waits for the descriptor and asks.
bool change_within(FilterMonitor& monitor, std::chrono::milliseconds deadline) {
  const MonoTime end = mono_now() + deadline;
  while (mono_now() < end) {
    pollfd waits{monitor.fd(), POLLIN, 0};
    if (::poll(&waits, 1, 20) == 1 && value_of(monitor.relevant_change())) return true;
  }
  return false;
}

TEST(Monitor, NoticesChangesOfItsDevicesOnly) {
  const TwoNodes nodes;
  const TestNetns c;
  connect_veth(nodes.a, "side0", c, "up0");
  const Gate gate = nodes.attach();
  auto monitor = nodes.a.run([&] { return value_of(FilterMonitor::open(nodes.config().uplinks)); });
  // The kernel may still be telling about the devices' coming up.
  (void)change_within(monitor, 200ms);
  nodes.a.tc("qdisc add dev side0 clsact");
  nodes.a.tc("filter add dev side0 ingress protocol ip prio 1 u32 match ip dport 9 0xffff");
  EXPECT_FALSE(change_within(monitor, 100ms)) << "not a device of ours";
  nodes.a.tc("filter add dev up0 ingress protocol ip prio 9 u32 match ip dport 9 0xffff");
  EXPECT_TRUE(change_within(monitor, 2s));
  EXPECT_FALSE(value_of(monitor.relevant_change())) << "told once";
  nodes.a.tc("filter del dev up0 egress pref 1");
  EXPECT_TRUE(change_within(monitor, 2s));
  nodes.a.ip("link set up0 mtu 1400");
  EXPECT_TRUE(change_within(monitor, 2s));
  nodes.a.ip("link del up0");
  EXPECT_TRUE(change_within(monitor, 2s));
}

std::vector<std::string> seen(FilterMonitor& monitor) {
  (void)value_of(monitor.relevant_change());
  return monitor.violations();
}

TEST(Monitor, RemembersAFilterThatCameAheadAndWentAgain) {
  const TwoNodes nodes;
  const Gate gate = nodes.attach();
  auto monitor = nodes.a.run([&] { return value_of(FilterMonitor::open(nodes.config().uplinks)); });
  add_foreign_filter(nodes, FlowDirection::kEgress, 7, "behind");
  nodes.a.tc("filter add dev up0 ingress chain 5 protocol ip prio 1 u32 match ip dport 9 0xffff");
  nodes.a.tc("filter del dev up0 ingress chain 5");
  EXPECT_THAT(seen(monitor), testing::IsEmpty()) << "behind us, and in another chain";

  add_foreign_filter(nodes, FlowDirection::kIngress, kGatePriority, "flash");
  nodes.a.tc("filter del dev up0 ingress protocol all pref 1 handle 0x1 bpf");
  EXPECT_THAT(value_of(gate.violations()), testing::IsEmpty()) << "a look comes too late";
  using testing::HasSubstr;
  const auto both = testing::ElementsAre(
      testing::AllOf(HasSubstr("up0 ingress: filter pref 1"), HasSubstr("'flash' stands ahead")),
      testing::AllOf(HasSubstr("up0 ingress: filter pref 1"), HasSubstr("'flash' stood ahead")));
  EXPECT_THAT(seen(monitor), both);
  EXPECT_THAT(seen(monitor), both) << "not forgotten";
}

TEST(Monitor, RemembersThatAFilterOfTheGateWent) {
  const TwoNodes nodes;
  const Gate gate = nodes.attach();
  auto monitor = nodes.a.run([&] { return value_of(FilterMonitor::open(nodes.config().uplinks)); });
  nodes.a.run([&] {
    auto socket = value_of(NetlinkSocket::open());
    const Uplink uplink = nodes.config().uplinks.front();
    ASSERT_TRUE(value_of(remove_gate_filter(socket, uplink, FlowDirection::kEgress)));
    const UniqueFd impostor = foreign_program(BPF_PROG_TYPE_SCHED_CLS, "impostor", -1);
    check(add_gate_filter(socket, uplink, FlowDirection::kEgress, impostor.get()));
  });
  nodes.a.tc("filter del dev up0 ingress pref 1");  // the notice names the priority alone
  EXPECT_THAT(seen(monitor), testing::ElementsAre("up0 egress: the gate's filter is gone",
                                                  "up0 egress: the gate's filter was replaced",
                                                  "up0 ingress: the gate's filter is gone"));
}

// Open after attach, closed before detach: see FilterMonitor.
TEST(Monitor, TheGateItselfIsNoViolation) {
  const TwoNodes nodes;
  for (int i = 0; i < 3; ++i) {
    Gate gate = nodes.attach();
    auto monitor =
        nodes.a.run([&] { return value_of(FilterMonitor::open(nodes.config().uplinks)); });
    ASSERT_TRUE(value_of(gate.renew_lease(30s)));
    check(gate.load(cut(1)));
    check(gate.load({}));
    EXPECT_THAT(seen(monitor), testing::IsEmpty());
    check(gate.detach());
  }
}

TEST(Monitor, LostNoticesCountAsAChange) {
  const TwoNodes nodes;
  const TestNetns c;
  connect_veth(nodes.a, "side0", c, "up0");
  auto monitor = nodes.a.run([&] { return value_of(FilterMonitor::open(nodes.config().uplinks)); });
  (void)change_within(monitor, 200ms);
  const int little = 1;
  ASSERT_EQ(::setsockopt(monitor.fd(), SOL_SOCKET, SO_RCVBUF, &little, sizeof little), 0);
  std::string batch;
  for (int i = 0; i < 40; ++i) batch += fmt::format("link set side0 mtu {}\n", 1300 + i);
  nodes.a.run([&] { shell("printf '" + batch + "' | ip -batch -"); });
  EXPECT_TRUE(value_of(monitor.relevant_change()));
  EXPECT_FALSE(value_of(monitor.relevant_change()));
}

}  // namespace
}  // namespace zq::test
