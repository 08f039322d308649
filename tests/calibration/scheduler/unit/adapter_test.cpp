// The other side of the interface: what zonequake's adapter for Marathon reads out of our answers.
#include <gtest/gtest.h>

#include <map>

#include "agent/probe/framing.h"
#include "controller/systems/marathon_answers.h"
#include "controller/systems/marathon_timers.h"
#include "tests/calibration/scheduler/event_hub.h"
#include "tests/calibration/scheduler/unit/harness.h"

namespace zq::scheduler {
namespace {

using nlohmann::json;
using std::chrono::seconds;

TEST(Adapter, ReadsAppsAndTasks) {
  Harness harness;
  harness.subscribe();
  harness.deploy(
      "/web", 2,
      {{"labels", {{"tier", "front"}}},
       {"constraints", json::array({{"@zone", "GROUP_BY", "3"}})},
       {"unreachableStrategy", {{"inactiveAfterSeconds", 60}, {"expungeAfterSeconds", 300}}}});
  const auto read = [&] {
    return parse_marathon_app(harness.request("GET", "/v2/apps/web?embed=app.tasks").body);
  };
  auto app = read();
  ASSERT_TRUE(app);
  EXPECT_EQ(app->path, "/web");
  EXPECT_EQ(app->instances, 2U);
  EXPECT_EQ(app->each.cpus, 1);
  EXPECT_EQ(app->each.ports, 1);
  ASSERT_TRUE(app->unreachable);
  EXPECT_EQ(app->unreachable->inactive_after, 60);
  EXPECT_EQ(app->unreachable->expunge_after, 300);
  ASSERT_EQ(app->constraints.size(), 1U);
  EXPECT_EQ(app->labels.at("tier"), "front");
  ASSERT_EQ(app->tasks.size(), 2U);
  for (const auto& task : app->tasks) {
    EXPECT_EQ(task.state, "running");
    EXPECT_EQ(task.host, "host-" + task.agent);
  }
  harness.update(app->tasks.front().id, "TASK_UNREACHABLE", "", false);
  std::map<std::string, int> states;
  app = read();
  ASSERT_TRUE(app);
  for (const auto& task : app->tasks) ++states[task.state];
  EXPECT_EQ(states, (std::map<std::string, int>{{"running", 1}, {"unreachable", 1}}));
  const auto all = parse_marathon_apps(harness.request("GET", "/v2/apps?embed=apps.tasks").body);
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 1U);
  EXPECT_EQ(all->front().tasks.size(), 2U);
}

TEST(Adapter, ReadsTheDisabledStrategy) {
  Harness harness;
  harness.subscribe();
  harness.deploy("/web", 1, {{"unreachableStrategy", "disabled"}});
  const auto app = parse_marathon_app(harness.request("GET", "/v2/apps/web").body);
  ASSERT_TRUE(app);
  EXPECT_FALSE(app->unreachable);
}

TEST(Adapter, ReadsTheLeaderAndItsTimers) {
  Timers timers;
  timers.reconciliation_interval = seconds(12);
  timers.scale_apps_interval = seconds(7);
  Harness harness("", timers);
  harness.subscribe();
  EXPECT_EQ(parse_marathon_leader(harness.request("GET", "/v2/leader").body), "10.66.1.5:8080");
  MarathonTiming timing;
  timing.info = parse_marathon_info(harness.request("GET", "/v2/info").body);
  ASSERT_TRUE(timing.info);
  EXPECT_EQ(timing.info->framework, "m1-0000");
  EXPECT_EQ(timing.info->checkpoint, true);
  EXPECT_EQ(timing.info->failover_timeout, 604800);
  EXPECT_EQ(timing.info->zk_session, 10);
  const auto bounds = marathon_timers(timing);
  EXPECT_EQ(bounds.at("reconciliation_interval").seconds, 12);
  EXPECT_EQ(bounds.at("scale_apps_interval").seconds, 7);
}

TEST(Adapter, ReadsDeploymentsAndWhatWaits) {
  Harness harness;
  harness.subscribe();
  ASSERT_EQ(
      harness.request("POST", "/v2/apps", {{"id", "/web"}, {"cmd", "x"}, {"instances", 3}}).status,
      201);
  const auto deployments =
      parse_marathon_deployments(harness.request("GET", "/v2/deployments").body);
  ASSERT_TRUE(deployments);
  EXPECT_TRUE(deployments->contains("/web"));
  const auto waiting = parse_marathon_queue(harness.request("GET", "/v2/queue").body);
  ASSERT_TRUE(waiting);
  EXPECT_EQ(waiting->at("/web"), 3);
}

TEST(Adapter, ReadsTheEventStream) {
  Harness harness;
  harness.subscribe();
  harness.deploy("/web", 1);
  harness.events.clear();
  harness.update(harness.running("/web").begin()->first, "TASK_UNREACHABLE", "", false);
  EventHub hub;
  std::vector<MarathonEvent> read;
  const auto framing = make_server_sent();
  std::size_t left = 3;  // attached, status, instance
  hub.serve({}, "10.66.1.9", [&](std::string_view bytes) {
    const auto taken = framing->take(bytes, [&](const std::string& event) {
      if (auto parsed = parse_marathon_event(event)) read.push_back(*parsed);
      if (--left == 2) {
        for (const auto& [type, published] : harness.events) hub.publish(type, published);
      }
    });
    EXPECT_TRUE(taken);
    return left > 0;
  });
  ASSERT_GE(read.size(), 3U);
  EXPECT_EQ(read[0].type, "event_stream_attached");
  EXPECT_EQ(read[1].type, "status_update_event");
  EXPECT_EQ(read[2].type, "instance_changed_event");
  EXPECT_EQ(read[2].condition, "UnreachableInactive");
  EXPECT_EQ(read[2].app, "/web");
  EXPECT_EQ(read[2].host, "host-s1");
}

}  // namespace
}  // namespace zq::scheduler
