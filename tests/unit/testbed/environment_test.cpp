// What the links of a cluster file make of the core namespace, and how the process there is told.
#include "controller/testbed/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/testbed/clusters.h"

namespace zq::testbed {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Impairment delay_of(std::int64_t milliseconds) {
  Impairment impairment;
  impairment.delay = std::chrono::milliseconds(milliseconds);
  return impairment;
}

// Zones a, b in region r1 and c, d in region r2, one node each.
Cluster two_regions(std::vector<TestbedLink> links) {
  Cluster cluster;
  cluster.name = "two";
  cluster.path = "two.toml";
  cluster.regions = {"r1", "r2"};
  int number = 0;
  for (const auto& [zone, region] :
       {std::pair("a", "r1"), std::pair("b", "r1"), std::pair("c", "r2"), std::pair("d", "r2")}) {
    ++number;
    cluster.zones.push_back({zone, region, {}});
    Node node;
    node.name = std::string(zone) + "1";
    node.zone = zone;
    node.region = region;
    node.addresses = {*IpPrefix::parse(fmt::format("10.66.{}.1", number)),
                      *IpPrefix::parse(fmt::format("fd66:{}::1", number))};
    cluster.nodes.push_back(std::move(node));
  }
  cluster.testbed = TestbedSpec{"recipe.toml", std::move(links)};
  return cluster;
}

TestbedLink link(const std::string& a, const std::string& b, std::int64_t milliseconds) {
  return {a, b, delay_of(milliseconds), Position{"two.toml", 7, 1}};
}

Result<std::optional<WanConfig>> plan(const Cluster& cluster) {
  const auto addresses = plan_addresses(cluster);
  if (!addresses) return tl::unexpected(addresses.error());
  return plan_environment(cluster, *addresses);
}

// "a-c 50ms" for every pair of zones that is impaired, in the order of the configuration.
std::vector<std::string> pairs_of(const std::vector<TestbedLink>& links) {
  const auto config = plan(two_regions(links));
  if (!config || !*config) {
    ADD_FAILURE() << (config ? "no environment" : config.error().message);
    return {};
  }
  std::vector<std::string> pairs;
  for (const WanLink& one : (*config)->links) {
    for (const WanLink::Pair& pair : one.pairs) {
      pairs.push_back(fmt::format("{}-{} {}", (*config)->zones[pair.a].name,
                                  (*config)->zones[pair.b].name,
                                  format_duration(one.impairment.delay)));
    }
  }
  return pairs;
}

std::string refused(const std::vector<TestbedLink>& links) {
  const auto config = plan(two_regions(links));
  if (config) {
    ADD_FAILURE() << "accepted";
    return {};
  }
  EXPECT_EQ(config.error().code, ErrorCode::kInput);
  return config.error().message;
}

TEST(Environment, IsNoneWithoutLinks) {
  const auto config = plan(two_regions({}));
  ASSERT_TRUE(config);
  EXPECT_FALSE(config->has_value());
}

TEST(Environment, KnowsTheRoutersDevicesAndTheNodesAddresses) {
  const auto config = plan(two_regions({link("a", "b", 1)}));
  ASSERT_TRUE(config && *config);
  ASSERT_THAT((*config)->zones, SizeIs(4));
  EXPECT_EQ((*config)->zones[2],
            (WanZone{"c", "z3", {*IpPrefix::parse("10.66.3.1"), *IpPrefix::parse("fd66:3::1")}}));
}

TEST(Environment, OfZonesTouchesNoOthers) {
  EXPECT_THAT(pairs_of({link("c", "b", 5)}), ElementsAre("c-b 5ms"));
}

TEST(Environment, OfRegionsCoversAllTheirPairsOfZonesAtOnce) {
  EXPECT_THAT(pairs_of({link("r1", "r2", 100)}),
              ElementsAre("a-c 100ms", "a-d 100ms", "b-c 100ms", "b-d 100ms"));
  const auto config = plan(two_regions({link("r1", "r2", 100)}));
  ASSERT_TRUE(config && *config);
  EXPECT_THAT((*config)->links, SizeIs(1)) << "one border, whose rate is of all pairs together";
}

TEST(Environment, OfZonesOverridesTheirRegionsWhereverItStands) {
  EXPECT_THAT(pairs_of({link("r1", "r2", 100), link("d", "a", 7)}),
              ElementsAre("d-a 7ms", "a-c 100ms", "b-c 100ms", "b-d 100ms"));
}

TEST(Environment, RefusesLinksThatMakeNoSense) {
  EXPECT_THAT(refused({link("a", "nowhere", 1)}), HasSubstr("two.toml:7:1"));
  EXPECT_THAT(refused({link("a", "nowhere", 1)}), HasSubstr("'a'"));
  EXPECT_THAT(refused({link("r1", "b", 1)}), HasSubstr("no region 'b'"));
  EXPECT_THAT(refused({link("a", "a", 1)}), HasSubstr("not 'a' twice"));
  EXPECT_THAT(refused({link("a", "b", 1), link("b", "a", 2)}), HasSubstr("linked twice"));
}

TEST(Environment, IsToldToTheProcessInTheCoreNamespace) {
  const auto config = plan(two_regions({link("r1", "r2", 100)}));
  ASSERT_TRUE(config && *config);
  const Layout layout{"two"};
  const Launch launch = plan_environment_process(**config, layout, "/bin/agent");
  EXPECT_EQ(launch.pid_file(layout), "/run/zonequake/testbed/two/core/environment.pid");
  EXPECT_EQ(launch.request.cgroup, "zonequake/two/core");
  EXPECT_THAT(launch.request.argv, ::testing::Contains("zq-two-core"));
  const auto told = environment_of(launch);
  ASSERT_TRUE(told) << told.error().message;
  EXPECT_EQ(*told, **config);
}

TEST(WanConfig, IsReadAsItWasWritten) {
  WanConfig config;
  config.zones = {{"a", "z1", {*IpPrefix::parse("10.66.1.1")}},
                  {"b", "z2", {*IpPrefix::parse("fd66:2::1"), *IpPrefix::parse("10.66.2.0/24")}}};
  Impairment all;
  all.delay = std::chrono::microseconds(50'001);
  all.jitter = std::chrono::milliseconds(5);
  all.delay_correlation = 0.1;
  all.distribution = Distribution::kCustom;
  for (int i = 0; i < 16; ++i) all.table.push_back(static_cast<std::int16_t>(i * 100 - 800));
  all.loss = {LossModel::Kind::kGilbertElliott, {0.01, 0.3, 1, 0.001, 0}};
  all.duplicate = 0.02;
  all.corrupt = 1.0 / 3;
  all.reorder = 0.25;
  all.rate_bps = 99'999'999'999;
  config.links = {{"a", "b", all, {{0, 1}}}};
  const auto read = parse_wan_config(to_text(config));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, config);
}

TEST(WanConfig, SaysWhatIsWrong) {
  WanConfig config;
  config.zones = {{"a", "z1", {}}, {"b", "z2", {}}};
  config.links = {{"a", "b", delay_of(5), {{0, 1}}}};
  const std::string good = to_text(config);
  ASSERT_TRUE(parse_wan_config(good));
  const auto refused_text = [](const std::string& text) {
    const auto read = parse_wan_config(text);
    if (read) {
      ADD_FAILURE() << "accepted: " << text;
      return std::string();
    }
    EXPECT_EQ(read.error().code, ErrorCode::kInput);
    return read.error().message;
  };
  EXPECT_THAT(refused_text("{"), HasSubstr("bad environment"));
  EXPECT_THAT(refused_text("[]"), HasSubstr("bad environment"));
  EXPECT_THAT(refused_text(with(good, "\"version\": 1", "\"version\": 2")),
              HasSubstr("another version"));
  EXPECT_THAT(refused_text(with(good, "\"z2\"", "\"a-name-that-is-too-long\"")),
              HasSubstr("not the name of a device"));
  EXPECT_THAT(refused_text(with(good, "\"distribution\": 0", "\"distribution\": 9")),
              HasSubstr("9 is not between"));
  EXPECT_THAT(refused_text(with(good, "\"delay_ns\": 5000000", "\"delay_ns\": -1")),
              ::testing::Not(IsEmpty()));
  config.links[0].pairs = {{0, 2}};
  EXPECT_THAT(refused_text(to_text(config)), HasSubstr("not a pair of zones"));
  config.links[0].pairs = {{0, 1}, {1, 0}};
  EXPECT_THAT(refused_text(to_text(config)), HasSubstr("linked twice"));
}

}  // namespace
}  // namespace zq::testbed
