#include "experiments/cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "tests/unit/experiments/test_files.h"

namespace zq {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing_files::example_cluster;

TEST(ClusterFile, HoldsRegionsZonesAndNodesInFileOrder) {
  const Cluster cluster = example_cluster();
  EXPECT_EQ(cluster.name, "example");
  EXPECT_THAT(cluster.regions, ElementsAre("west", "east"));
  ASSERT_EQ(cluster.zones.size(), 3U);
  EXPECT_EQ(cluster.zones[2].name, "c");
  EXPECT_EQ(cluster.zones[2].region, "east");
  std::vector<std::string> names;
  for (const Node& node : cluster.nodes) names.push_back(node.name);
  EXPECT_THAT(names, ElementsAre("m1", "m2", "m3", "b1", "b2", "c1", "c2.example"));
  EXPECT_EQ(cluster.nodes[3].zone, "b");
  EXPECT_EQ(cluster.nodes[3].region, "west");
}

TEST(ClusterFile, ANodeHasRolesAddressesLabelsAndAnAgent) {
  const Cluster cluster = example_cluster();
  const Node& m1 = cluster.nodes[0];
  EXPECT_THAT(m1.roles, ElementsAre("master", "scheduler"));
  EXPECT_TRUE(m1.has_role("scheduler"));
  EXPECT_FALSE(m1.has_role("agent"));
  EXPECT_EQ(m1.addresses.size(), 3U);
  EXPECT_EQ(m1.host(true), *IpAddress::parse("10.66.1.1"));
  EXPECT_EQ(m1.host(false), *IpAddress::parse("fd66:1::1"));
  EXPECT_EQ(cluster.nodes[1].host(false), std::nullopt);
  EXPECT_THAT(m1.labels, ElementsAre(Pair("disk", "ssd"), Pair("rack", "4")));
  EXPECT_EQ(m1.agent, "");
  EXPECT_EQ(cluster.nodes[1].agent, "unix:/run/zonequake-m2.sock");
  EXPECT_EQ(cluster.nodes[6].agent, "[fd66:3::2]:4270");
  EXPECT_EQ(m1.position.to_string(), "/files/clusters/example.toml:12:1");
}

TEST(ClusterFile, SystemsAppsAndExemptions) {
  const Cluster cluster = example_cluster();
  ASSERT_EQ(cluster.systems.size(), 2U);
  EXPECT_EQ(cluster.systems[0].kind, "swarm");
  EXPECT_EQ(cluster.systems[0].nodes.text(), "role:master | role:agent");
  EXPECT_EQ(cluster.systems[0].endpoint, "unix:{dir}/docker.sock");
  EXPECT_THAT(cluster.systems[0].options,
              ElementsAre(Pair("debug", "false"), Pair("dispatcher_heartbeat", "1s"),
                          Pair("retries", "2")));
  ASSERT_EQ(cluster.apps.size(), 2U);
  EXPECT_EQ(cluster.apps[0].replicas, 3U);
  EXPECT_EQ(cluster.apps[0].port_first, 18080);
  EXPECT_EQ(cluster.apps[0].port_last, 18089);
  EXPECT_EQ(cluster.apps[1].replicas, 1U);
  EXPECT_EQ(cluster.apps[1].port_first, 18090);
  EXPECT_EQ(cluster.apps[1].port_last, 18090);
  ASSERT_EQ(cluster.exempt.size(), 2U);
  EXPECT_EQ(cluster.exempt[0].protocol, "tcp");
  EXPECT_EQ(cluster.exempt[0].port, 22);
  EXPECT_EQ(cluster.exempt[0].prefix, std::nullopt);
  EXPECT_EQ(cluster.exempt[1].prefix, *IpPrefix::parse("10.99.0.0/16"));
}

TEST(ClusterFile, ASystemSaysWhereItsCredentialsAre) {
  std::string text = testing_files::read("example_real_cluster.toml");
  text += "credentials = \"env:ETCD_2\"\nauth = \"dcos\"\nca = \"file:/etc/ca.pem\"\n";
  const auto cluster = parse_cluster(text, "real.toml");
  ASSERT_TRUE(cluster) << cluster.error().message;
  EXPECT_EQ(cluster->systems[0].access.credentials, "");
  EXPECT_TRUE(cluster->systems[0].access.tls_verify);
  EXPECT_EQ(cluster->systems[1].access.credentials, "env:ETCD_2");
  EXPECT_EQ(cluster->systems[1].access.auth, "dcos");
  EXPECT_EQ(cluster->systems[1].access.ca, "/etc/ca.pem");
}

TEST(ClusterFile, WhatShouldBeAReferenceIsNotRepeated) {
  std::string text = testing_files::read("example_real_cluster.toml");
  text += "credentials = \"admin:hunter2\"\n";
  const auto cluster = parse_cluster(text, "real.toml");
  ASSERT_FALSE(cluster);
  EXPECT_THAT(cluster.error().message, testing::Not(HasSubstr("hunter2")));
}

TEST(ClusterFile, TheRecipeIsRelativeToTheFile) {
  EXPECT_EQ(example_cluster().testbed->recipe, "/files/recipes/swarm.toml");
}

TEST(ClusterFile, KeepsTheExactText) {
  EXPECT_EQ(example_cluster().text, testing_files::read("example_cluster.toml"));
}

TEST(ClusterFile, FindsSystemsByNameOrByTheirOnlyKind) {
  const Cluster cluster = example_cluster();
  EXPECT_EQ(*find_system_by(cluster, "zk"), &cluster.systems[1]);
  EXPECT_EQ(*find_system_by(cluster, "zookeeper"), &cluster.systems[1]);
  const auto unknown = find_system_by(cluster, "swrm");
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().message, HasSubstr("did you mean 'swarm'?"));
  const auto real = parse_cluster(testing_files::read("example_real_cluster.toml"), "real.toml");
  ASSERT_TRUE(real) << real.error().message;
  EXPECT_FALSE(find_system_by(*real, "etcd"));
}

TEST(ClusterFile, VotersAreMastersOfASchedulerAndAllNodesOfACoordinator) {
  Cluster cluster = example_cluster();
  EXPECT_EQ(*voters_of(cluster, cluster.systems[0]), (NodeSet{0, 1, 2}));
  // m1 would be the only voter if being a master counted here.
  cluster.nodes[0].roles.emplace_back("coordinator");
  EXPECT_EQ(*voters_of(cluster, cluster.systems[1]), (NodeSet{0, 3, 5, 6}));
}

TEST(ClusterFile, ANodeMayListAHostAndThePrefixAroundIt) {
  const std::string text = testing_files::with(testing_files::read("example_cluster.toml"),
                                               "\"10.67.1.0/24\"", "\"10.66.1.0/31\"");
  EXPECT_TRUE(parse_cluster(text, "a.toml"));
  const auto shared = parse_cluster(testing_files::with(text, "10.66.1.0/31", "10.66.1.0/30"), "a");
  ASSERT_FALSE(shared);
  EXPECT_THAT(shared.error().message,
              HasSubstr("address 10.66.1.2 overlaps 10.66.1.0/30 of node 'm1' on line 18"));
}

TEST(ClusterFile, ManyAddressesAreCheckedQuickly) {
  std::string text = "name = 'big'\n[[region]]\nname = 'r'\n[[region.zone]]\nname = 'z'\n";
  for (int node = 0; node < 2000; ++node) {
    text += fmt::format(
        "[[region.zone.node]]\nname = 'n{0}'\nagent = 'n{0}:1'\naddresses = ['10.{1}.{2}.1'", node,
        node / 250, node % 250);
    for (int i = 0; i < 8; ++i) text += fmt::format(", 'fd66:{:x}:{:x}::/64'", node, i);
    text += "]\n";
  }
  const auto start = std::chrono::steady_clock::now();
  const auto cluster = parse_cluster(text, "big.toml");
  ASSERT_TRUE(cluster) << cluster.error().message;
  EXPECT_EQ(cluster->nodes.size(), 2000U);
  // Comparing 18,000 addresses pair by pair takes minutes in a debug build.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST(ClusterFile, LoadingNeedsTheFileAndTheRecipe) {
  const auto missing = load_cluster("/nonexistent/cluster.toml");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kInput);
  EXPECT_THAT(missing.error().message,
              HasSubstr("/nonexistent/cluster.toml: cannot be read: No such file"));
  const auto folder = load_cluster(ZQ_SOURCE_DIR);
  ASSERT_FALSE(folder);
  EXPECT_THAT(folder.error().message, HasSubstr("is a directory"));
  const auto no_recipe = load_cluster(testing_files::path_of("example_cluster.toml"));
  ASSERT_FALSE(no_recipe);
  EXPECT_THAT(no_recipe.error().message, HasSubstr("there is no recipe file "));
  const auto real = load_cluster(testing_files::path_of("example_real_cluster.toml"));
  EXPECT_TRUE(real) << real.error().message;
}

}  // namespace
}  // namespace zq
