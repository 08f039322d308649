#include "tests/calibration/scheduler/rest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/calibration/scheduler/unit/harness.h"

namespace zq::scheduler {
namespace {

using nlohmann::json;
using std::chrono::seconds;

const json kApp = {{"id", "/team/web"},  {"cmd", "sleep 1"},
                   {"cpus", 1},          {"mem", 32},
                   {"instances", 2},     {"constraints", json::array({{"@zone", "GROUP_BY", "3"}})},
                   {"env", {{"A", "b"}}}};

TEST(Rest, ShowsAnAppAsMarathonDoes) {
  Harness harness;
  harness.subscribe();
  harness.deploy("/web", 1, {{"healthChecks", json::array()}});
  const auto app = harness.get("/v2/apps/web").at("app");
  EXPECT_EQ(app.at("id"), "/web");
  EXPECT_EQ(app.at("instances"), 1);
  EXPECT_EQ(app.at("tasksRunning"), 1);
  EXPECT_EQ(app.at("tasksStaged"), 0);
  EXPECT_EQ(app.at("deployments"), json::array());
  EXPECT_EQ(app.at("unreachableStrategy"),
            json({{"inactiveAfterSeconds", 0}, {"expungeAfterSeconds", 0}}));
  EXPECT_EQ(app.at("killSelection"), "YOUNGEST_FIRST");
  ASSERT_EQ(app.at("tasks").size(), 1U);
  const auto& task = app.at("tasks")[0];
  EXPECT_EQ(task.at("state"), "TASK_RUNNING");
  EXPECT_EQ(task.at("host"), "host-s1");
  EXPECT_EQ(task.at("slaveId"), "s1");
  EXPECT_EQ(task.at("zone"), "a");
  EXPECT_EQ(task.at("region"), "r1");
  EXPECT_EQ(task.at("ports").size(), 1U);
  EXPECT_FALSE(harness.get("/v2/apps").at("apps")[0].contains("tasks"));
  EXPECT_TRUE(harness.get("/v2/apps?embed=apps.tasks").at("apps")[0].contains("tasks"));
  EXPECT_EQ(harness.get("/v2/apps//web").at("app").at("id"), "/web");
  EXPECT_EQ(harness.get("/v2/apps/web/tasks").at("tasks").size(), 1U);
  EXPECT_EQ(harness.get("/v2/tasks").at("tasks").size(), 1U);
}

TEST(Rest, LocksAnAppWhileItIsDeployed) {
  Harness harness;
  harness.subscribe();
  const auto created = harness.request("POST", "/v2/apps", kApp);
  EXPECT_EQ(created.status, 201);
  const auto body = json::parse(created.body);
  EXPECT_EQ(body.at("constraints"), kApp.at("constraints"));
  ASSERT_EQ(body.at("deployments").size(), 1U);
  EXPECT_EQ(created.headers.at("Marathon-Deployment-Id"), body.at("deployments")[0].at("id"));
  EXPECT_EQ(harness.request("POST", "/v2/apps", kApp).status, 409);

  const auto locked = harness.request("PUT", "/v2/apps/team/web", {{"instances", 5}});
  EXPECT_EQ(locked.status, 409);
  EXPECT_THAT(locked.body, testing::HasSubstr("locked by one or more deployments"));
  EXPECT_EQ(harness.request("DELETE", "/v2/apps/team/web").status, 409);
  const auto forced = harness.request("PUT", "/v2/apps/team/web?force=true", {{"instances", 1}});
  EXPECT_EQ(forced.status, 200);
  EXPECT_TRUE(json::parse(forced.body).contains("deploymentId"));
  EXPECT_TRUE(json::parse(forced.body).contains("version"));

  const auto deployments = harness.get("/v2/deployments");
  ASSERT_EQ(deployments.size(), 1U);
  EXPECT_EQ(deployments[0].at("affectedApps"), json::array({"/team/web"}));
  EXPECT_EQ(deployments[0].at("currentActions")[0].at("action"), "ScaleApplication");
}

// The update by which a running system is asked whether it accepts any.
TEST(Rest, StoresAnUpdateThatChangesNothingEvenInADeployment) {
  Harness harness;
  harness.subscribe();
  ASSERT_EQ(harness.request("POST", "/v2/apps", kApp).status, 201);
  const auto version = harness.get("/v2/apps/team/web").at("app").at("version");
  const auto root = harness.nodes.at("root");
  const auto answer = harness.request("PUT", "/v2/apps/team/web", {{"id", "/team/web"}});
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(harness.get("/v2/deployments").size(), 1U) << "the one that was there";
  EXPECT_EQ(harness.get("/v2/apps/team/web").at("app").at("version"), version);
  EXPECT_NE(harness.nodes.at("root"), root);
  harness.store_fails = true;
  EXPECT_EQ(harness.request("PUT", "/v2/apps/team/web", {{"id", "/team/web"}}).status, 503);
}

TEST(Rest, RollsBackADeploymentThatIsNotForced) {
  Harness harness;
  harness.subscribe();
  harness.deploy("/web", 1);
  ASSERT_EQ(harness.request("PUT", "/v2/apps/web", {{"instances", 4}}).status, 200);
  const std::string id = harness.get("/v2/deployments")[0].at("id");
  EXPECT_EQ(harness.request("DELETE", "/v2/deployments/" + id).status, 200);
  EXPECT_EQ(harness.get("/v2/apps/web").at("app").at("instances"), 1);
  EXPECT_EQ(harness.request("DELETE", "/v2/deployments/none").status, 404);
}

TEST(Rest, RefusesWhatIsNoApp) {
  Harness harness;
  EXPECT_EQ(harness.request("PUT", "/v2/apps/web", {{"instances", 1}}).status, 422)
      << "an app without a command";
  EXPECT_EQ(harness.request("POST", "/v2/apps", {{"id", "/Web!"}, {"cmd", "x"}}).status, 422);
  EXPECT_EQ(
      harness.request("POST", "/v2/apps", {{"id", "/w"}, {"cmd", "x"}, {"cpus", "much"}}).status,
      422);
  const auto backwards = harness.request(
      "POST", "/v2/apps",
      {{"id", "/w"},
       {"cmd", "x"},
       {"unreachableStrategy", {{"inactiveAfterSeconds", 9}, {"expungeAfterSeconds", 1}}}});
  EXPECT_EQ(backwards.status, 422);
  EXPECT_EQ(json::parse(backwards.body).at("details")[0].at("path"), "/unreachableStrategy");
  EXPECT_EQ(harness.request("GET", "/v2/apps/none").status, 404);
  EXPECT_EQ(harness.request("DELETE", "/v2/apps/none").status, 404);
  EXPECT_EQ(harness.request("GET", "/v3").status, 404);
  EXPECT_EQ(harness.request("POST", "/v2/tasks/delete", {{"ids", "x"}}).status, 400);
  EXPECT_EQ(
      answer(harness.scheduler, harness.about, parse_target("POST", "/v2/apps", "{"), harness.now)
          .status,
      400);
}

TEST(Rest, SaysWhyAnAppWaits) {
  Harness harness;
  harness.subscribe();
  ASSERT_EQ(harness.request("POST", "/v2/apps", kApp).status, 201);
  harness.offer("s1", 0.5);
  harness.offer("s2", 4, 16);
  harness.offer("s3", 4, 1024, "b", "r2");
  const auto queue = harness.get("/v2/queue").at("queue");
  ASSERT_EQ(queue.size(), 1U);
  // The constraint on @zone lets the app leave the home region, so that s3 was used.
  EXPECT_EQ(queue[0].at("count"), 1);
  EXPECT_EQ(queue[0].at("app").at("id"), "/team/web");
  EXPECT_TRUE(queue[0].at("delay").at("overdue"));
  const auto& summary = queue[0].at("processedOffersSummary");
  EXPECT_EQ(summary.at("processedOffersCount"), 3);
  std::map<std::string, int> declined;
  for (const auto& row : summary.at("rejectSummaryLastOffers")) {
    declined[row.at("reason")] = row.at("declined");
  }
  EXPECT_EQ(declined.at("InsufficientCpus"), 1);
  EXPECT_EQ(declined.at("InsufficientMemory"), 1);
  EXPECT_EQ(declined.size(), 10U);
}

TEST(Rest, KillsTasksWithAndWithoutScaling) {
  Harness harness;
  harness.subscribe();
  harness.deploy("/web", 2);
  const auto tasks = harness.running("/web");
  const json one = {{"ids", {tasks.begin()->first}}};
  const auto killed = harness.request("POST", "/v2/tasks/delete?scale=false", one);
  EXPECT_EQ(killed.status, 200);
  EXPECT_EQ(json::parse(killed.body).at("tasks").size(), 1U);
  harness.obey();
  EXPECT_EQ(harness.waiting("/web"), 1U);
  EXPECT_EQ(harness.get("/v2/apps/web").at("app").at("instances"), 2);
  const json other = {{"ids", {tasks.rbegin()->first}}};
  EXPECT_EQ(harness.request("POST", "/v2/tasks/delete?scale=true", other).status, 200);
  EXPECT_EQ(harness.get("/v2/apps/web").at("app").at("instances"), 1);
  EXPECT_EQ(harness.request("DELETE", "/v2/apps/web/tasks/none").status, 404);
}

TEST(Rest, TellsItsTimersInMilliseconds) {
  Timers timers;
  timers.reconciliation_interval = seconds(12);
  Harness harness("", timers);
  harness.subscribe();
  const auto info = harness.get("/v2/info");
  EXPECT_EQ(info.at("frameworkId"), "m1-0000");
  EXPECT_EQ(info.at("leader"), "10.66.1.5:8080");
  EXPECT_EQ(info.at("marathon_config").at("reconciliation_interval"), 12000);
  EXPECT_EQ(info.at("marathon_config").at("task_lost_expunge_interval"), 30000);
  EXPECT_EQ(info.at("marathon_config").at("failover_timeout"), 604800);
  EXPECT_EQ(info.at("zookeeper_config").at("zk_session_timeout"), 10000);
  EXPECT_EQ(harness.get("/v2/leader"), json({{"leader", "10.66.1.5:8080"}}));
  EXPECT_EQ(harness.request("GET", "/ping").body, "pong");
  EXPECT_TRUE(harness.request("DELETE", "/v2/leader").abdicates);
}

TEST(Rest, CountsInItsMetrics) {
  Harness harness;
  harness.subscribe();
  harness.deploy("/web", 1);
  harness.update(harness.running("/web").begin()->first, "TASK_UNREACHABLE", "", false);
  const auto metrics = harness.get("/metrics");
  EXPECT_EQ(
      metrics.at("counters").at("marathon.mesos.task-updates.task-unreachable.counter").at("count"),
      1);
  EXPECT_EQ(metrics.at("gauges").at("marathon.instances.running.gauge").at("value"), 0);
}

TEST(Rest, PublishesUpdates) {
  Harness harness;
  harness.subscribe();
  harness.deploy("/web", 1);
  const auto task = harness.running("/web").begin()->first;
  harness.events.clear();
  harness.update(task, "TASK_UNREACHABLE", "", false);
  ASSERT_GE(harness.events.size(), 2U);
  const auto& [type, event] = harness.events[0];
  EXPECT_EQ(type, "status_update_event");
  EXPECT_EQ(event.at("taskStatus"), "TASK_UNREACHABLE");
  EXPECT_EQ(event.at("taskId"), task);
  EXPECT_EQ(event.at("appId"), "/web");
  EXPECT_EQ(event.at("eventType"), "status_update_event");
  EXPECT_EQ(harness.events[1].second.at("condition"), "UnreachableInactive");
  EXPECT_EQ(harness.events[1].second.at("runSpecId"), "/web");
}

TEST(Rest, ReadsTargets) {
  const auto request =
      parse_target("GET", "/v2/apps//a/?embed=apps.tasks&embed=apps%2Ecounts&x", "");
  EXPECT_EQ(request.path, "/v2/apps/a");
  EXPECT_EQ(request.query.count("embed"), 2U);
  EXPECT_EQ(std::next(request.query.find("embed"))->second, "apps.counts");
  EXPECT_EQ(request.query.count("x"), 1U);
  EXPECT_FALSE(request.flag("force"));
}

}  // namespace
}  // namespace zq::scheduler
