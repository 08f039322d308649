#include "tests/calibration/scheduler/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/calibration/scheduler/unit/harness.h"

namespace zq::scheduler {
namespace {

using nlohmann::json;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

json strategy(int inactive, int expunge) {
  return {{"unreachableStrategy",
           {{"inactiveAfterSeconds", inactive}, {"expungeAfterSeconds", expunge}}}};
}

std::string on(const Harness& harness, const std::string& app, const std::string& agent) {
  for (const auto& [task, where] : harness.running(app)) {
    if (where == agent) return task;
  }
  return {};
}

TEST(Scheduler, DeploysScalesAndRemoves) {
  Harness harness;
  harness.subscribe();
  harness.deploy("/web", 2);
  EXPECT_THAT(harness.scheduler.state().deployments, IsEmpty());
  EXPECT_THAT(harness.event_types(), Contains("deployment_success"));

  EXPECT_EQ(harness.request("PUT", "/v2/apps/web", {{"instances", 3}}).status, 200);
  harness.offer("s3", 2);
  harness.obey();
  harness.pass(seconds(1));
  EXPECT_EQ(harness.running("/web").size(), 3U);

  EXPECT_EQ(harness.request("PUT", "/v2/apps/web", {{"instances", 1}}).status, 200);
  EXPECT_EQ(harness.killed().size(), 2U);
  harness.obey();
  harness.pass(seconds(1));
  EXPECT_EQ(harness.running("/web").size(), 1U);
  // The youngest go first.
  EXPECT_EQ(harness.running("/web").begin()->second, "s1");

  EXPECT_EQ(harness.request("DELETE", "/v2/apps/web").status, 200);
  harness.obey();
  harness.pass(seconds(1));
  EXPECT_THAT(harness.scheduler.state().apps, IsEmpty());
  EXPECT_THAT(harness.scheduler.state().instances, IsEmpty());
  EXPECT_EQ(harness.nodes.size(), 2U) << "the framework id and the version are left";
}

TEST(Scheduler, StoresAnInstanceBeforeItLaunchesIt) {
  Harness harness;
  harness.subscribe();
  ASSERT_EQ(harness.request("POST", "/v2/apps", {{"id", "/web"}, {"cmd", "x"}, {"cpus", 1}}).status,
            201);
  harness.store_fails = true;
  const json offer = {{"id", {{"value", "O1"}}},
                      {"agent_id", {{"value", "s1"}}},
                      {"hostname", "h"},
                      {"resources", json::array()}};
  harness.forget_calls();
  auto app = json{{"id", "/tiny"}, {"cmd", "x"}, {"cpus", 0}, {"mem", 0}, {"ports", json::array()}};
  EXPECT_EQ(harness.request("POST", "/v2/apps", app).status, 503);
  EXPECT_FALSE(harness.scheduler.state().apps.contains("/tiny"))
      << "a refused update must not stay";
  harness.store_fails = false;
  EXPECT_EQ(harness.request("POST", "/v2/apps", app).status, 201);
  harness.store_fails = true;
  EXPECT_FALSE(harness.scheduler.on_event(
      {{"type", "OFFERS"}, {"offers", {{"offers", json::array({offer})}}}}));
  EXPECT_THAT(harness.calls_of("ACCEPT"), IsEmpty());
}

TEST(Scheduler, AcknowledgesWhatHasAnId) {
  Harness harness;
  harness.subscribe();
  harness.deploy("/web", 1);
  harness.update(on(harness, "/web", "s1"), "TASK_RUNNING");
  harness.update(on(harness, "/web", "s1"), "TASK_RUNNING", "REASON_RECONCILIATION", false);
  const auto acks = harness.calls_of("ACKNOWLEDGE");
  ASSERT_EQ(acks.size(), 1U);
  EXPECT_EQ(acks[0].at("acknowledge").at("uuid"), "BRj7+5N8QcGWgc8+LaCZFg==");
  EXPECT_EQ(acks[0].at("acknowledge").at("agent_id").at("value"), "s1");
}

TEST(Scheduler, ReplacesAtOnceAndKillsTheOldOneWhenItReturns) {
  Harness harness;
  harness.subscribe();
  harness.deploy("/web", 2);
  const auto lost = on(harness, "/web", "s2");
  harness.update(lost, "TASK_UNREACHABLE", "REASON_AGENT_REMOVED", false);
  EXPECT_EQ(harness.waiting("/web"), 1U);
  harness.offer("s1", 4);
  harness.obey();
  EXPECT_EQ(harness.running("/web").size(), 2U);
  EXPECT_FALSE(harness.running("/web").contains(lost));

  harness.forget_calls();
  harness.update(lost, "TASK_RUNNING", "REASON_AGENT_REREGISTERED", false);
  EXPECT_THAT(harness.killed(), ElementsAre(lost));
  harness.pass(seconds(31));
  EXPECT_THAT(harness.killed(), ElementsAre(lost, lost)) << "a kill is repeated every 30 s";
  harness.update(lost, "TASK_KILLED");
  harness.pass(minutes(2));
  EXPECT_THAT(harness.killed(), ElementsAre(lost, lost));
  EXPECT_EQ(harness.running("/web").size(), 2U);
  EXPECT_THAT(harness.event_types(), Contains("unknown_instance_terminated_event"));
}

TEST(Scheduler, WithPatienceReplacesAtTheNextReconciliation) {
  Harness harness;
  harness.subscribe();
  harness.deploy("/web", 2, strategy(60, 3000));
  const auto lost = on(harness, "/web", "s2");
  harness.update(lost, "TASK_UNREACHABLE", "REASON_AGENT_REMOVED", false);
  harness.pass(seconds(120));
  EXPECT_EQ(harness.waiting("/web"), 0U) << "nobody has spoken of the task since";
  harness.update(lost, "TASK_UNREACHABLE", "REASON_RECONCILIATION", false);
  EXPECT_EQ(harness.waiting("/web"), 1U) << "the age counts from the first unreachable_time";
}

TEST(Scheduler, RemovesTheSurplusAtTheNextScaling) {
  Harness harness;
  harness.subscribe();
  harness.deploy("/web", 2, strategy(0, 3000));
  const auto lost = on(harness, "/web", "s2");
  harness.update(lost, "TASK_UNREACHABLE", "REASON_AGENT_REMOVED", false);
  EXPECT_EQ(harness.waiting("/web"), 1U);
  harness.offer("s1", 4);
  harness.obey();
  harness.forget_calls();
  harness.update(lost, "TASK_RUNNING", "REASON_AGENT_REREGISTERED", false);
  EXPECT_EQ(harness.running("/web").size(), 3U);
  EXPECT_THAT(harness.killed(), IsEmpty());
  harness.pass(minutes(5));
  // YOUNGEST_FIRST: the replacement goes; nobody obeys, so that the kill is repeated.
  const auto tasks = harness.killed();
  const std::set<std::string> killed(tasks.begin(), tasks.end());
  EXPECT_EQ(killed.size(), 1U);
  EXPECT_FALSE(killed.contains(lost));
}

TEST(Scheduler, ForgetsOnTheExpungeTick) {
  Harness harness;
  harness.subscribe();
  harness.deploy("/web", 2, strategy(0, 60));
  const auto lost = on(harness, "/web", "s2");
  harness.update(lost, "TASK_UNREACHABLE", "REASON_AGENT_REMOVED", false);
  EXPECT_TRUE(harness.scheduler.state().instances.contains(instance_of_task(lost)));
  harness.pass(minutes(6));
  EXPECT_FALSE(harness.scheduler.state().instances.contains(instance_of_task(lost)));
  EXPECT_EQ(harness.waiting("/web"), 1U);
}

TEST(Scheduler, ReconcilesExplicitlyThenImplicitly) {
  Harness harness;
  harness.subscribe();
  harness.deploy("/web", 2);
  harness.pass(seconds(20));
  const auto asked = harness.calls_of("RECONCILE");
  ASSERT_EQ(asked.size(), 2U);
  EXPECT_EQ(asked[0].at("reconcile").at("tasks").size(), 2U);
  EXPECT_EQ(asked[1].at("reconcile").at("tasks").size(), 0U);
  harness.pass(minutes(10));
  EXPECT_EQ(harness.calls_of("RECONCILE").size(), 4U);
}

TEST(Scheduler, RestartsWhatEndedUnderTheSameInstance) {
  Harness harness;
  harness.subscribe();
  harness.deploy("/web", 1);
  const auto first = on(harness, "/web", "s1");
  harness.update(first, "TASK_FAILED");
  EXPECT_EQ(harness.waiting("/web"), 1U);
  harness.offer("s1", 2);
  EXPECT_THAT(harness.calls_of("ACCEPT"), IsEmpty()) << "a failure is followed by a delay";
  harness.pass(seconds(2));
  harness.offer("s1", 2);
  harness.obey();
  const auto second = on(harness, "/web", "s1");
  EXPECT_EQ(instance_of_task(second), instance_of_task(first));
  EXPECT_TRUE(second.ends_with("._app.2")) << second;
}

TEST(Scheduler, AsksForOffersOnlyWhileSomethingWaits) {
  Harness harness;
  harness.subscribe();
  harness.deploy("/web", 1);
  harness.pass(seconds(1));
  EXPECT_EQ(harness.calls_of("SUPPRESS").size(), 0U)
      << "suppressed before the calls were forgotten";
  harness.offer("s4", 4);
  const auto declined = harness.calls_of("DECLINE");
  ASSERT_EQ(declined.size(), 1U);
  EXPECT_EQ(declined[0].at("decline").at("filters").at("refuse_seconds"), 120.0);
  harness.update(on(harness, "/web", "s1"), "TASK_UNREACHABLE", "", false);
  harness.pass(seconds(30));
  EXPECT_EQ(harness.calls_of("REVIVE").size(), 3U);
}

TEST(Scheduler, ANewLeaderKnowsWhatTheOldOneStored) {
  Harness old;
  old.subscribe();
  old.deploy("/web", 2);
  Harness next;
  ASSERT_TRUE(next.scheduler.load(old.nodes));
  EXPECT_EQ(next.scheduler.state().framework_id, "m1-0000");
  next.subscribe();
  EXPECT_EQ(next.running("/web"), old.running("/web"));
  EXPECT_THAT(next.event_types(), Contains("scheduler_reregistered_event"));
  next.pass(seconds(20));
  EXPECT_THAT(next.killed(), IsEmpty());
  EXPECT_EQ(next.waiting("/web"), 0U);
}

TEST(Scheduler, RollsToANewConfiguration) {
  Harness harness;
  harness.subscribe();
  harness.deploy("/web", 2);
  EXPECT_EQ(harness.request("PUT", "/v2/apps/web", {{"cmd", "sleep 2"}}).status, 200);
  EXPECT_THAT(harness.killed(), IsEmpty()) << "minimumHealthCapacity is 1";
  harness.offer("s3", 8);
  harness.obey();
  harness.pass(seconds(2));
  harness.obey();
  harness.pass(seconds(2));
  EXPECT_EQ(harness.running("/web").size(), 2U);
  for (const auto& [task, agent] : harness.running("/web")) EXPECT_EQ(agent, "s3");
  EXPECT_THAT(harness.scheduler.state().deployments, IsEmpty());
}

TEST(Scheduler, TakesOnlySoMuchOfOneOffer) {
  for (const int most : {5, 1}) {
    Timers timers;
    timers.max_instances_per_offer = most;
    Harness harness("", timers);
    harness.subscribe();
    const json app = {{"id", "/web"}, {"cmd", "x"}, {"cpus", 1}, {"mem", 32}, {"instances", 7}};
    ASSERT_EQ(harness.request("POST", "/v2/apps", app).status, 201);
    harness.offer("s1", 8);
    EXPECT_EQ(harness.waiting("/web"), static_cast<std::size_t>(7 - most));
  }
}

TEST(Scheduler, KillsWhatIsNotConfirmedInTime) {
  Harness harness;
  harness.subscribe();
  ASSERT_EQ(harness.request("POST", "/v2/apps", {{"id", "/web"}, {"cmd", "x"}}).status, 201);
  harness.offer("s1", 2);
  harness.pass(minutes(4));
  EXPECT_THAT(harness.killed(), IsEmpty());
  harness.pass(seconds(62));
  EXPECT_FALSE(harness.killed().empty());
}

}  // namespace
}  // namespace zq::scheduler
