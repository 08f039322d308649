#include "experiments/selector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "experiments/cluster.h"
#include "tests/unit/experiments/test_files.h"

namespace zq {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

const Position kStart{"x.toml", 3, 10};

class SelectorTest : public testing::Test {
 protected:
  // Names of the nodes that it selects; an error's message instead.
  std::set<std::string> nodes(std::string_view text, const LiveCluster* live = nullptr) {
    const auto selector = Selector::parse(text, kStart);
    if (!selector) return {selector.error().message};
    const auto ids = selector->resolve(cluster_, {{"cut", NodeSet{3, 4}}}, live);
    if (!ids) return {ids.error().message};
    std::set<std::string> names;
    for (const NodeId id : *ids) names.insert(cluster_.nodes[id].name);
    return names;
  }

  Cluster cluster_ = testing_files::example_cluster();
};

TEST_F(SelectorTest, ByZoneRegionRoleNodeAndAll) {
  EXPECT_THAT(nodes("zone:b"), UnorderedElementsAre("b1", "b2"));
  EXPECT_THAT(nodes("region:east"), UnorderedElementsAre("c1", "c2.example"));
  EXPECT_THAT(nodes("role:master"), UnorderedElementsAre("m1", "m2", "m3"));
  EXPECT_THAT(nodes("node:c2.example"), UnorderedElementsAre("c2.example"));
  EXPECT_EQ(nodes("all").size(), 7U);
  EXPECT_THAT(nodes("cut"), UnorderedElementsAre("b1", "b2"));
}

TEST_F(SelectorTest, OperatorsBindNotBeforeAndBeforeOr) {
  EXPECT_THAT(nodes("!cut & role:coordinator"), UnorderedElementsAre("c1", "c2.example"));
  EXPECT_THAT(nodes("node:m1 | zone:b & role:coordinator"), UnorderedElementsAre("m1", "b1"));
  EXPECT_THAT(nodes("(node:m1 | zone:b) & role:coordinator"), UnorderedElementsAre("b1"));
  EXPECT_THAT(nodes("!(zone:a | zone:c)"), UnorderedElementsAre("b1", "b2"));
  EXPECT_THAT(nodes("!!zone:b"), UnorderedElementsAre("b1", "b2"));
  EXPECT_THAT(nodes(" zone:a&\n zone:b "), IsEmpty());
}

TEST_F(SelectorTest, ZonesAndRegionsOfASet) {
  EXPECT_THAT(nodes("zone_of(one(role:coordinator))"), UnorderedElementsAre("b1", "b2"));
  EXPECT_THAT(nodes("region_of(node:c1)"), UnorderedElementsAre("c1", "c2.example"));
  EXPECT_THAT(nodes("zone_of(cut | node:m2)"), UnorderedElementsAre("m1", "m2", "m3", "b1", "b2"));
  EXPECT_THAT(nodes("region_of(zone:a & zone:b)"), IsEmpty());
}

TEST_F(SelectorTest, OneIsTheFirstInFileOrder) {
  EXPECT_THAT(nodes("one(role:agent)"), UnorderedElementsAre("b1"));
  EXPECT_THAT(nodes("one(!zone:a & !cut)"), UnorderedElementsAre("c1"));
  EXPECT_THAT(nodes("one(zone:a & zone:b)"), IsEmpty());
}

TEST_F(SelectorTest, MajorityAndMinorityAreTheTwoPartsOfTheVoters) {
  EXPECT_THAT(nodes("majority(swarm)"), UnorderedElementsAre("m1", "m2"));
  EXPECT_THAT(nodes("minority(swarm)"), UnorderedElementsAre("m3"));
  EXPECT_THAT(nodes("majority(zookeeper)"), UnorderedElementsAre("b1", "c1"));
  EXPECT_THAT(nodes("minority(zk)"), UnorderedElementsAre("c2.example"));
}

TEST_F(SelectorTest, MinorityNeverTakesTheQuorumAway) {
  for (std::size_t voters = 1; voters <= 7; ++voters) {
    Cluster cluster = testing_files::example_cluster();
    for (std::size_t i = 0; i < 7; ++i) {
      cluster.nodes[i].roles = {i < voters ? "coordinator" : "agent"};
    }
    const auto count = [&](std::string_view text) {
      return Selector::parse(text, kStart)->resolve(cluster, {}, nullptr)->size();
    };
    EXPECT_EQ(count("majority(zk)"), voters / 2 + 1);
    EXPECT_EQ(count("minority(zk)"), voters - (voters / 2 + 1));
    EXPECT_EQ(count("majority(zk) & minority(zk)"), 0U);
  }
}

TEST_F(SelectorTest, TheLeaderComesFromTheLiveCluster) {
  std::string asked;
  const LiveCluster live{[&](const std::string& system) -> Result<std::uint32_t> {
    asked = system;
    return 5U;
  }};
  EXPECT_THAT(nodes("node_of(leader(zookeeper))", &live), UnorderedElementsAre("c1"));
  EXPECT_EQ(asked, "zk") << "asked for by its kind, but answered by its name";
  EXPECT_THAT(nodes("zone_of(leader(zk))", &live), UnorderedElementsAre("c1", "c2.example"));
  EXPECT_THAT(nodes("!zone_of(leader(zk)) & role:agent", &live), UnorderedElementsAre("b1", "b2"));
  EXPECT_THAT(nodes("node_of(leader(zk))"),
              ElementsAre(HasSubstr("x.toml:3:25: the leader of 'zk' is known only once")));
}

TEST_F(SelectorTest, AFailureToFindTheLeaderIsPassedOn) {
  const LiveCluster live{[](const std::string&) -> Result<std::uint32_t> {
    return fail(ErrorCode::kUnavailable, "nobody leads");
  }};
  const auto selector = Selector::parse("node_of(leader(zk))", kStart);
  ASSERT_TRUE(selector);
  const auto nodes = selector->resolve(cluster_, {}, &live);
  ASSERT_FALSE(nodes);
  EXPECT_EQ(nodes.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(nodes.error().message, "nobody leads");
}

TEST_F(SelectorTest, KnowsWhatItRefersTo) {
  const auto selector =
      Selector::parse("cut | one(rest) | zone_of(leader(swarm)) | minority(zk) | cut", kStart);
  ASSERT_TRUE(selector);
  EXPECT_TRUE(selector->is_dynamic());
  EXPECT_THAT(selector->referenced_names(), ElementsAre("cut", "rest"));
  EXPECT_THAT(selector->referenced_systems(), ElementsAre("swarm", "zk"));
  EXPECT_TRUE(selector->check_names({"cut", "rest"}));
  EXPECT_THAT(selector->check_names({"cut", "best"}).error().message,
              HasSubstr("x.toml:3:20: no [select] entry in front of this has the name 'rest'; "
                        "did you mean 'best'?"));
  EXPECT_FALSE(Selector::parse("minority(zk) & one(all)", kStart)->is_dynamic());
}

TEST_F(SelectorTest, AnEmptyOneSelectsNothing) {
  const Selector selector;
  EXPECT_TRUE(selector.empty());
  EXPECT_FALSE(selector.is_dynamic());
  EXPECT_THAT(*selector.resolve(cluster_, {}, nullptr), IsEmpty());
}

TEST_F(SelectorTest, UnknownNamesAreErrorsWithPositionAndNearestName) {
  EXPECT_THAT(nodes("zone:b | zone:bb"),
              ElementsAre(HasSubstr("x.toml:3:24: cluster 'example' has no zone 'bb'; did you "
                                    "mean 'b'?")));
  EXPECT_THAT(nodes("region:wset"), ElementsAre(HasSubstr("did you mean 'west'?")));
  EXPECT_THAT(nodes("node:zzz"), ElementsAre(HasSubstr("it has: m1, m2, m3, b1")));
  EXPECT_THAT(nodes("cutt"), ElementsAre(HasSubstr("did you mean 'cut'?")));
  EXPECT_THAT(nodes("majority(swam)"),
              ElementsAre(HasSubstr("x.toml:3:19: cluster 'example' has no system 'swam'; did "
                                    "you mean 'swarm'?")));
}

TEST_F(SelectorTest, WhatIsNoSelectorIsRefusedWithItsPlace) {
  const std::pair<const char*, const char*> kCases[] = {
      {"", "3:10: an empty selector"},
      {"zone:", "3:15: expected the name of a zone"},
      {"zone:b)", "3:16: a ')' without its '('"},
      {"(zone:b", "3:17: expected ')'"},
      {"zone:b zone:c", "3:17: expected '&', '|' or the end"},
      {"zone:b & ", "3:19: expected a set of nodes"},
      {"one", "3:13: 'one' takes an argument"},
      {"one()", "3:14: expected a set of nodes"},
      {"majority()", "3:19: expected the name of a system"},
      {"leader(zk)", "3:10: leader() must stand inside"},
      {"node_of(zk)", "3:18: expected leader(SYSTEM)"},
      {"zone:ü", "3:15: expected the name of a zone after 'zone:', but found 'ü'"},
      {"a || b", "3:13: a second '|'"},
  };
  for (const auto& [text, message] : kCases) {
    const auto selector = Selector::parse(text, kStart);
    ASSERT_FALSE(selector) << text;
    EXPECT_EQ(selector.error().code, ErrorCode::kInput);
    EXPECT_THAT(selector.error().message, HasSubstr(message)) << text;
  }
}

TEST_F(SelectorTest, NestingHasAnEnd) {
  for (const char* open : {"(", "!", "one("}) {
    std::string text;
    for (int i = 0; i < 10'000; ++i) text += open;
    const auto selector = Selector::parse(text, kStart);
    ASSERT_FALSE(selector);
    EXPECT_THAT(selector.error().message, HasSubstr("nested more than 64 levels deep"));
  }
}

}  // namespace
}  // namespace zq
