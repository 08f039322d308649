#include <algorithm>
#include <nlohmann/json.hpp>

#include "controller/systems/app_names.h"
#include "controller/systems/marathon_answers.h"
#include "tests/unit/systems/mesos_support.h"

namespace zq::test {
namespace {

constexpr const char* kInfo = R"({"name":"marathon","version":"1.9.136","elected":true,
  "leader":"10.77.0.21:8080","frameworkId":"f-1","marathon_config":{"checkpoint":true,
  "failover_timeout":604800,"reconciliation_interval":600000,"scale_apps_interval":300000},
  "zookeeper_config":{"zk_session_timeout":10000}})";

// An app as Marathon tells of it; `strategy` is JSON.
std::string app_with(const std::string& strategy, const std::string& more = "") {
  return R"({"app":{"id":"/web","instances":3,"cpus":0.5,"mem":64,"disk":0,"gpus":0,
    "portDefinitions":[{"port":0}],"constraints":[["@zone","GROUP_BY","3"],["hostname","UNIQUE"]],
    "labels":{"ZONEQUAKE_IO_INTENSIVE":"true"},"unreachableStrategy":)" +
         strategy + more + R"(,"tasks":[
    {"id":"web.instance-1._app.1","host":"10.77.0.31","slaveId":"S1","state":"TASK_RUNNING"},
    {"id":"web.instance-2._app.1","host":"10.77.0.32","slaveId":"S2","state":"TASK_RUNNING"},
    {"id":"web.instance-3._app.1","host":"10.77.0.31","slaveId":"S1","state":"TASK_UNREACHABLE"}]}})";
}
constexpr const char* kAtOnce = R"({"inactiveAfterSeconds":0,"expungeAfterSeconds":0})";

std::string event(const std::string& type, const std::string& condition = "") {
  return nlohmann::json{{"event", type},
                        {"data", nlohmann::json{{"instanceId", "web.instance-3"},
                                                {"runSpecId", "/web"},
                                                {"host", "10.77.0.31"},
                                                {"condition", condition}}
                                     .dump()}}
      .dump();
}

class MarathonTest : public ::testing::Test {
 protected:
  std::vector<Sample> ask(NodeId node, const std::string& what, const std::string& body,
                          int status = 200) {
    auto samples = adapter_->interpret(answer(node, "marathon/" + what, body, status));
    expect_known_names(samples);
    return samples;
  }
  // The same through a standby, which hands on what the leader says.
  std::vector<Sample> ask_standby(NodeId node, const std::string& what, const std::string& body,
                                  int status = 200) {
    Answer told = answer(node, "marathon/" + what, body, status);
    (*told.observation.mutable_headers())["X-Marathon-Via"] = "1.1 10.77.0.22:8080";
    return adapter_->interpret(told);
  }
  void tell_timers() {
    adapter_->interpret(
        answer(kZ1, "marathon/zookeeper-conf", "tickTime=2000\ninitLimit=10\nsyncLimit=5\n", 0));
    adapter_->interpret(answer(kA1, "marathon/tcp", "2000\n", 0));
    ask(kM1, "info", kInfo);
  }
  std::map<std::string, double> timers() {
    std::map<std::string, double> seconds;
    for (const auto& [name, timer] : adapter_->timers()) {
      EXPECT_GT(timer.seconds, 0) << name;
      EXPECT_FALSE(timer.derivation.empty()) << name;
      seconds[name] = timer.seconds;
    }
    return seconds;
  }

  Cluster cluster_ = mesos_cluster({"web"});
  std::unique_ptr<Adapter> adapter_ = make_adapter(cluster_, cluster_.systems[1]).value();
};

TEST_F(MarathonTest, AsksEverySchedulerBelowItsPath) {
  cluster_ = mesos_cluster({"web"});
  cluster_.systems[1].endpoint = "https://{ip}/service/marathon";
  cluster_.systems[1].options = {{"group", "/canaries"}};
  auto adapter = make_adapter(cluster_, cluster_.systems[1]);
  ASSERT_TRUE(adapter);
  const auto probes = (*adapter)->probes();
  const NodeProbe* const app = find_probe(probes, kM2, "marathon/app/web");
  ASSERT_NE(app, nullptr);
  EXPECT_EQ(app->probe.http().url(),
            "https://10.77.0.22/service/marathon/v2/apps/canaries/web?embed=app.tasks");
  EXPECT_EQ(app->probe.http().headers().at("Accept"), "application/json");
  EXPECT_EQ(find_probe(probes, kM2, "marathon/port")->probe.tcp().port(), 443U);
  const NodeProbe* const accepts = find_probe(probes, kM2, "marathon/accepts");
  ASSERT_NE(accepts, nullptr);
  EXPECT_EQ(accepts->probe.http().method(), "PUT");
  EXPECT_EQ(accepts->probe.http().body(), R"({"id":"/canaries/web"})");
  EXPECT_EQ(accepts->probe.http().url(),
            "https://10.77.0.22/service/marathon/v2/apps/canaries/web");
  EXPECT_EQ(
      find_probe(probes, kM2, "marathon/events")->probe.stream().request().headers().at("Accept"),
      "text/event-stream");
  std::set<std::pair<NodeId, std::string>> ids;
  for (const NodeProbe& probe : probes) {
    EXPECT_TRUE(ids.emplace(probe.node, probe.probe.id()).second) << probe.probe.id();
  }
}

TEST_F(MarathonTest, ReadsPortsOfAddresses) {
  const auto port_of = [&](const std::string& endpoint) {
    Cluster cluster = mesos_cluster();
    cluster.systems[1].endpoint = endpoint;
    const auto probes = make_adapter(cluster, cluster.systems[1]).value()->probes();
    const auto& tcp = find_probe(probes, kM1, "marathon/port")->probe.tcp();
    return fmt::format("{} {}", tcp.host(), tcp.port());
  };
  EXPECT_EQ(port_of("http://{ip}:8080"), "10.77.0.21 8080");
  EXPECT_EQ(port_of("http://{ip}"), "10.77.0.21 80");
  EXPECT_EQ(port_of("https://[fd66::1]:8443/x"), "fd66::1 8443");
  EXPECT_EQ(port_of("https://[fd66::1]/x:1"), "fd66::1 443");
}

TEST_F(MarathonTest, BadOptionsAreNamed) {
  for (const auto& [name, value] : std::map<std::string, std::string>{
           {"accepts", "no"}, {"mesos", "meso"}, {"agent_ping_ms", "15s"}, {"grup", "/"}}) {
    Cluster cluster = mesos_cluster();
    cluster.systems[1].options = {{name, value}};
    const auto result = make_adapter(cluster, cluster.systems[1]);
    ASSERT_FALSE(result) << name;
    EXPECT_NE(result.error().message.find("test.toml:7:3"), std::string::npos);
  }
}

TEST_F(MarathonTest, AStandbyThatHandsOnTheLeadersWordsDoesNotLead) {
  const std::string leader = R"({"leader":"10.77.0.21:8080"})";
  EXPECT_EQ(value_of(ask(kM1, "leader", leader), "scheduler.leads", {{"node", "m1"}}), 1);
  EXPECT_EQ(adapter_->leader(), std::nullopt) << "one of three";
  EXPECT_EQ(value_of(ask_standby(kM2, "leader", leader), "scheduler.leads", {{"node", "m2"}}), 0);
  EXPECT_EQ(adapter_->leader(), kM1);
  EXPECT_EQ(value_of(ask(kM3, "leader", R"({"message":"There is no leader"})", 404),
                     "scheduler.leads", {}),
            0);
  EXPECT_EQ(value_of(ask(kM3, "leader", "Could not determine the current leader", 502),
                     "scheduler.leads", {}),
            0);
  EXPECT_TRUE(all_unknown(adapter_->interpret(silence(kM3, "marathon/leader", kTimedOut))));
  EXPECT_EQ(value_of(adapter_->interpret(silence(kM1, "marathon/leader", kRefused)),
                     "scheduler.leads", {}),
            0);
  EXPECT_EQ(adapter_->leader(), std::nullopt);
}

TEST_F(MarathonTest, WhetherAnInstanceLivesTcpTells) {
  EXPECT_EQ(value_of(ask(kM2, "port", "", 0), "scheduler.up", {{"node", "m2"}}), 1);
  EXPECT_EQ(
      value_of(adapter_->interpret(silence(kM2, "marathon/port", kRefused)), "scheduler.up", {}),
      0);
}

TEST_F(MarathonTest, CountsInstancesAsTheLeaderSeesThem) {
  auto samples = ask(kM1, "app/web", app_with(kAtOnce));
  const auto in_zone = [&](const std::string& zone, const std::string& state) {
    return value_of(samples, "app.instances",
                    {{"app", "web"}, {"zone", zone}, {"state", state}, {"seen_by", "m1"}});
  };
  EXPECT_EQ(in_zone("a", "running"), 1);
  EXPECT_EQ(in_zone("b", "running"), 1);
  EXPECT_EQ(in_zone("c", "running"), 0);
  EXPECT_EQ(in_zone("a", "unreachable"), 1);
  EXPECT_TRUE(all_unknown(ask_standby(kM2, "app/web", app_with(kAtOnce))))
      << "a standby sees nothing itself";
  samples = ask(kM1, "app/web", R"({"message":"App '/web' does not exist"})", 404);
  EXPECT_EQ(in_zone("a", "running"), 0);
  EXPECT_EQ(in_zone("a", "unreachable"), 0);
  EXPECT_TRUE(all_unknown(ask(kM1, "app/web", "", 502)));
  EXPECT_TRUE(all_unknown(adapter_->interpret(silence(kM1, "marathon/app/web", kRefused))));
}

TEST_F(MarathonTest, CountsWhatWaits) {
  const std::string queue =
      R"({"queue":[{"count":2,"app":{"id":"/web"}},{"count":7,"app":{"id":"/other"}}]})";
  EXPECT_EQ(value_of(ask(kM1, "queue", queue), "app.waiting", {{"app", "web"}}), 2);
  EXPECT_EQ(value_of(ask(kM1, "queue", R"({"queue":[]})"), "app.waiting", {}), 0);
  EXPECT_TRUE(all_unknown(ask_standby(kM2, "queue", queue)));
  EXPECT_TRUE(all_unknown(ask(kM1, "queue", R"({"queue":[{"app":{"id":"/web"}}]})")));
}

TEST_F(MarathonTest, OnlyEventsTellWhichUnreachableOnesAreInactive) {
  const Labels where{{"app", "web"}, {"zone", "a"}, {"state", "unreachable_inactive"}};
  EXPECT_TRUE(all_unknown(ask(kM1, "events", "", 302))) << "a standby redirects";
  EXPECT_EQ(value_of(ask(kM1, "events", event("event_stream_attached")), "app.instances", where),
            0);
  EXPECT_EQ(value_of(ask(kM1, "events", event("instance_changed_event", "Unreachable")),
                     "app.instances", where),
            0);
  EXPECT_EQ(value_of(ask(kM1, "events", event("instance_changed_event", "UnreachableInactive")),
                     "app.instances", where),
            1);
  EXPECT_EQ(value_of(ask(kM1, "events", event("instance_changed_event", "Running")),
                     "app.instances", where),
            0);
  EXPECT_TRUE(all_unknown(adapter_->interpret(silence(kM1, "marathon/events", kTimedOut))));
}

TEST_F(MarathonTest, AcceptsOnlyWhatWasStored) {
  const auto accepts = [&](int status) {
    return value_of(ask(kM1, "accepts", "{}", status), "scheduler.accepts", {});
  };
  EXPECT_EQ(accepts(200), 1);
  EXPECT_EQ(accepts(201), 1);
  EXPECT_EQ(accepts(409), std::nullopt) << "a deployment holds the app";
  EXPECT_EQ(accepts(422), std::nullopt) << "there is no such app, and none was made";
  EXPECT_EQ(accepts(502), 0);
  EXPECT_EQ(value_of(adapter_->interpret(silence(kM1, "marathon/accepts", kTimedOut)),
                     "scheduler.accepts", {}),
            0);
}

TEST_F(MarathonTest, BoundsFollowTheAppsOwnStrategies) {
  EXPECT_TRUE(timers().empty());
  tell_timers();
  EXPECT_FALSE(adapter_->ready()) << "no app seen";
  EXPECT_FALSE(timers().contains("reschedule_max"));
  ask(kM1, "app/web", app_with(kAtOnce));
  EXPECT_TRUE(adapter_->ready());
  ask(kM1, "deployments", R"([{"id":"d","affectedApps":["/other"]},{"id":"p"}])");
  EXPECT_TRUE(adapter_->ready());
  ask(kM1, "deployments", R"([{"id":"d","affectedApps":["/web"]}])");
  EXPECT_FALSE(adapter_->ready()) << "what is wanted changes";
  ask(kM1, "deployments", "[]");
  EXPECT_TRUE(adapter_->ready());
  EXPECT_EQ(adapter_->version(), "1.9.136");
  auto at_once = timers();
  EXPECT_EQ(at_once["reschedule_max"], 30);
  EXPECT_EQ(at_once["reschedule_new_leader_max"], 600 + 30);
  EXPECT_EQ(at_once["reregister_max"], 60 + 2 + 15 + 30 + 3 + 3);
  EXPECT_EQ(at_once["reconcile_max"], 603);
  EXPECT_EQ(at_once["scheduler_exit_max"], 12 + 15 + 3);
  EXPECT_EQ(at_once["scheduler_election_max"], 12 + 2 + 20 + 10 + 2 + 180 + 3);

  ask(kM1, "app/web",
      app_with(R"({"inactiveAfterSeconds":60,"expungeAfterSeconds":300})",
               R"(,"taskKillGracePeriodSeconds":20)"));
  auto later = timers();
  EXPECT_EQ(later["reschedule_max"], 60 + 600 + 30);
  EXPECT_EQ(later["reschedule_new_leader_max"], 600 + 60 + 600 + 30);
  EXPECT_EQ(later["reregister_max"], 60 + 2 + 15 + 300 + 20 + 3) << "the scaler finds the surplus";

  ask(kM1, "app/web", app_with(R"("disabled")"));
  EXPECT_FALSE(timers().contains("reschedule_max")) << "it is never replaced";
}

TEST_F(MarathonTest, BoundsFollowOptionsWhereNobodyTells) {
  cluster_.systems[1].options = {{"agent_ping_ms", "1000"}, {"elected_prepare_ms", "5000"}};
  adapter_ = make_adapter(cluster_, cluster_.systems[1]).value();
  tell_timers();
  ask(kM1, "app/web", app_with(kAtOnce));
  EXPECT_EQ(timers()["scheduler_election_max"], 12 + 2 + 20 + 10 + 2 + 5 + 3);
  EXPECT_EQ(timers()["reregister_max"], 60 + 2 + 1 + 30 + 3 + 3);
}

TEST_F(MarathonTest, TellsChecksWhatItKnows) {
  tell_timers();
  Facts facts;
  adapter_->add_facts(facts);
  EXPECT_FALSE(facts.missing.empty());
  ask(kM1, "leader", R"({"leader":"10.77.0.21:8080"})");
  ask_standby(kM2, "leader", R"({"leader":"10.77.0.21:8080"})");
  nlohmann::json app = nlohmann::json::parse(app_with(R"("disabled")"))["app"];
  app["container"] = {{"volumes", {{{"persistent", {{"size", 10}}}}}}};
  ask_standby(kM2, "apps", nlohmann::json{{"apps", {app}}}.dump());
  facts = {};
  adapter_->add_facts(facts);
  EXPECT_TRUE(facts.missing.empty());
  ASSERT_EQ(facts.schedulers.size(), 3U);
  EXPECT_TRUE(facts.schedulers[0].leads);
  EXPECT_EQ(facts.schedulers[0].checkpoint, true);
  EXPECT_FALSE(facts.schedulers[1].leads);
  ASSERT_EQ(facts.apps.size(), 1U);
  EXPECT_EQ(facts.apps[0].id, "/web");
  EXPECT_EQ(facts.apps[0].instances, 3U);
  EXPECT_EQ(facts.apps[0].each.memory_mib, 64);
  EXPECT_EQ(facts.apps[0].each.ports, 1);
  ASSERT_EQ(facts.apps[0].constraints.size(), 2U);
  EXPECT_EQ(facts.apps[0].constraints[0].value, "3");
  EXPECT_EQ(facts.apps[0].constraints[1].op, "UNIQUE");
  EXPECT_TRUE(facts.apps[0].local_volumes);
  EXPECT_FALSE(facts.apps[0].reschedules);
  EXPECT_TRUE(facts.apps[0].io_intensive);
  EXPECT_EQ(facts.apps[0].running_on, (std::vector<std::string>{"S1", "S2"}));
}

TEST_F(MarathonTest, AnswersThatSayNothingAreUnknown) {
  for (const std::string& body :
       {std::string("{}"), std::string("[]"), std::string("null"), std::string(R"({"app":5})"),
        std::string(R"({"app":{"id":"/web","instances":-1}})"),
        std::string(R"({"app":{"id":"/web","instances":1,"tasks":[5]}})"),
        std::string(R"({"queue":{}})"), std::string(R"({"event":"x","data":5})"),
        app_with(kAtOnce).substr(0, 300)}) {
    for (const char* const what : {"app/web", "queue", "events", "leader"}) {
      EXPECT_TRUE(all_unknown(ask(kM1, what, body))) << what << " " << body;
    }
    ask(kM1, "info", body);
    ask(kM1, "apps", body);
  }
  EXPECT_TRUE(adapter_->version().empty());
}

TEST(AppNames, FollowMarathonsWays) {
  Cluster cluster = mesos_cluster({"web", "db"});
  cluster.systems[1].options = {{"group", "/team/canaries"}};
  const AppNames names = AppNames::of_all_schedulers(cluster);
  EXPECT_EQ(names.paths(), (std::vector<std::string>{"/team/canaries/web", "/team/canaries/db"}));
  EXPECT_EQ(names.app_of_path("/team/canaries/db"), "db");
  EXPECT_EQ(names.app_of_path("/db"), std::nullopt);
  EXPECT_EQ(names.app_of_task("team_canaries_web.instance-1._app.1", ""), "web");
  EXPECT_EQ(names.app_of_task("x", "db.canaries.team"), "db");
  EXPECT_EQ(names.app_of_task("webber.instance-1", "webber"), std::nullopt);
  EXPECT_EQ(names.app_of_task("web", "web"), "web") << "other frameworks";
  const AppNames top = AppNames::of_all_schedulers(mesos_cluster({"web"}));
  EXPECT_EQ(top.paths(), (std::vector<std::string>{"/web"}));
  EXPECT_EQ(top.app_of_task("web.0a1b", ""), "web");
}

}  // namespace
}  // namespace zq::test
