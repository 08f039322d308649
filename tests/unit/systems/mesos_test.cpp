#include <algorithm>

#include "controller/systems/mesos_answers.h"
#include "tests/unit/systems/mesos_support.h"

namespace zq::test {
namespace {

class MesosTest : public ::testing::Test {
 protected:
  std::vector<Sample> ask(NodeId node, const std::string& what, const std::string& body,
                          int status = 200) {
    auto samples = adapter_->interpret(answer(node, "mesos/" + what, body, status));
    expect_known_names(samples);
    return samples;
  }
  // A master that answers 307 to `leader`.
  std::vector<Sample> redirect(NodeId node, const std::string& leader) {
    Answer told = answer(node, "mesos/leader", "", 307);
    (*told.observation.mutable_headers())["Location"] = "//" + leader + ":5050/api/v1";
    return adapter_->interpret(told);
  }
  static std::string master_at(const std::string& ip, double elected) {
    return fmt::format(
        R"({{"get_master":{{"master_info":{{"id":"x","pid":"master@{}:5050"}},"elected_time":{}}}}})",
        ip, elected);
  }

  Cluster cluster_ = mesos_cluster({"pa-31", "pa-32", "np-31", "np-33"});
  std::unique_ptr<Adapter> adapter_ = adapter_of(cluster_);
};

TEST_F(MesosTest, AsksMastersAndAgentsAtTheirOwnEndpoints) {
  const auto probes = adapter_->probes();
  const NodeProbe* const leader = find_probe(probes, kM2, "mesos/leader");
  ASSERT_NE(leader, nullptr);
  EXPECT_EQ(leader->probe.http().url(), "http://10.77.0.22:5050/api/v1");
  EXPECT_EQ(leader->probe.http().method(), "POST");
  EXPECT_EQ(leader->probe.http().want_headers(0), "Location");
  const NodeProbe* const metrics = find_probe(probes, kM1, "mesos/metrics");
  ASSERT_NE(metrics, nullptr);
  EXPECT_GE(metrics->probe.interval_ms(), 1000U) << "a master answers two a second";
  const NodeProbe* const events = find_probe(probes, kM1, "mesos/events");
  ASSERT_NE(events, nullptr);
  EXPECT_EQ(events->probe.stream().framing(), zonequake::StreamProbe::RECORD_IO);
  const NodeProbe* const state = find_probe(probes, kA3, "mesos/state");
  ASSERT_NE(state, nullptr);
  EXPECT_EQ(state->probe.http().url(), "http://10.77.0.33:5051/state");
  EXPECT_EQ(find_probe(probes, kA3, "mesos/leader"), nullptr);
  EXPECT_EQ(find_probe(probes, kM1, "mesos/state"), nullptr);
  const NodeProbe* const accepts = find_probe(probes, kM1, "mesos/accepts");
  ASSERT_NE(accepts, nullptr);
  EXPECT_GE(accepts->probe.interval_ms(), 3000U);
  EXPECT_EQ(accepts->probe.http().body().find("role"), std::string::npos) << "no weight changes";
  ASSERT_NE(find_probe(probes, kZ1, "mesos/zookeeper-conf"), nullptr);
  std::set<std::pair<NodeId, std::string>> ids;
  for (const NodeProbe& probe : probes) {
    EXPECT_TRUE(ids.emplace(probe.node, probe.probe.id()).second) << probe.probe.id();
  }
}

TEST_F(MesosTest, OptionsChangeWhatIsAsked) {
  cluster_.systems[0].endpoint = "https://{ip}/mesos/";
  cluster_.systems[0].options = {
      {"agent_endpoint", "https://{ip}:5051"}, {"accepts", "false"}, {"poll", "true"}};
  const auto probes = adapter_of(cluster_)->probes();
  EXPECT_EQ(find_probe(probes, kM1, "mesos/accepts"), nullptr);
  EXPECT_EQ(find_probe(probes, kM1, "mesos/events"), nullptr);
  const NodeProbe* const tasks = find_probe(probes, kM1, "mesos/tasks");
  ASSERT_NE(tasks, nullptr);
  EXPECT_EQ(tasks->probe.http().url(), "https://10.77.0.21/mesos/state");
  EXPECT_EQ(find_probe(probes, kA1, "mesos/state")->probe.http().url(),
            "https://10.77.0.31:5051/state");
}

TEST_F(MesosTest, BadOptionsAreNamed) {
  for (const auto& [name, value] :
       std::map<std::string, std::string>{{"poll", "maybe"},
                                          {"zookeeper", "zoo"},
                                          {"zk_tick_ms", "0"},
                                          {"zk_sync_limit", "-1"},
                                          {"acepts", "false"},
                                          {"agent_endpoint", "10.0.0.1:5051"}}) {
    Cluster cluster = mesos_cluster();
    cluster.systems[0].options = {{name, value}};
    const auto result = make_adapter(cluster, cluster.systems[0]);
    ASSERT_FALSE(result) << name;
    EXPECT_EQ(result.error().code, ErrorCode::kInput);
    EXPECT_NE(result.error().message.find("test.toml:7:3"), std::string::npos);
  }
  Cluster masterless = mesos_cluster();
  masterless.systems[0].nodes = Selector::parse("role:agent", {"test.toml", 9, 9}).value();
  EXPECT_FALSE(make_adapter(masterless, masterless.systems[0]));
}

TEST_F(MesosTest, OnlyTheLeaderAnswersAsOne) {
  auto samples = ask(kM1, "leader", fixture("mesos/master-get-master.json"));
  EXPECT_EQ(value_of(samples, "master.leads", {{"node", "m1"}}), 1);
  EXPECT_EQ(value_of(samples, "master.serves", {{"node", "m1"}}), 1);
  samples = redirect(kM2, "10.77.0.21");
  EXPECT_EQ(value_of(samples, "master.leads", {{"node", "m2"}}), 0);
  EXPECT_EQ(value_of(samples, "master.serves", {{"node", "m2"}}), 1);
  samples = ask(kM3, "leader", "No leader elected", 503);
  EXPECT_EQ(value_of(samples, "master.leads", {}), 0);
  EXPECT_EQ(value_of(samples, "master.serves", {}), 0);
  samples = ask(kM3, "leader", "Master has not finished recovery", 503);
  EXPECT_EQ(value_of(samples, "master.leads", {}), 1);
  EXPECT_EQ(value_of(samples, "master.serves", {}), 0);
  samples = adapter_->interpret(silence(kM3, "mesos/leader", kTimedOut));
  EXPECT_EQ(value_of(samples, "master.leads", {}), std::nullopt);
  EXPECT_EQ(value_of(samples, "master.serves", {}), 0);
  samples = adapter_->interpret(silence(kM3, "mesos/leader", kRefused));
  EXPECT_EQ(value_of(samples, "master.leads", {}), 0);
  EXPECT_TRUE(all_unknown(adapter_->interpret(silence(kM3, "mesos/leader", kFailed))));
  EXPECT_TRUE(all_unknown(ask(kM3, "leader", "{}", 401)));
}

TEST_F(MesosTest, AnAnswerInAnotherMastersNameIsAProxys) {
  const auto samples = ask(kM2, "leader", fixture("mesos/master-get-master.json"));
  EXPECT_EQ(value_of(samples, "master.leads", {{"node", "m2"}}), 0);
}

TEST_F(MesosTest, TheLeaderIsTheOneThatMostFollow) {
  EXPECT_EQ(adapter_->leader(), std::nullopt);
  ask(kM1, "leader", master_at("10.77.0.21", 100));
  EXPECT_EQ(adapter_->leader(), std::nullopt) << "one of three";
  redirect(kM2, "10.77.0.21");
  EXPECT_EQ(adapter_->leader(), kM1);
  // m1 is cut off and stale, the others have m2.
  ask(kM2, "leader", master_at("10.77.0.22", 200));
  EXPECT_EQ(adapter_->leader(), std::nullopt);
  redirect(kM3, "10.77.0.22");
  EXPECT_EQ(adapter_->leader(), kM2);
  EXPECT_EQ(adapter_->voters(), (std::vector<NodeId>{kM1, kM2, kM3}));
}

TEST_F(MesosTest, MembersAreThoseThatTheLeaderListsAsActive) {
  auto samples = ask(kM1, "agents", fixture("mesos/master-slaves.json"));
  for (const char* const node : {"a1", "a2", "a3"}) {
    EXPECT_EQ(value_of(samples, "member.state", {{"node", node}, {"seen_by", "m1"}}), 1);
  }
  std::string inactive = fixture("mesos/master-slaves.json");
  const auto at = inactive.rfind(R"("active":true)");
  ASSERT_NE(at, std::string::npos);
  samples = ask(kM1, "agents", inactive.replace(at, 13, R"("active":false)"));
  EXPECT_EQ(std::ranges::count_if(samples, [](const Sample& s) { return s.value == 0.0; }), 1);
  samples = ask(kM1, "agents",
                R"({"slaves":[],"recovered_slaves":[{"id":"r","hostname":"10.77.0.32"}]})");
  EXPECT_EQ(value_of(samples, "member.state", {{"node", "a2"}}), std::nullopt)
      << "a new leader has not heard of it yet";
  EXPECT_EQ(value_of(samples, "member.state", {{"node", "a1"}}), 0);
  samples = ask(kM1, "agents", R"({"slaves":[]})");
  EXPECT_EQ(value_of(samples, "member.state", {{"node", "a1"}}), 0);
  samples = ask(kM1, "agents", "", 307);
  EXPECT_EQ(samples.size(), 3U);
  EXPECT_TRUE(all_unknown(samples)) << "who does not lead says nothing";
}

TEST_F(MesosTest, OnlyTheRegistryTellsWhoIsUnreachable) {
  auto samples = ask(kM1, "registry", fixture("mesos/master-registry.json"));
  EXPECT_EQ(value_of(samples, "member.unreachable", {{"node", "a1"}}), 0);
  samples = ask(kM1, "registry", fixture("mesos/master-registry-unreachable.json"));
  EXPECT_EQ(value_of(samples, "member.unreachable", {{"node", "a1"}, {"seen_by", "m1"}}), 1);
  EXPECT_EQ(value_of(samples, "member.unreachable", {{"node", "a2"}}), 0);
  EXPECT_TRUE(all_unknown(ask(kM2, "registry", "{}"))) << "a follower's registry is empty";
}

TEST_F(MesosTest, WhatWasUnreachableBeforeIsNobodys) {
  // The list lives for weeks: an id that no node is known by is not counted against anyone.
  const auto samples = ask(kM1, "registry", fixture("mesos/master-registry-unreachable.json"));
  EXPECT_EQ(value_of(samples, "member.unreachable", {{"node", "a1"}}), 0);
}

TEST_F(MesosTest, TasksFollowTheStream) {
  const Labels pa31{{"app", "pa-31"}, {"zone", "a"}, {"source", "master"}, {"state", "running"}};
  EXPECT_TRUE(all_unknown(ask(kM1, "events", R"({"type":"HEARTBEAT"})"))) << "no snapshot yet";
  auto samples = ask(kM1, "events", fixture("mesos/master-subscribed.json"));
  EXPECT_EQ(value_of(samples, "app.instances", pa31), 1);
  const std::string update =
      R"({"type":"TASK_UPDATED","task_updated":{"framework_id":{"value":"8c072a58-d167-4e91-9d6a-26b47af3da9f-0003"},)"
      R"("status":{"task_id":{"value":"pa-31"},"state":"TASK_UNREACHABLE","reason":"REASON_AGENT_REMOVED"},"state":"TASK_UNREACHABLE"}})";
  samples = ask(kM1, "events", update);
  EXPECT_EQ(value_of(samples, "app.instances", pa31), 0);
  EXPECT_EQ(value_of(samples, "app.instances",
                     {{"app", "pa-31"}, {"zone", "a"}, {"state", "unreachable"}}),
            1);
  samples = ask(kM1, "events", R"({"type":"HEARTBEAT"})");
  EXPECT_EQ(value_of(samples, "app.instances", pa31), 0) << "nothing has changed";
  samples = ask(kM1, "events",
                R"({"type":"TASK_UPDATED","task_updated":{"framework_id":{"value":)"
                R"("8c072a58-d167-4e91-9d6a-26b47af3da9f-0003"},"status":{"task_id":)"
                R"({"value":"pa-31"}},"state":"TASK_KILLED"}})");
  EXPECT_EQ(value_of(samples, "app.instances",
                     {{"app", "pa-31"}, {"zone", "a"}, {"state", "unreachable"}}),
            0);
  // The stream has ended: nothing is known until a new snapshot.
  EXPECT_TRUE(all_unknown(adapter_->interpret(silence(kM1, "mesos/events", kRefused))));
  EXPECT_TRUE(all_unknown(ask(kM1, "events", R"({"type":"HEARTBEAT"})")));
  EXPECT_EQ(
      value_of(ask(kM1, "events", fixture("mesos/master-subscribed.json")), "app.instances", pa31),
      1);
}

TEST_F(MesosTest, UnreachableTasksAreCountedWhateverTheirFramework) {
  for (const char* const how : {"events", "tasks"}) {
    const auto samples =
        ask(kM1, how,
            fixture(std::string(how) == "events" ? "mesos/master-subscribed-unreachable.json"
                                                 : "mesos/master-state-unreachable.json"));
    EXPECT_EQ(value_of(samples, "app.instances", {{"app", "pa-31"}, {"state", "unreachable"}}), 1);
    EXPECT_EQ(value_of(samples, "app.instances", {{"app", "np-31"}, {"state", "lost"}}), 1);
    EXPECT_EQ(
        value_of(samples, "app.instances", {{"app", "np-33"}, {"zone", "c"}, {"state", "running"}}),
        1);
  }
}

TEST_F(MesosTest, AgentsTellWhatReallyRuns) {
  auto samples = ask(kA1, "state", fixture("mesos/agent-state.json"));
  EXPECT_EQ(value_of(samples, "app.instances", {{"app", "pa-31"}, {"source", "node"}}), 1);
  EXPECT_EQ(value_of(samples, "app.instances", {{"app", "pa-32"}, {"source", "node"}}), 0);
  samples = adapter_->interpret(silence(kA1, "mesos/state", kRefused));
  EXPECT_TRUE(all_unknown(samples)) << "tasks outlive their agent";
}

TEST_F(MesosTest, AcceptsOnlyWhatWasCommitted) {
  const auto accepts = [&](const std::string& body, int status) {
    return value_of(ask(kM1, "accepts", body, status), "master.accepts", {{"node", "m1"}});
  };
  EXPECT_EQ(accepts("", 200), 1);
  EXPECT_EQ(accepts("", 307), 0);
  EXPECT_EQ(accepts("No leader elected", 503), 0);
  EXPECT_EQ(accepts("", 403), std::nullopt);
  EXPECT_EQ(accepts("Failed to parse", 400), std::nullopt);
  EXPECT_EQ(
      value_of(adapter_->interpret(silence(kM1, "mesos/accepts", kTimedOut)), "master.accepts", {}),
      0);
}

TEST_F(MesosTest, IsReadyWhenItsTimersAreKnownAndTheLogHasRecovered) {
  EXPECT_FALSE(adapter_->ready());
  tell_mesos_timers(*adapter_, "mesos", fixture("mesos/master-flags.json"),
                    fixture("mesos/agent-flags.json"), "120000\n");
  EXPECT_FALSE(adapter_->ready()) << "no version";
  ask(kM1, "version", fixture("mesos/master-version.json"));
  EXPECT_EQ(adapter_->version(), "1.12.0");
  EXPECT_TRUE(adapter_->ready());
  ask(kM2, "metrics", R"({"registrar/log/recovered":0.0})");
  EXPECT_FALSE(adapter_->ready());
  ask(kM2, "metrics", fixture("mesos/master-metrics.json"));
  EXPECT_TRUE(adapter_->ready());
}

TEST_F(MesosTest, TellsChecksWhatItKnows) {
  Facts facts;
  adapter_->add_facts(facts);
  EXPECT_FALSE(facts.missing.empty());
  ask(kM1, "agents", fixture("mesos/master-slaves.json"));
  ask(kM1, "frameworks", fixture("mesos/master-get-frameworks.json"));
  tell_mesos_timers(*adapter_, "mesos", fixture("mesos/master-flags.json"),
                    fixture("mesos/agent-flags.json"), "");
  facts = {};
  adapter_->add_facts(facts);
  EXPECT_TRUE(facts.missing.empty());
  ASSERT_EQ(facts.members.size(), 3U);
  const auto a1 = std::ranges::find(facts.members, kA1, &MemberFacts::node);
  ASSERT_NE(a1, facts.members.end());
  EXPECT_EQ(a1->zone, "a");
  EXPECT_EQ(a1->region, "r1");
  EXPECT_EQ(a1->attributes.at("zone"), "a");
  EXPECT_EQ(a1->total->cpus, 2);
  EXPECT_EQ(a1->unused->cpus, 1);
  EXPECT_EQ(a1->unused->memory_mib, 448);
  EXPECT_EQ(a1->total->ports, 1001);
  ASSERT_EQ(facts.voters.size(), 3U);
  EXPECT_EQ(facts.voters[0].quorum, 2U);
  EXPECT_EQ(facts.voters[0].zone, "a");
  ASSERT_EQ(facts.schedulers.size(), 2U);
  const auto pa = std::ranges::find(facts.schedulers, "pa", &SchedulerFacts::name);
  ASSERT_NE(pa, facts.schedulers.end());
  EXPECT_EQ(pa->partition_aware, true);
  EXPECT_EQ(pa->region_aware, false);
  EXPECT_EQ(pa->checkpoint, true);
  EXPECT_EQ(pa->failover_timeout_s, 3600);
  EXPECT_EQ((facts.timers.at({"mesos", "agent_ping_timeout"})), 15);
}

TEST(MesosExample, IsOneThatAdaptersTake) {
  const auto cluster =
      load_cluster(std::string(ZQ_SOURCE_DIR) + "/experiments/clusters/dcos-one-zone.toml");
  ASSERT_TRUE(cluster) << cluster.error().message;
  ASSERT_EQ(cluster->systems.size(), 3U);
  for (const SystemSpec& system : cluster->systems) {
    const auto adapter = make_adapter(*cluster, system);
    ASSERT_TRUE(adapter) << adapter.error().message;
    EXPECT_FALSE((*adapter)->probes().empty());
    const std::size_t voters = system.kind == "marathon" ? 0 : 3;
    EXPECT_EQ((*adapter)->voters().size(), voters) << system.name;
    EXPECT_EQ(voters_of(*cluster, system)->size(), voters) << system.name;
  }
}

TEST(MesosAnswers, ReadDurationsAndRates) {
  EXPECT_EQ(parse_mesos_duration("10mins"), 600);
  EXPECT_EQ(parse_mesos_duration("1.5secs"), 1.5);
  EXPECT_EQ(parse_mesos_duration("200ms"), 0.2);
  EXPECT_EQ(parse_mesos_duration("2weeks"), 1209600);
  for (const char* const bad : {"", "10", "mins", "10 mins", "-1secs", "1..2secs", "1e999secs"}) {
    EXPECT_EQ(parse_mesos_duration(bad), std::nullopt) << bad;
  }
  EXPECT_EQ(parse_mesos_spacing("1/20mins"), 1200);
  EXPECT_NEAR(parse_mesos_spacing("100/1mins").value_or(0), 0.6, 1e-12);
  EXPECT_EQ(parse_mesos_spacing("0/1mins"), std::nullopt);
  EXPECT_EQ(parse_mesos_spacing("1mins"), std::nullopt);
}

TEST(MesosAnswers, ReadHostsOfAddresses) {
  EXPECT_EQ(host_of_address("master@10.0.1.5:5050"), "10.0.1.5");
  EXPECT_EQ(host_of_address("slave(1)@[fd66::1]:5051"), "fd66::1");
  EXPECT_EQ(host_of_address("//10.0.1.5:5050/master/state"), "10.0.1.5");
  EXPECT_EQ(host_of_address("https://m1.example/mesos"), "m1.example");
  EXPECT_EQ(host_of_address("10.0.1.5:8080"), "10.0.1.5");
  EXPECT_EQ(host_of_address(""), "");
  EXPECT_EQ(host_of_address("master@[fd66"), "");
}

}  // namespace
}  // namespace zq::test
