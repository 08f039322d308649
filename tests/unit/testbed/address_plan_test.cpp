#include "controller/testbed/address_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controller/testbed/layout.h"
#include "tests/unit/testbed/clusters.h"

namespace zq::testbed {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Cluster one_zone_cluster(const std::vector<std::vector<std::string>>& nodes) {
  Cluster cluster;
  cluster.name = "c";
  cluster.zones = {{"a", "r", {}}};
  int number = 0;
  for (const auto& addresses : nodes) {
    Node node;
    node.name = "n" + std::to_string(++number);
    node.zone = "a";
    for (const auto& text : addresses) node.addresses.push_back(*IpPrefix::parse(text));
    cluster.nodes.push_back(std::move(node));
  }
  return cluster;
}

std::string refused(const Cluster& cluster) {
  const auto plan = plan_addresses(cluster);
  if (plan) {
    ADD_FAILURE() << "accepted";
    return {};
  }
  EXPECT_EQ(plan.error().code, ErrorCode::kInput);
  return plan.error().message;
}

TEST(AddressPlan, GivesEachZoneItsGateways) {
  const Cluster cluster = parse_small_cluster();
  const auto plan = plan_addresses(cluster);
  ASSERT_TRUE(plan) << plan.error().message;
  ASSERT_EQ(plan->size(), 2U);
  EXPECT_EQ((*plan)[0].gateway_v4->to_string(), "10.66.1.254");
  EXPECT_EQ((*plan)[0].gateway_v6->to_string(), "fd66:1::fffe");
  EXPECT_EQ((*plan)[0].nodes.size(), 2U);
  EXPECT_EQ((*plan)[1].gateway_v4->to_string(), "10.66.2.254");
  EXPECT_FALSE((*plan)[1].gateway_v6) << "nobody there has IPv6";
}

TEST(AddressPlan, MovesTheGatewayOutOfTheWay) {
  const auto plan = plan_addresses(
      one_zone_cluster({{"10.66.1.254", "fd66:1::fffe"}, {"10.66.1.253", "fd66:1::1"}}));
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->front().gateway_v4->to_string(), "10.66.1.252");
  EXPECT_EQ(plan->front().gateway_v6->to_string(), "fd66:1::fffd");
}

TEST(AddressPlan, RefusesAZoneOfSeveralSubnets) {
  EXPECT_THAT(refused(one_zone_cluster({{"10.66.1.1"}, {"10.66.2.1"}})),
              AllOf(HasSubstr("n2"), HasSubstr("share one /24")));
  EXPECT_THAT(refused(one_zone_cluster({{"fd66:1::1"}, {"fd66:2::1"}})),
              HasSubstr("share one /64"));
}

TEST(AddressPlan, RefusesTwoZonesInOneSubnet) {
  Cluster cluster = one_zone_cluster({{"10.66.1.1"}, {"10.66.1.2"}});
  cluster.zones.push_back({"b", "r", {}});
  cluster.nodes[1].zone = "b";
  EXPECT_THAT(refused(cluster), AllOf(HasSubstr("subnet of zone a"), HasSubstr("10.66.1.0/24")));
}

TEST(AddressPlan, RefusesAddressesThatCannotBe) {
  EXPECT_THAT(refused(one_zone_cluster({{}})), HasSubstr("no address"));
  EXPECT_THAT(refused(one_zone_cluster({{"10.66.1.0"}})), HasSubstr("network or broadcast"));
  EXPECT_THAT(refused(one_zone_cluster({{"10.66.1.1"}, {"10.66.1.1"}})), HasSubstr("another node"));
  EXPECT_THAT(refused(one_zone_cluster({{"10.66.1.0/28"}})), HasSubstr("host addresses only"));
  EXPECT_THAT(refused(one_zone_cluster({})), HasSubstr("no nodes"));
}

TEST(AddressPlan, RefusesAFullZone) {
  std::vector<std::vector<std::string>> nodes;
  for (int i = 1; i <= 254; ++i) nodes.push_back({"10.66.1." + std::to_string(i)});
  EXPECT_THAT(refused(one_zone_cluster(nodes)), HasSubstr("no address left"));
}

TEST(Names, MustFitIntoPathsAndNamespaces) {
  EXPECT_TRUE(check_name("node", "m1.a-b_c", {}));
  for (const char* bad : {"", "a b", "../x", ".x", "-x", "a/b", "a-name-that-is-much-too-long"}) {
    EXPECT_FALSE(check_name("node", bad, {})) << bad;
  }
}

TEST(Names, MustNotMeetInOneNamespace) {
  Cluster cluster = one_zone_cluster({{"10.66.1.1"}});
  EXPECT_TRUE(check_names(cluster));
  cluster.nodes[0].name = "core";
  EXPECT_FALSE(check_names(cluster));
  cluster.nodes[0].name = "zone-a";
  const auto status = check_names(cluster);
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, HasSubstr("zq-c-zone-a"));
}

}  // namespace
}  // namespace zq::testbed
