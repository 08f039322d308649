// A gate on a router between zones: what it treats a packet as follows from both its ends.
#include "tests/integration/dataplane/two_nodes.h"

namespace zq::test {
namespace {

using ::testing::HasSubstr;

// Zones 0, 1, 2 with a node each, and a router that leads to them by r0, r1, r2.
struct ThreeZones {
  TestNetns router;
  TestNetns node[3];
  TempDir state;

  static std::string v4(int zone, int host = 1) { return fmt::format("10.66.{}.{}", zone, host); }
  static std::string v6(int zone, int host = 1) { return fmt::format("fd66:{}::{}", zone, host); }

  ThreeZones() {
    // Neighbour discovery works at once when link-local addresses need no detection of duplicates.
    for (const TestNetns* netns : {&router, &node[0], &node[1], &node[2]}) {
      shell(
          fmt::format("ip netns exec {} sysctl -qw net.ipv4.ip_forward=1 "
                      "net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.accept_dad=0",
                      netns->name()));
    }
    for (int zone = 0; zone < 3; ++zone) {
      const std::string device = fmt::format("r{}", zone);
      connect_veth(router, device, node[zone], "up0");
      add_address(router, device, v4(zone, 254) + "/24");
      add_address(router, device, v6(zone, 254) + "/64");
      add_address(node[zone], "up0", v4(zone) + "/24");
      add_address(node[zone], "up0", v6(zone) + "/64");
      node[zone].ip("route add default via " + v4(zone, 254));
      node[zone].ip("-6 route add default via " + v6(zone, 254));
    }
  }

  // Only the ordered pairs 0 > 1 (group 0) and 1 > 0 (group 1) are looked at.
  [[nodiscard]] GateConfig config() const {
    GateConfig config;
    config.groups = 2;
    config.transit.zones = 3;
    config.transit.groups.assign(9, kNoGroup);
    config.transit.groups[0 * 3 + 1] = 0;
    config.transit.groups[1 * 3 + 0] = 1;
    for (std::uint32_t zone = 0; zone < 3; ++zone) {
      const std::string device = fmt::format("r{}", zone);
      config.uplinks.push_back({device, router.device_index(device)});
      config.book.push_back({prefix(v4(static_cast<int>(zone))), zone});
      config.book.push_back({prefix(v6(static_cast<int>(zone))), zone});
    }
    return config;
  }
  [[nodiscard]] Result<Gate> attach(const GateConfig& with) const {
    return router.run([&] { return Gate::attach(with, state.path()); });
  }

  // Whether a datagram gets there, by both families alike.
  [[nodiscard]] bool reaches(int from, int to) const {
    const bool got4 = reaches(from, to, v4(from), v4(to));
    EXPECT_EQ(got4, reaches(from, to, v6(from), v6(to))) << from << " to " << to;
    return got4;
  }
  [[nodiscard]] bool reaches(int from, int to, const std::string& source,
                             const std::string& destination) const {
    const UdpSocket sender(node[from], source, 7000);
    const UdpSocket receiver(node[to], destination, 7001);
    EXPECT_EQ(sender.send(destination, 7001), 0);
    return receiver.receive(300ms);
  }
};

TEST(TransitGate, TreatsEachOrderedPairOfZonesByItself) {
  const ThreeZones zones;
  for (int to : {1, 2}) ASSERT_TRUE(zones.reaches(0, to)) << "before the gate";
  Gate gate = value_of(zones.attach(zones.config()));
  const MonoTime now = mono_now();
  check(gate.load({.rules = {rule(FlowDirection::kEgress, 0, now, now + 60s)}, .impairments = {}}));
  ASSERT_TRUE(value_of(gate.renew_lease(60s)));

  EXPECT_FALSE(zones.reaches(0, 1));
  EXPECT_TRUE(zones.reaches(1, 0)) << "the other direction has no rule";
  EXPECT_TRUE(zones.reaches(0, 2));
  EXPECT_TRUE(zones.reaches(2, 1));

  EXPECT_EQ(counter(gate, FlowDirection::kEgress, 0).dropped_packets, 2);
  EXPECT_GE(counter(gate, FlowDirection::kEgress, 1).passed_packets, 2);
  EXPECT_EQ(counter(gate, FlowDirection::kIngress, 0).passed_packets, 2) << "came into the router";
  check(gate.detach());
  EXPECT_TRUE(zones.reaches(0, 1));
}

TEST(TransitGate, RefusesGroupsThatAreNotThere) {
  const ThreeZones zones;
  GateConfig config = zones.config();
  config.transit.groups[1] = 2;
  EXPECT_THAT(error_of(zones.attach(config)), HasSubstr("group 2, but there are 2"));
  config = zones.config();
  config.transit.groups.pop_back();
  EXPECT_THAT(error_of(zones.attach(config)), HasSubstr("8 groups for the pairs of 3 zones"));
  config = zones.config();
  config.book.push_back({prefix("10.66.9.9"), 3});
  EXPECT_THAT(error_of(zones.attach(config)), HasSubstr("there are 3 groups"));
}

}  // namespace
}  // namespace zq::test
