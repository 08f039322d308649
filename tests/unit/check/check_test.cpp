#include <functional>

#include "controller/check/ports.h"
#include "tests/unit/check/cluster_fixture.h"

namespace zq::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using Change = std::function<void(Cluster&, Facts&)>;

struct Case {
  const char* name;
  const char* id;
  Cluster (*cluster)();
  Change change;
  const char* says;  // a line of `wrong`
};

void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }

class Broken : public ::testing::TestWithParam<Case> {};

TEST_P(Broken, FailsAndSaysWhy) {
  const Case& one = GetParam();
  Cluster cluster = one.cluster();
  Facts facts = sound_facts(cluster);
  const CheckResult sound = run_one(cluster, facts, one.id);
  EXPECT_EQ(sound.status, CheckStatus::kPassed)
      << ::testing::PrintToString(sound.wrong) << ::testing::PrintToString(sound.unknown);
  EXPECT_FALSE(sound.seen.empty());
  one.change(cluster, facts);
  const CheckResult broken = run_one(cluster, facts, one.id);
  EXPECT_EQ(broken.status, CheckStatus::kFailed);
  EXPECT_THAT(broken.wrong, Contains(HasSubstr(one.says)));
  EXPECT_FALSE(broken.recommendation.empty());
  EXPECT_FALSE(broken.to_do.empty());
}

INSTANTIATE_TEST_SUITE_P(
    Checks, Broken,
    ::testing::Values(
        Case{"TagMissing", "P-01", one_zone,
             [](Cluster&, Facts& f) { f.members[1].attributes.clear(); },
             "b1 in zone b has no zone attribute"},
        Case{"TagWrong", "P-01", one_zone,
             [](Cluster&, Facts& f) { f.members[1].attributes["zone"] = "c"; },
             "b1 is in zone b, but its attribute says c"},
        Case{"MasterWithoutDomain", "P-01", one_zone,
             [](Cluster&, Facts& f) { f.members[0].zone = "a"; }, "master m1 has no fault domain"},
        Case{"SchedulerOutside", "P-02", one_zone,
             [](Cluster&, Facts& f) { f.schedulers[0].node = 4; }, "is in zone b"},
        Case{"SchedulerAbroad", "P-02", agents_abroad,
             [](Cluster&, Facts& f) { f.schedulers[0].node = 3; }, "is in region r2"},
        Case{"FrameworkTaskOutside", "P-02", one_zone,
             [](Cluster&, Facts& f) {
               f.apps[0].framework = "kafka";
               f.apps[0].running_on = {"id-c1"};
             },
             "the scheduler of kafka runs in zone c"},
        Case{"Pinned", "P-03", one_zone,
             [](Cluster&, Facts& f) {
               f.apps[0].constraints = {{"zone", "IS", "b"}};
               f.apps[0].running_on = {"id-b1"};
             },
             "web does not move when zone b is lost"},
        Case{"GroupByAllZones", "P-03", one_zone,
             [](Cluster&, Facts& f) { f.apps[0].constraints = {{"zone", "GROUP_BY", "3"}}; },
             "GROUP_BY 3"},
        Case{"UniqueEverywhere", "P-03", one_zone,
             [](Cluster&, Facts& f) { f.apps[0].constraints = {{"hostname", "UNIQUE", ""}}; },
             "1 of 1 instances have no place outside"},
        Case{"Volumes", "P-03", across_zones,
             [](Cluster&, Facts& f) { f.apps[0].local_volumes = true; }, "volumes"},
        Case{"NotRescheduled", "P-03", across_zones,
             [](Cluster&, Facts& f) { f.apps[0].reschedules = false; }, "not to replace"},
        Case{"Full", "P-04", one_zone,
             [](Cluster&, Facts& f) {
               for (MemberFacts& member : f.members) member.unused = Resources{.cpus = 0.5};
             },
             "loss of zone b: 1 of web will stay waiting"},
        Case{"QuorumInOneZone", "P-05", across_zones,
             [](Cluster& c, Facts&) { c.nodes[1].zone = "a"; },
             "zone a alone holds a quorum (m1 m2)"},
        Case{"WrongQuorum", "P-05", across_zones,
             [](Cluster&, Facts& f) { f.voters[0].quorum = 1; }, "m1 is set to a quorum of 1"},
        Case{"EvenVoters", "P-05", across_zones,
             [](Cluster& c, Facts& f) {
               c.nodes[2].roles = {"agent"};
               f.voters.pop_back();
             },
             "2 voters are an even number"},
        Case{"OneScheduler", "P-06", across_zones,
             [](Cluster&, Facts& f) { f.schedulers.resize(1); }, "a single instance"},
        Case{"SchedulersTogether", "P-06", across_zones,
             [](Cluster&, Facts& f) { f.schedulers[0].node = f.schedulers[1].node = 2; },
             "more than half"},
        Case{"MastersTogether", "P-07", agents_abroad,
             [](Cluster& c, Facts&) { c.nodes[1].zone = "a"; }, "zone a alone holds a quorum"},
        Case{"Slow", "P-08", across_zones,
             [](Cluster&, Facts& f) { f.paths[0].rtt_p99_ms = 12; }, "p99 12.00 ms"},
        Case{"Lossy", "P-08", one_zone, [](Cluster&, Facts& f) { f.paths[0].received = 380; },
             "20 of 400 probes were not answered"},
        Case{"SharedAddress", "P-09", one_zone,
             [](Cluster&, Facts& f) {
               const auto address = *IpAddress::parse("10.99.0.1");
               f.apps[0].addresses = {address, address};
             },
             "10.99.0.1 is the address of an instance of web and of an instance of web"},
        Case{"InstanceOnAgentsAddress", "P-09", one_zone,
             [](Cluster&, Facts& f) { f.apps[0].addresses = {*IpAddress::parse("10.66.0.4")}; },
             "10.66.0.4 is the address of a1"},
        Case{"Translated", "P-09", one_zone,
             [](Cluster&, Facts& f) { f.members[0].advertised = {*IpAddress::parse("10.99.0.9")}; },
             "behind address translation"},
        Case{"Unroutable", "P-09", one_zone,
             [](Cluster&, Facts& f) { f.members[0].advertised = {*IpAddress::parse("127.0.0.1")}; },
             "nobody else can reach"},
        Case{"PortFiltered", "P-09", one_zone,
             [](Cluster&, Facts& f) {
               f.ports[0].connects = false;
               f.ports[0].error = "timed out";
             },
             "port 2377 cannot be reached: timed out"},
        Case{"Narrow", "P-10", one_zone,
             [](Cluster&, Facts& f) {
               for (PathFacts& path : f.paths) path.throughput_mbps = 90;
             },
             "90 Mbit/s"},
        Case{"DataAcrossZones", "P-10", one_zone,
             [](Cluster&, Facts& f) { f.apps[0].io_intensive = true; }, "data-intensive"},
        Case{"SnapshotTooLarge", "P-10", one_zone,
             [](Cluster&, Facts& f) {
               f.snapshot_bytes["swarm"] = 1e10;
               f.timers[{"swarm", "init_limit_time"}] = 10;
             },
             "initLimit allows 10s"},
        Case{"SessionsOutliveAgents", "P-11", one_zone,
             [](Cluster&, Facts& f) {
               f.timers[{"swarm", "zk_session_timeout"}] = 10;
               f.timers[{"swarm", "ping_deadline"}] = 8;
             },
             "agents are given up after 8s"},
        Case{"Skew", "P-11", one_zone, [](Cluster&, Facts& f) { f.clock_offset_s[2] = -1.5; },
             "the clock of m3 is 1.500s behind"},
        Case{"NoFailover", "P-11", one_zone,
             [](Cluster&, Facts& f) { f.schedulers[0].failover_timeout_s = 0; },
             "no failover timeout"},
        Case{"PublicLinks", "P-12", masters_abroad,
             [](Cluster& c, Facts&) { c.nodes[0].labels["link"] = "public"; },
             "region r1: links declared as public"},
        Case{"DomainRegionsDiffer", "P-12", masters_abroad,
             [](Cluster&, Facts& f) {
               f.voters[0].region = "r1";
               f.voters[1].region = "r2";
             },
             "they exit for it"}),
    [](const auto& one) { return std::string(one.param.name); });

TEST(Checks, WhatNobodyToldCannotBeTold) {
  Cluster cluster = one_zone();
  Facts facts;
  facts.missing = {"swarm: no manager told of its nodes"};
  for (NodeId id = 0; id < cluster.nodes.size(); ++id) facts.unchecked[id] = "it has no agent";
  for (const char* id : {"P-01", "P-02", "P-03", "P-04", "P-08", "P-09", "P-10", "P-11"}) {
    const CheckResult result = run_one(cluster, facts, id);
    EXPECT_EQ(result.status, CheckStatus::kCannotTell) << id;
    EXPECT_FALSE(result.unknown.empty()) << id;
  }
}

TEST(Checks, TopologyIsTold) {
  const std::vector<std::pair<Cluster (*)(), Topology>> all{{one_zone, Topology::kT1},
                                                            {across_zones, Topology::kT2},
                                                            {agents_abroad, Topology::kT3},
                                                            {masters_abroad, Topology::kT4}};
  for (const auto& [make, topology] : all) {
    const auto detected = detect_topology(make());
    ASSERT_TRUE(detected);
    EXPECT_EQ(*detected, topology) << to_string(topology);
  }
  EXPECT_FALSE(detect_topology(make_cluster({{"x", "a", "r1", {"agent"}}})));
  EXPECT_TRUE(parse_topology("t3"));
  EXPECT_FALSE(parse_topology("T5"));
}

TEST(Checks, WhatThePageSaysOfOthersIsNotApplicable) {
  Cluster cluster = masters_abroad();
  const Facts facts = sound_facts(cluster);
  const auto report =
      run_checks({.cluster = cluster, .facts = facts, .topology = Topology::kT4}, {});
  ASSERT_TRUE(report);
  ASSERT_EQ(report->checks.size(), 12U);
  std::set<std::string> applicable;
  for (const CheckResult& result : report->checks) {
    if (result.status != CheckStatus::kNotApplicable) applicable.insert(result.id);
    if (result.id == "P-05") {
      EXPECT_THAT(result.seen.front(), HasSubstr("T2; this is T4"));
    }
  }
  EXPECT_EQ(applicable, (std::set<std::string>{"P-08", "P-09", "P-11", "P-12"}));
  EXPECT_THAT(report->warnings, Contains(HasSubstr("typically not recommended")));
}

TEST(Checks, UnknownIdsAreRefused) {
  Cluster cluster = one_zone();
  const Facts facts;
  const auto report = run_checks({.cluster = cluster, .facts = facts}, {"P-4"});
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kInput);
  EXPECT_THAT(report.error().message, HasSubstr("P-04"));
}

TEST(Checks, PortsAreTriedBetweenMastersAndAll) {
  const Cluster cluster = one_zone();
  std::set<std::tuple<NodeId, NodeId, unsigned>> tried;
  for (const PortToTry& one : ports_to_try(cluster)) tried.insert({one.from, one.to, one.port});
  EXPECT_TRUE(tried.contains({5, 0, 2377}));   // an agent to a manager
  EXPECT_TRUE(tried.contains({0, 5, 7946}));   // a manager to an agent
  EXPECT_FALSE(tried.contains({4, 5, 7946}));  // two agents
  EXPECT_FALSE(tried.contains({0, 0, 2377}));
}

}  // namespace
}  // namespace zq::test
