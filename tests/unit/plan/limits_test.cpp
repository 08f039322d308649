#include <gmock/gmock.h>

#include "controller/plan/quorum.h"
#include "tests/unit/plan/plan_builder.h"

namespace zq {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Experiment cut_once(std::vector<Fault> faults) {
  return experiment({phase("cut", "5s", std::move(faults))});
}

std::vector<std::string> zones_cut(std::vector<Fault> faults) {
  const Cluster cluster = three_zones();
  const auto plan = plan_of(cluster, cut_once(std::move(faults)));
  if (!plan) ADD_FAILURE() << plan.error().message;
  return plan ? plan->blast.zones_cut : std::vector<std::string>{};
}

std::vector<std::string> at_risk(const Cluster& cluster, const Experiment& experiment) {
  const auto plan = plan_of(cluster, experiment);
  if (!plan) ADD_FAILURE() << plan.error().message;
  return plan ? plan->blast.quorum_at_risk : std::vector<std::string>{"no plan"};
}

TEST(Blast, ZonesCutAreThoseOfTheSmallerSide) {
  EXPECT_THAT(zones_cut({fault(FaultKind::kPartition, "!zone:b", "zone:b")}), ElementsAre("b"));
  EXPECT_THAT(zones_cut({fault(FaultKind::kOneWay, "zone:a | zone:b", "zone:c")}),
              ElementsAre("c"));
  EXPECT_THAT(zones_cut({fault(FaultKind::kPartition, "zone:c", "zone:a")}), ElementsAre("c"));
  EXPECT_THAT(zones_cut({fault(FaultKind::kPartition, "zone:c", "node:a2")}), ElementsAre("a"));
  EXPECT_THAT(zones_cut({fault(FaultKind::kPartition, "node:b1", "node:b2")}), ElementsAre("b"));
  EXPECT_THAT(zones_cut({fault(FaultKind::kPartition, "zone:a", "zone:b"),
                         fault(FaultKind::kPartition, "zone:a", "zone:c"),
                         fault(FaultKind::kPartition, "zone:b", "zone:c")}),
              ElementsAre("a", "b"));
}

TEST(Blast, TooManyZonesAreRefusedWithTheWayOut) {
  const Cluster cluster = three_zones();
  Experiment wide = cut_once({fault(FaultKind::kPartition, "zone:a", "!zone:a"),
                              fault(FaultKind::kPartition, "zone:b", "!zone:b")});
  wide.limits.max_zones_cut = 1;
  const auto plan = plan_of(cluster, wide);
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code, ErrorCode::kRefused);
  EXPECT_THAT(plan.error().message, HasSubstr("cut 2 zones (a, b)"));
  EXPECT_THAT(plan.error().message, HasSubstr("max_zones_cut = 2"));
  wide.limits.max_zones_cut = 2;
  EXPECT_TRUE(plan_of(cluster, wide));
}

TEST(Quorum, OneOfThreeZonesMayGo) {
  Cluster cluster = three_zones();
  add_system(cluster, "zk", "role:master");
  EXPECT_THAT(at_risk(cluster, cut_once({fault(FaultKind::kPartition, "zone:a", "!zone:a")})),
              IsEmpty());
  EXPECT_THAT(at_risk(cluster, cut_once({fault(FaultKind::kKill, "zone:a")})), IsEmpty());
  // A partial cut leaves a majority through the third zone.
  EXPECT_THAT(at_risk(cluster, cut_once({fault(FaultKind::kPartition, "zone:a", "zone:b")})),
              IsEmpty());
}

TEST(Quorum, IsLostWhenNoSideKeepsAMajority) {
  Cluster cluster = three_zones();
  add_system(cluster, "zk", "role:master");
  EXPECT_THAT(at_risk(cluster, cut_once({fault(FaultKind::kPartition, "zone:a", "!zone:a"),
                                         fault(FaultKind::kPartition, "zone:b", "zone:c")})),
              ElementsAre("zk"));
  // In a ring of one-way cuts no two masters hear each other.
  EXPECT_THAT(at_risk(cluster, cut_once({fault(FaultKind::kOneWay, "zone:a", "zone:b"),
                                         fault(FaultKind::kOneWay, "zone:b", "zone:c"),
                                         fault(FaultKind::kOneWay, "zone:c", "zone:a")})),
              ElementsAre("zk"));
  EXPECT_THAT(at_risk(cluster, cut_once({fault(FaultKind::kKill, "zone:a | zone:b")})),
              ElementsAre("zk"));
  // One zone cut, another one killed.
  EXPECT_THAT(at_risk(cluster, cut_once({fault(FaultKind::kPartition, "zone:a", "!zone:a"),
                                         fault(FaultKind::kKill, "zone:c")})),
              ElementsAre("zk"));
}

TEST(Quorum, FaultsAtDifferentTimesDoNotAddUp) {
  Cluster cluster = three_zones();
  add_system(cluster, "zk", "role:master");
  EXPECT_THAT(
      at_risk(cluster,
              experiment({phase("first", "5s", {fault(FaultKind::kPartition, "zone:a", "!zone:a")}),
                          phase("second", "5s", {fault(FaultKind::kKill, "zone:b")})})),
      IsEmpty());
}

TEST(Quorum, WhatIsBeingStartedAgainStillCountsAsDead) {
  Cluster cluster = three_zones();
  add_system(cluster, "zk", "role:master");
  // a and b alternate: when b dies, a is only booting.
  EXPECT_THAT(
      at_risk(cluster,
              experiment({phase("one", "5s", {fault(FaultKind::kKill, "zone:a")}),
                          phase("two", "5s", {fault(FaultKind::kKill, "zone:b", {}, 1_sec)})})),
      ElementsAre("zk"));
  EXPECT_THAT(
      at_risk(cluster, experiment({phase("one", "5s", {fault(FaultKind::kKill, "zone:a")}),
                                   phase("pause", "5s", {}),
                                   phase("two", "5s", {fault(FaultKind::kKill, "zone:b")})})),
      IsEmpty());
}

TEST(Quorum, CountsTheVotersOfEachSystem) {
  Cluster cluster = three_zones();
  add_system(cluster, "etcd", "role:agent");
  add_system(cluster, "elsewhere", "zone:b");
  EXPECT_THAT(at_risk(cluster, cut_once({fault(FaultKind::kKill, "node:a2 | node:c2")})),
              ElementsAre("etcd"));
  EXPECT_THAT(at_risk(cluster, cut_once({fault(FaultKind::kKill, "node:b1")})),
              ElementsAre("elsewhere"));
}

TEST(Quorum, LossIsRefusedUnlessItIsMeant) {
  Cluster cluster = three_zones();
  add_system(cluster, "zk", "role:master");
  Experiment loss = cut_once({fault(FaultKind::kKill, "zone:a | zone:b")});
  loss.limits.quorum_loss = false;
  const auto plan = plan_of(cluster, loss);
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code, ErrorCode::kRefused);
  EXPECT_THAT(plan.error().message, HasSubstr("no majority of zk"));
  EXPECT_THAT(plan.error().message, HasSubstr("quorum_loss = true"));
  loss.limits.quorum_loss = true;
  EXPECT_TRUE(plan_of(cluster, loss));
}

TEST(Quorum, EndsEvenWhenEveryVoterIsAGroupOfItsOwn) {
  // 30 pairs of voters that do not hear each other: 30 of 60 is the most that are connected, in
  // 2^30 ways. A search without bounds would not come back.
  Cluster cluster;
  cluster.name = "clique";
  add_zone(cluster, "a");
  for (unsigned i = 0; i < 60; ++i) {
    add_node(cluster, fmt::format("n{}", i), "a", {"master"}, {fmt::format("10.66.0.{}", i + 1)});
  }
  add_system(cluster, "zk", "all");
  std::vector<Fault> faults;
  for (unsigned i = 0; i < 60; i += 2) {
    faults.push_back(
        fault(FaultKind::kOneWay, fmt::format("node:n{}", i), fmt::format("node:n{}", i + 1)));
  }
  EXPECT_THAT(at_risk(cluster, cut_once(std::move(faults))), ElementsAre("zk"));
}

}  // namespace
}  // namespace zq
