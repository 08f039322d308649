// Which node does what, whether it can, and what happens to processes.
#include <gmock/gmock.h>

#include "agent/base/capability.h"
#include "tests/unit/plan/plan_builder.h"

namespace zq {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

Experiment during(std::vector<Fault> faults) {
  return experiment({phase("x", "10s", std::move(faults)), phase("y", "10s")});
}

Fault impair(const Impairment& impairment, std::string_view a = "zone:a",
             std::string_view b = "zone:b") {
  Fault result = fault(FaultKind::kImpair, a, b);
  result.impairments = {impairment};
  return result;
}

Impairment delayed() {
  Impairment one;
  one.delay = 10ms;
  return one;
}

Cluster without_agents(const std::string& zone) {
  Cluster cluster = three_zones();
  for (Node& node : cluster.nodes) {
    if (node.zone == zone) node.agent = kNoAgent;
  }
  return cluster;
}

TEST(Placement, TheReceiverDoesItWhereTheSenderHasNoAgent) {
  const Cluster cluster = without_agents("b");
  const auto plan = plan_of(cluster, during({impair(delayed())}));
  ASSERT_TRUE(plan) << plan.error().message;
  const NodeProgramme& a = plan->programmes[0];
  ASSERT_EQ(a.entries.size(), 2U);
  for (const ProgrammeEntry& entry : a.entries) {
    ASSERT_EQ(entry.segments.size(), 1U);
    EXPECT_EQ(entry.segments[0].treatment, Treatment::kImpair);
  }
  EXPECT_FALSE(plan->programmes[2].has_agent);
  EXPECT_THAT(plan->programmes[2].entries, IsEmpty());
  EXPECT_THAT(plan->programmes[2].path_targets, IsEmpty());
  EXPECT_THAT(a.path_targets, testing::Contains(2));
  EXPECT_THAT(describe_plan(*plan, cluster, during({})),
              HasSubstr("what group 1 sends is treated where it arrives"));
}

TEST(Placement, NodesWithAndWithoutAnAgentAreNoGroup) {
  Cluster cluster = three_zones();
  cluster.nodes[3].agent = kNoAgent;  // b2
  const auto plan = plan_of(cluster, during({fault(FaultKind::kPartition, "zone:a", "zone:b")}));
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_NE(plan->programmes[2].group, plan->programmes[3].group);
}

TEST(Placement, SomebodyMustHaveAnAgent) {
  Cluster cluster = without_agents("b");
  cluster.nodes[0].agent = kNoAgent;  // a1
  const auto plan = plan_of(cluster, during({fault(FaultKind::kPartition, "zone:a", "zone:b")}));
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code, ErrorCode::kInput);
  EXPECT_THAT(plan.error().message, HasSubstr("experiment.toml:20:1: neither a1 nor b1, b2 has"));
}

TEST(Placement, ACrossSectionIsDividedOverTheSendersAndTheirPeers) {
  Fault fault = impair({}, "zone:a", "zone:b | zone:c");
  fault.cross_section_bps = 80'000'000;
  // Another fault makes groups of b and c.
  const auto plan = plan_of(three_zones(), during({fault, impair(delayed(), "zone:b", "zone:c")}));
  ASSERT_TRUE(plan) << plan.error().message;
  const auto rate = [&](NodeId node, NodeId peer) {
    const ProgrammeEntry* entry =
        find_entry(plan->programmes[node], Direction::kEgress, plan->programmes[peer].group);
    return plan->impairments[entry->segments[0].impairment].rate_bps;
  };
  EXPECT_EQ(rate(0, 2), 20'000'000U);  // 2 senders x 2 groups of peers
  EXPECT_EQ(rate(0, 4), 20'000'000U);
  EXPECT_EQ(rate(2, 0), 20'000'000U);  // 4 senders
  fault.cross_section_bps = 20'000;
  const auto small = plan_of(three_zones(), during({fault}));
  ASSERT_FALSE(small);
  EXPECT_THAT(small.error().message, HasSubstr("leaves 5000 bit/s for each node"));
}

TEST(Placement, ZoneDownCutsTheZoneFromAllAndFromItself) {
  const Cluster cluster = three_zones();
  const auto plan = plan_of(cluster, during({fault(FaultKind::kZoneDown, "zone:b", {}, 2s)}));
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->groups.size(), 2U);
  const NodeProgramme& b = plan->programmes[2];
  ASSERT_EQ(b.entries.size(), 4U);
  for (const ProgrammeEntry& entry : b.entries) {
    EXPECT_THAT(entry.windows, ElementsAre(Window{2s, 10s}));
  }
  ASSERT_EQ(plan->processes.size(), 1U);
  EXPECT_EQ(plan->processes[0].what, ProcessStep::What::kKill);
  EXPECT_EQ(plan->processes[0].at, 2s);
  EXPECT_EQ(plan->processes[0].undo_at, 10s);
  EXPECT_THAT(plan->phases[1].down, ElementsAre(2, 3));
  EXPECT_EQ(plan->phases[1].kill_after, 2s);
  EXPECT_EQ(plan->blast.pairs_impaired, 18U);  // 2 x 4 both ways, and 2 within
  EXPECT_THAT(plan->blast.zones_cut, ElementsAre("b"));
}

TEST(Placement, TooManyQueuesAreRefused) {
  Cluster cluster = three_zones();
  // 20 peers that are all treated differently, in 60 steps each.
  std::vector<Fault> faults;
  for (unsigned i = 0; i < 20; ++i) {
    add_node(cluster, fmt::format("c{}", i + 3), "c", {"agent"}, {fmt::format("10.67.0.{}", i)});
    Fault ramp = impair({}, "node:a1", fmt::format("node:c{}", i + 3));
    ramp.impairments.clear();
    for (unsigned step = 1; step <= 60; ++step) {
      ramp.impairments.emplace_back().delay = std::chrono::milliseconds(step);
    }
    faults.push_back(std::move(ramp));
  }
  const auto plan = plan_of(cluster, during(std::move(faults)));
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code, ErrorCode::kRefused);
  EXPECT_THAT(plan.error().message, HasSubstr("a node like a1 would need 1200 queues"));
}

std::string lacking(const std::vector<Fault>& faults, const std::set<std::string>& present,
                    const Cluster& cluster = three_zones()) {
  const Experiment experiment = during(faults);
  const std::vector<std::set<std::string>> capabilities(cluster.nodes.size(), present);
  const auto plan = make_plan({cluster, experiment, {}, nullptr, capabilities});
  if (plan) return "";
  EXPECT_EQ(plan.error().code, ErrorCode::kRefused) << plan.error().message;
  return plan.error().message;
}

TEST(Capabilities, AreNamedWithNodeAndPurpose) {
  using namespace capability;  // NOLINT(google-build-using-namespace)
  const std::vector<Fault> delay{impair(delayed())};
  EXPECT_EQ(lacking(delay, {kGate, kIfb, kNetem}), "");
  EXPECT_EQ(lacking(delay, {kGate, kDelayLine}), "");
  EXPECT_THAT(lacking(delay, {kGate, kIfb, kHtb}),
              HasSubstr("a1, a2, b1, b2: no netem and no delay-line, which a delay of packets that "
                        "it sends needs"));
  EXPECT_THAT(lacking(delay, {kGate, kDelayLine}, without_agents("b")),
              HasSubstr("a1, a2: no netem, which a delay of packets that it receives needs"));
  Impairment rate;
  rate.rate_bps = 1'000'000;
  EXPECT_EQ(lacking({impair(rate)}, {kGate, kIfb, kHtb}), "");
  EXPECT_THAT(lacking({impair(rate)}, {kGate, kIfb}), HasSubstr("no htb, which a rate needs"));
  EXPECT_THAT(lacking({impair(rate)}, {kGate, kHtb}), HasSubstr("no ifb, which a rate needs"));
  Impairment corrupt;
  corrupt.corrupt = 0.1;
  EXPECT_THAT(lacking({impair(corrupt)}, {kGate, kDelayLine}),
              HasSubstr("no netem, which corrupt needs"));
  Impairment loss;
  loss.loss = {LossModel::Kind::kRandom, {0.1}};
  EXPECT_EQ(lacking({impair(loss)}, {kGate}), "");
  Fault reject = fault(FaultKind::kPartition, "zone:a", "zone:b");
  EXPECT_EQ(lacking({reject}, {kGate}), "");
  reject.reject = true;
  EXPECT_THAT(lacking({reject}, {kGate}), HasSubstr("no reject, which reject = true needs"));
}

TEST(Capabilities, OfProcessesOutsideATestbed) {
  using namespace capability;  // NOLINT(google-build-using-namespace)
  Cluster cluster = three_zones();
  cluster.testbed.reset();
  add_system(cluster, "zk", "role:master");
  cluster.systems[0].unit = "zookeeper.service";
  const Fault pause = fault(FaultKind::kPause, "node:b1");
  EXPECT_THAT(lacking({pause}, {kGate, kSystemd}, cluster),
              HasSubstr("b1: no freezer, which pause needs"));
  EXPECT_THAT(lacking({pause}, {kGate, kFreezer}, cluster),
              HasSubstr("b1: no systemd, which a fault of processes of a unit needs"));
  EXPECT_EQ(lacking({pause}, {kGate, kFreezer, kSystemd}, cluster), "");
  EXPECT_EQ(lacking({fault(FaultKind::kKill, "node:b1")}, {kGate, kSystemd}, cluster), "");
}

TEST(Processes, StepsHaveTheirUndoingAndNodesTogether) {
  Fault through = fault(FaultKind::kStop, "zone:a", {}, 1s);
  through.through = "y";
  Fault restart = fault(FaultKind::kRestart, "zone:c", {}, 3s);
  Fault pause = fault(FaultKind::kPause, "node:b1", {}, 2s);
  pause.lasts = 4s;
  const auto plan = plan_of(three_zones(), during({through, restart, pause}));
  ASSERT_TRUE(plan) << plan.error().message;
  ASSERT_EQ(plan->processes.size(), 3U);
  EXPECT_EQ(plan->processes[0].what, ProcessStep::What::kStop);
  EXPECT_THAT(plan->processes[0].nodes, ElementsAre(0, 1));
  EXPECT_EQ(plan->processes[0].undo_at, 20s);
  EXPECT_EQ(plan->processes[1].what, ProcessStep::What::kPause);
  EXPECT_EQ(plan->processes[1].undo_at, 6s);
  EXPECT_EQ(plan->processes[2].what, ProcessStep::What::kRestart);
  EXPECT_EQ(plan->processes[2].undo_at, plan->processes[2].at);
  EXPECT_THAT(plan->phases[1].down, ElementsAre(0, 1));
  EXPECT_THAT(plan->phases[2].down, ElementsAre(0, 1));
  EXPECT_EQ(plan->fault_end(), 20s);
}

TEST(Processes, ANodeIsActedUponByOneFaultAtATime) {
  Cluster cluster = three_zones();
  add_system(cluster, "zk", "all");
  add_system(cluster, "etcd", "all");
  cluster.systems[1].kind = "etcd";
  const auto plan = [&](const Fault& one, const Fault& two) {
    const auto made = plan_of(cluster, during({one, two}));
    return made ? "planned" : made.error().message;
  };
  Fault kill = fault(FaultKind::kKill, "zone:b");
  Fault pause = fault(FaultKind::kPause, "node:b1", {}, 2s);
  EXPECT_THAT(plan(kill, pause), HasSubstr("act on processes of b1 at the same time"));
  kill.lasts = 2s;
  EXPECT_EQ(plan(kill, pause), "planned");
  kill.lasts.reset();
  kill.system = "zk";
  pause.system = "etcd";
  EXPECT_EQ(plan(kill, pause), "planned");
  pause.system = "zookeeper";  // the kind of the same
  EXPECT_THAT(plan(kill, pause), HasSubstr("act on processes of b1"));
  // Equal ones are one.
  const Fault down = fault(FaultKind::kZoneDown, "zone:b");
  const auto twice = plan_of(cluster, during({fault(FaultKind::kKill, "node:b1"), down}));
  ASSERT_TRUE(twice) << twice.error().message;
  EXPECT_EQ(twice->processes.size(), 1U);
}

TEST(Processes, TheDeadDoNotVote) {
  Cluster cluster = three_zones();
  add_system(cluster, "zk", "role:master");  // a1, b1, c1
  const auto at_risk = [&](std::vector<Fault> faults) {
    const auto plan = plan_of(cluster, during(std::move(faults)));
    EXPECT_TRUE(plan) << plan.error().message;
    return plan && !plan->blast.quorum_at_risk.empty();
  };
  EXPECT_FALSE(at_risk({fault(FaultKind::kPause, "node:a1")}));
  EXPECT_TRUE(at_risk({fault(FaultKind::kPause, "node:a1 | node:b1")}));
  EXPECT_TRUE(at_risk({fault(FaultKind::kZoneDown, "zone:a"), fault(FaultKind::kStop, "node:b1")}));
  EXPECT_TRUE(at_risk({fault(FaultKind::kRestart, "role:master")}));
  // One after the other: a pause is over at once, a restart with its phase.
  Fault first = fault(FaultKind::kPause, "node:a1");
  first.lasts = 2s;
  const Fault second = fault(FaultKind::kPause, "node:b1", {}, 3s);
  EXPECT_FALSE(at_risk({first, second}));
  EXPECT_TRUE(at_risk(
      {fault(FaultKind::kRestart, "node:a1"), fault(FaultKind::kRestart, "node:b1", {}, 3s)}));
  // Ports may be anybody's, ICMP is nobody's.
  Fault ports = fault(FaultKind::kPartition, "node:a1", "all & !node:a1");
  ports.scope.ports = {{2181, 2181}};
  Fault other = fault(FaultKind::kPartition, "node:b1", "all & !node:b1");
  EXPECT_TRUE(at_risk({ports, other}));
  ports.scope.ports.clear();
  ports.scope.protocol = 1;
  EXPECT_FALSE(at_risk({ports, other}));
  // A loss of everything is a cut.
  Impairment all;
  all.loss = {LossModel::Kind::kRandom, {1}};
  EXPECT_TRUE(at_risk({impair(all, "node:a1", "all & !node:a1"), other}));
  all.loss.parameters[0] = 0.99;
  EXPECT_FALSE(at_risk({impair(all, "node:a1", "all & !node:a1"), other}));
}

TEST(Processes, HooksAndSystemsAreLookedUp) {
  Cluster cluster = three_zones();
  add_system(cluster, "zk", "role:master");
  Fault hook = fault(FaultKind::kHook, "zone:b");
  hook.hook = "power";
  const auto unknown = plan_of(cluster, during({hook}));
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().message, HasSubstr("experiment.toml:20:1: cluster 'three' has no"));
  cluster.hooks.push_back({.name = "power", .run = {"true"}, .undo = {}, .position = {}});
  const auto plan = plan_of(cluster, during({hook}));
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->processes[0].hook, "power");
  Fault system = fault(FaultKind::kKill, "zone:b");
  system.system = "zookeeper";
  const auto killed = plan_of(cluster, during({system}));
  ASSERT_TRUE(killed) << killed.error().message;
  EXPECT_EQ(killed->processes[0].system, "zk");
  EXPECT_THAT(killed->processes[0].nodes, ElementsAre(2));
  EXPECT_THAT(killed->phases[1].down, IsEmpty()) << "the node is not dead, only one system is";
}

TEST(Times, AFaultFitsIntoItsPhases) {
  Fault late = fault(FaultKind::kPartition, "zone:a", "zone:b", 10s);
  const auto message = [](const Fault& fault) {
    const auto plan = plan_of(three_zones(), during({fault}));
    return plan ? "planned" : plan.error().message;
  };
  EXPECT_THAT(message(late),
              HasSubstr("begins 10s after the start of phase 'x', which lasts only"));
  late.after = 5s;
  late.lasts = 6s;
  EXPECT_THAT(message(late), HasSubstr("phase 'x' ends 5s after its start"));
  late.lasts = 5s;
  EXPECT_EQ(message(late), "planned");
  late.lasts.reset();
  late.through = "z";
  EXPECT_THAT(message(late), HasSubstr("no later phase 'z'"));
}

}  // namespace
}  // namespace zq
