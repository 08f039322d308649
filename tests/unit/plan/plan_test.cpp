#include "controller/plan/plan.h"

#include <gmock/gmock.h>

#include "tests/unit/plan/plan_builder.h"

namespace zq {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string message_of(const Result<Plan>& plan) { return plan ? "planned" : plan.error().message; }

TEST(Plan, PartitionDropsBothDirectionsOnBothSides) {
  const Cluster cluster = three_zones();
  const Experiment cut =
      experiment({phase("partition", "60s", {fault(FaultKind::kPartition, "zone:b", "!zone:b")})});
  const auto plan = plan_of(cluster, cut);
  ASSERT_TRUE(plan) << message_of(plan);

  EXPECT_THAT(plan->groups, ElementsAre(ElementsAre(0, 1, 4, 5), ElementsAre(2, 3)));
  ASSERT_EQ(plan->programmes.size(), 6U);
  for (const NodeProgramme& programme : plan->programmes) {
    const GroupId peer = 1 - programme.group;
    ASSERT_EQ(programme.entries.size(), 2U);
    EXPECT_EQ(programme.entries[0].direction, Direction::kEgress);
    EXPECT_EQ(programme.entries[1].direction, Direction::kIngress);
    for (const ProgrammeEntry& entry : programme.entries) {
      EXPECT_EQ(entry.peer, peer);
      EXPECT_THAT(entry.windows, ElementsAre(Window{0_sec, 60_sec}));
    }
  }
  EXPECT_EQ(plan->fault_end(), 60_sec);
  EXPECT_THAT(plan->blast.zones_cut, ElementsAre("b"));
  EXPECT_THAT(plan->blast.nodes_impaired, ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_EQ(plan->blast.pairs_impaired, 16U);  // 2 x 4, both ways
  EXPECT_EQ(plan->blast.pairs_total, 30U);
}

TEST(Plan, PartialPartitionLeavesTheThirdZoneAlone) {
  const Cluster cluster = three_zones();
  const auto plan = plan_of(
      cluster,
      experiment({phase("partial", "5s", {fault(FaultKind::kPartition, "zone:a", "zone:b")})}));
  ASSERT_TRUE(plan) << message_of(plan);
  EXPECT_EQ(plan->groups.size(), 3U);
  EXPECT_THAT(plan->programmes[4].entries, IsEmpty());
  EXPECT_THAT(plan->programmes[5].entries, IsEmpty());
  EXPECT_EQ(plan->programmes[0].entries.size(), 2U);
  EXPECT_THAT(plan->blast.zones_cut, ElementsAre("a"));
  EXPECT_THAT(plan->blast.nodes_impaired, ElementsAre(0, 1, 2, 3));
}

TEST(Plan, OneWayDropsAtTheSendersEgressAndTheReceiversIngress) {
  const Cluster cluster = three_zones();
  const auto plan = plan_of(
      cluster,
      experiment({phase("one-way", "5s", {fault(FaultKind::kOneWay, "zone:a", "zone:b")})}));
  ASSERT_TRUE(plan) << message_of(plan);
  const NodeProgramme& sender = plan->programmes[0];
  const NodeProgramme& receiver = plan->programmes[2];
  ASSERT_EQ(sender.entries.size(), 1U);
  EXPECT_EQ(sender.entries[0].direction, Direction::kEgress);
  EXPECT_EQ(sender.entries[0].peer, receiver.group);
  ASSERT_EQ(receiver.entries.size(), 1U);
  EXPECT_EQ(receiver.entries[0].direction, Direction::kIngress);
  EXPECT_EQ(receiver.entries[0].peer, sender.group);
  EXPECT_EQ(plan->blast.pairs_impaired, 4U);
}

TEST(Plan, TouchingWindowsAreMergedAndSeparateOnesStaySeparate) {
  const Cluster cluster = three_zones();
  const auto cut = [] { return fault(FaultKind::kPartition, "zone:b", "!zone:b"); };
  const auto plan =
      plan_of(cluster, experiment({phase("one", "5s", {cut(), cut()}), phase("two", "5s", {cut()}),
                                   phase("calm", "3s"), phase("three", "2s", {cut()})}));
  ASSERT_TRUE(plan) << message_of(plan);
  EXPECT_THAT(plan->programmes[0].entries[0].windows,
              ElementsAre(Window{0_sec, 10_sec}, Window{13_sec, 15_sec}));
  EXPECT_EQ(plan->fault_end(), 15_sec);
}

TEST(Plan, PhasesFollowEachOtherAroundT) {
  const Cluster cluster = three_zones();
  const auto plan = plan_of(cluster,
                            experiment({phase("cut", "unreachable_max + 15s",
                                              {fault(FaultKind::kPartition, "zone:b", "zone:a")}),
                                        phase("rest", "max(1s, 2s) * 2")}),
                            {{"unreachable_max", 2.5}});
  ASSERT_TRUE(plan) << message_of(plan);
  ASSERT_EQ(plan->phases.size(), 4U);
  EXPECT_EQ(plan->phases[0].name, "baseline");
  EXPECT_EQ(plan->phases[0].from, -10_sec);
  EXPECT_EQ(plan->phases[0].until, 0_sec);
  EXPECT_EQ(plan->phases[1].until, Nanos{17'500'000'000});
  EXPECT_EQ(plan->phases[2].until - plan->phases[2].from, 4_sec);
  for (std::size_t i = 1; i < plan->phases.size(); ++i) {
    EXPECT_EQ(plan->phases[i].from, plan->phases[i - 1].until);
  }
}

TEST(Plan, WithoutFaultsEverybodyIsOneGroup) {
  const Cluster cluster = three_zones();
  const auto plan = plan_of(cluster, experiment({phase("nothing", "30s")}));
  ASSERT_TRUE(plan) << message_of(plan);
  EXPECT_EQ(plan->groups.size(), 1U);
  EXPECT_EQ(plan->fault_end(), 0_sec);
  EXPECT_THAT(plan->blast.zones_cut, IsEmpty());
  EXPECT_THAT(plan->blast.nodes_impaired, IsEmpty());
  EXPECT_EQ(plan->blast.pairs_impaired, 0U);
  EXPECT_THAT(plan->address_book, testing::SizeIs(6));
}

TEST(Plan, KillsMarkPhasesAndSplitGroupsButOpenNoWindows) {
  const Cluster cluster = three_zones();
  const auto plan = plan_of(
      cluster, experiment({phase("all", "10s", {fault(FaultKind::kKill, "zone:a", {}, 2_sec)}),
                           phase("half", "10s", {fault(FaultKind::kKill, "node:a2", {}, 5_sec)}),
                           phase("none", "5s")}));
  ASSERT_TRUE(plan) << message_of(plan);
  EXPECT_EQ(plan->groups.size(), 3U);  // a1; a2; the rest
  EXPECT_THAT(plan->phases[1].down, ElementsAre(0, 1));
  EXPECT_EQ(plan->phases[1].kill_after, 2_sec);
  EXPECT_THAT(plan->phases[2].down, ElementsAre(1));
  EXPECT_EQ(plan->phases[2].kill_after, 0_sec);  // it was dead before
  EXPECT_THAT(plan->phases[3].down, IsEmpty());
  for (const NodeProgramme& programme : plan->programmes) EXPECT_THAT(programme.entries, IsEmpty());
  EXPECT_EQ(plan->fault_end(), 20_sec);
  EXPECT_THAT(plan->blast.zones_cut, ElementsAre("a"));
  EXPECT_THAT(plan->blast.nodes_impaired, ElementsAre(0, 1));
}

TEST(Plan, SelectionsBuildOnEachOther) {
  const Cluster cluster = three_zones();
  Experiment cut =
      experiment({phase("cut", "5s", {fault(FaultKind::kPartition, "lost", "!lost")})});
  cut.select.push_back({"masters", selector("role:master")});
  cut.select.push_back({"lost", selector("masters & zone:c")});
  const auto plan = plan_of(cluster, cut);
  ASSERT_TRUE(plan) << message_of(plan);
  EXPECT_THAT(plan->selections.at("lost"), ElementsAre(4));
  EXPECT_THAT(plan->groups, ElementsAre(ElementsAre(0, 1, 2, 3, 5), ElementsAre(4)));
}

TEST(Plan, DynamicSelectorsAskTheLiveCluster) {
  Cluster cluster = three_zones();
  add_system(cluster, "zk", "role:master");
  const Experiment cut = experiment({phase(
      "cut", "5s", {fault(FaultKind::kPartition, "zone_of(leader(zk))", "!zone_of(leader(zk))")})});
  const LiveCluster live{.leader = [](const std::string&) -> Result<std::uint32_t> { return 4; }};
  const auto plan = make_plan({cluster, cut, {}, &live});
  ASSERT_TRUE(plan) << message_of(plan);
  EXPECT_THAT(plan->blast.zones_cut, ElementsAre("c"));
}

TEST(Plan, RefusesWhatCannotBePlanned) {
  const Cluster cluster = three_zones();
  struct Case {
    Experiment experiment;
    std::vector<const char*> says;
  };
  Experiment empty_selection = experiment({});
  empty_selection.select.push_back({"nobody", selector("zone:a & zone:b")});
  const std::vector<Case> cases{
      {experiment({phase("x", "5s", {fault(FaultKind::kPartition, "zone:a", "!zone:b")})}),
       {"experiment.toml:20:1", "share a1, a2"}},
      {experiment({phase("x", "5s", {fault(FaultKind::kPartition, "zone:a & zone:b", "zone:c")})}),
       {"experiment.toml:7:3", "zone:a & zone:b", "selects no node"}},
      {experiment({phase("x", "5s", {fault(FaultKind::kOneWay, "zone:a")})}),
       {"experiment.toml:20:1", "names no nodes"}},
      {empty_selection, {"nobody", "is empty"}},
      {experiment({phase("x", "no_such_timer + 5s")}),
       {"phase 'x'", "experiment.toml:9:10", "no_such_timer", "reschedule_max"}},
      {experiment({phase("x", "5s - 5s")}), {"phase 'x'", "0 s"}},
      {experiment({phase("x", "8000h + 8000h")}), {"phase 'x'", "less than a year"}},
      {experiment({phase("x", "5s", {fault(FaultKind::kKill, "zone:a", {}, 5_sec)})}),
       {"lasts only 5s", "phase 'x'"}},
  };
  for (const Case& each : cases) {
    const auto plan = plan_of(cluster, each.experiment, {{"reschedule_max", 1}});
    ASSERT_FALSE(plan) << each.says.front();
    EXPECT_EQ(plan.error().code, ErrorCode::kInput) << plan.error().message;
    for (const char* part : each.says) EXPECT_THAT(plan.error().message, HasSubstr(part));
  }
}

TEST(Plan, RefusesToEndWithDeadNodes) {
  const Cluster cluster = three_zones();
  Experiment kills = experiment({});
  kills.phases.back().faults.push_back(fault(FaultKind::kKill, "node:c1"));
  const auto plan = plan_of(cluster, kills);
  ASSERT_FALSE(plan);
  EXPECT_THAT(plan.error().message, HasSubstr("leaves c1 dead"));
}

TEST(Plan, RefusesMoreWindowsThanTheKernelHolds) {
  const Cluster cluster = three_zones();
  const auto flapping = [](unsigned times) {
    std::vector<Phase> phases;
    for (unsigned i = 0; i < times; ++i) {
      phases.push_back(
          phase(fmt::format("off{}", i), "1s", {fault(FaultKind::kPartition, "zone:a", "zone:b")}));
      phases.push_back(phase(fmt::format("on{}", i), "1s"));
    }
    return experiment(std::move(phases));
  };
  EXPECT_TRUE(plan_of(cluster, flapping(kMaxSegmentsPerEntry)));
  const auto plan = plan_of(cluster, flapping(kMaxSegmentsPerEntry + 1));
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code, ErrorCode::kRefused);
  EXPECT_THAT(plan.error().message, HasSubstr("65 different stretches"));
}

TEST(Plan, RefusesAddressesOfTwoNodesThatOverlap) {
  for (const char* clash : {"10.66.1.1", "10.66.1.0/24", "10.0.0.0/8"}) {
    Cluster cluster = three_zones();
    add_node(cluster, "c3", "c", {"agent"}, {"10.66.3.3", clash});
    const auto plan = plan_of(cluster, experiment({}));
    ASSERT_FALSE(plan) << clash;
    EXPECT_EQ(plan.error().code, ErrorCode::kInput);
    EXPECT_THAT(plan.error().message, HasSubstr("overlaps"));
    EXPECT_THAT(plan.error().message, HasSubstr("c3"));
  }
  // Nested prefixes of one node are fine, and a sibling in between does not confuse the check.
  Cluster cluster = three_zones();
  add_node(cluster, "c3", "c", {"agent"}, {"10.66.9.0/24", "10.66.9.3", "10.66.9.128/25"});
  EXPECT_TRUE(plan_of(cluster, experiment({})));
  add_node(cluster, "c4", "c", {"agent"}, {"10.66.9.200"});
  EXPECT_FALSE(plan_of(cluster, experiment({})));
}

TEST(Plan, AddressBookIsSortedAndWithoutDuplicates) {
  Cluster cluster = three_zones();
  add_node(cluster, "c3", "c", {"agent"}, {"fd66::3", "10.66.9.0/24", "10.66.9.3", "10.66.9.3"});
  const auto plan = plan_of(
      cluster,
      experiment({phase("cut", "5s", {fault(FaultKind::kPartition, "node:c3", "!node:c3")})}));
  ASSERT_TRUE(plan) << message_of(plan);
  ASSERT_EQ(plan->address_book.size(), 9U);
  for (std::size_t i = 1; i < plan->address_book.size(); ++i) {
    EXPECT_LT(plan->address_book[i - 1].prefix, plan->address_book[i].prefix);
  }
  for (const AddressBookEntry& entry : plan->address_book) {
    const bool of_c3 = entry.prefix.to_string().starts_with("10.66.9") || !entry.prefix.is_v4();
    EXPECT_EQ(entry.group, of_c3 ? 1U : 0U) << entry.prefix.to_string();
  }
}

}  // namespace
}  // namespace zq
