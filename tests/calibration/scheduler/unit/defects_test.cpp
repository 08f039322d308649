// Every defect against the sound scheduler in the same situation: what it breaks and nothing more
// is what the calibration relies on.
#include "tests/calibration/scheduler/defects.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/calibration/scheduler/unit/harness.h"

namespace zq::scheduler {
namespace {

using nlohmann::json;
using std::chrono::minutes;
using std::chrono::seconds;

// Two instances run on s1 (zone a) and s2 (zone b), then s2 is lost, s1 offers room, s2 returns.
struct Outcome {
  std::size_t waiting_after_loss = 0;
  std::size_t running_before_heal = 0;
  std::vector<std::string> killed_in_cut;
  std::vector<std::string> killed_at_heal;
  std::string lost;
};

Outcome cut_and_heal(Harness& harness) {
  Outcome outcome;
  harness.subscribe();
  harness.deploy("/web", 2);
  for (const auto& [task, agent] : harness.running("/web")) {
    if (agent == "s2") outcome.lost = task;
  }
  harness.update(outcome.lost, "TASK_UNREACHABLE", "REASON_AGENT_REMOVED", false);
  harness.pass(seconds(6));
  outcome.waiting_after_loss = harness.waiting("/web");
  outcome.killed_in_cut = harness.killed();
  harness.obey();
  harness.offer("s1", 4);
  harness.obey();
  outcome.running_before_heal = harness.running("/web").size();
  harness.forget_calls();
  harness.update(outcome.lost, "TASK_RUNNING", "REASON_AGENT_REREGISTERED", false);
  harness.pass(seconds(1));
  outcome.killed_at_heal = harness.killed();
  return outcome;
}

TEST(Defects, NoneReplacesAndKillsTheOriginal) {
  Harness harness;
  const auto outcome = cut_and_heal(harness);
  EXPECT_EQ(outcome.waiting_after_loss, 1U);
  EXPECT_EQ(outcome.running_before_heal, 2U);
  EXPECT_TRUE(outcome.killed_in_cut.empty());
  EXPECT_EQ(outcome.killed_at_heal, std::vector<std::string>{outcome.lost});
}

TEST(Defects, NeverReschedules) {
  for (const char* const name : {"never-reschedules", "ignores-unreachable-zone"}) {
    Harness harness(name);
    const auto outcome = cut_and_heal(harness);
    EXPECT_EQ(outcome.waiting_after_loss, 0U) << name;
    harness.pass(minutes(20));
    EXPECT_EQ(harness.waiting("/web"), 0U) << name << " must last";
  }
}

TEST(Defects, NeverReschedulesWhatEnded) {
  Harness harness("never-reschedules");
  harness.subscribe();
  harness.deploy("/web", 1);
  harness.update(harness.running("/web").begin()->first, "TASK_KILLED");
  harness.pass(minutes(10));
  EXPECT_EQ(harness.waiting("/web"), 0U);
}

TEST(Defects, ReschedulesLate) {
  Harness harness("reschedules-late");
  EXPECT_EQ(cut_and_heal(harness).waiting_after_loss, 0U);
  harness.pass(seconds(70));
  EXPECT_EQ(harness.waiting("/web"), 0U);
  harness.pass(seconds(20));
  EXPECT_EQ(harness.waiting("/web"), 1U);
}

TEST(Defects, ReschedulesOnSuspicion) {
  Harness harness("reschedules-on-inactive");
  harness.subscribe();
  harness.deploy("/web", 2);
  ASSERT_TRUE(harness.scheduler.on_suspected("s2"));
  EXPECT_EQ(harness.waiting("/web"), 1U);
}

TEST(Defects, IgnoresCapacity) {
  Harness harness("ignores-capacity");
  harness.subscribe();
  ASSERT_EQ(
      harness.request("POST", "/v2/apps", {{"id", "/web"}, {"cmd", "x"}, {"instances", 4}}).status,
      201);
  harness.offer("s1", 1, 64);
  const auto accepted = harness.calls_of("ACCEPT");
  ASSERT_EQ(accepted.size(), 1U);
  const auto& tasks = accepted[0].at("accept").at("operations")[0].at("launch").at("task_infos");
  EXPECT_EQ(tasks.size(), 4U);
  double cpus = 0;
  for (const auto& task : tasks) {
    for (const auto& resource : task.at("resources")) {
      if (resource.at("name") == "cpus") cpus += resource.at("scalar").at("value").get<double>();
    }
  }
  EXPECT_LE(cpus, 1) << "a master would refuse more than was offered";
}

TEST(Defects, IgnoresConstraintsAndRegions) {
  const json app = {
      {"id", "/web"}, {"cmd", "x"}, {"constraints", json::array({{"@zone", "IS", "b"}})}};
  Harness sound;
  Harness broken("ignores-constraints");
  Harness abroad("ignores-home-region");
  for (Harness* const harness : {&sound, &broken}) {
    harness->subscribe();
    ASSERT_EQ(harness->request("POST", "/v2/apps", app).status, 201);
    harness->offer("s1", 2, 1024, "a");
  }
  EXPECT_TRUE(sound.calls_of("ACCEPT").empty());
  EXPECT_EQ(broken.calls_of("ACCEPT").size(), 1U);
  abroad.subscribe("r1");
  ASSERT_EQ(abroad.request("POST", "/v2/apps", {{"id", "/web"}, {"cmd", "x"}}).status, 201);
  abroad.offer("s9", 2, 1024, "z", "r2");
  EXPECT_EQ(abroad.calls_of("ACCEPT").size(), 1U);
}

TEST(Defects, KeepsDuplicates) {
  Harness harness("keeps-duplicates");
  EXPECT_TRUE(cut_and_heal(harness).killed_at_heal.empty());
  harness.pass(minutes(11));
  EXPECT_TRUE(harness.killed().empty());
}

TEST(Defects, LaunchesTwice) {
  Harness harness("launches-twice");
  harness.subscribe();
  ASSERT_EQ(harness.request("POST", "/v2/apps", {{"id", "/web"}, {"cmd", "x"}}).status, 201);
  harness.offer("s1", 4);
  const auto accepted = harness.calls_of("ACCEPT");
  ASSERT_EQ(accepted.size(), 1U);
  EXPECT_EQ(accepted[0].at("accept").at("operations")[0].at("launch").at("task_infos").size(), 2U);
  harness.obey();
  EXPECT_TRUE(harness.killed().empty()) << "the second one must stay";
}

TEST(Defects, KillsReturnedAndCopies) {
  Harness harness("kills-returned-and-copies");
  const auto outcome = cut_and_heal(harness);
  EXPECT_EQ(outcome.killed_at_heal.size(), 2U);
  EXPECT_THAT(outcome.killed_at_heal, testing::Contains(outcome.lost));
  harness.obey();
  harness.pass(minutes(10));
  EXPECT_EQ(harness.running("/web").size() + harness.waiting("/web"), 1U) << "one too few for good";
}

TEST(Defects, RestartsAllAtHeal) {
  Harness harness("restarts-all-at-heal");
  EXPECT_EQ(cut_and_heal(harness).killed_at_heal.size(), 3U);
}

TEST(Defects, RestartsSurvivors) {
  Harness harness("restarts-survivors");
  const auto outcome = cut_and_heal(harness);
  ASSERT_EQ(outcome.killed_in_cut.size(), 1U);
  EXPECT_NE(outcome.killed_in_cut[0], outcome.lost);
}

TEST(Defects, ForgetsTasksAfterFailover) {
  Harness old;
  old.subscribe();
  old.deploy("/web", 2);
  Harness next("forgets-tasks-after-failover");
  ASSERT_TRUE(next.scheduler.load(old.nodes));
  next.subscribe();
  next.pass(seconds(16));
  EXPECT_EQ(next.waiting("/web"), 2U);
  const auto task = old.running("/web").begin()->first;
  next.update(task, "TASK_RUNNING", "REASON_RECONCILIATION", false);
  EXPECT_EQ(next.killed(), std::vector<std::string>{task});
}

TEST(Defects, LosesAcceptedUpdates) {
  Harness harness("loses-accepted-updates");
  harness.subscribe();
  ASSERT_EQ(harness.request("POST", "/v2/apps", {{"id", "/web"}, {"cmd", "x"}}).status, 201);
  EXPECT_EQ(harness.get("/v2/apps/web").at("app").at("instances"), 1);
  EXPECT_FALSE(harness.nodes.contains("apps/web"));
  harness.pass(seconds(5));
  EXPECT_FALSE(harness.nodes.contains("apps/web"));
  harness.store_fails = true;
  harness.offer("s9", 0.1);
  EXPECT_EQ(harness.request("PUT", "/v2/apps/web?force=true", {{"labels", {{"a", "b"}}}}).status,
            200)
      << "nothing of it is stored, so that nothing can fail";
}

TEST(Defects, ReportsTheTarget) {
  Harness harness("reports-target");
  harness.subscribe();
  ASSERT_EQ(
      harness.request("POST", "/v2/apps", {{"id", "/web"}, {"cmd", "x"}, {"instances", 3}}).status,
      201);
  const auto app = harness.get("/v2/apps/web").at("app");
  EXPECT_EQ(app.at("tasksRunning"), 3);
  ASSERT_EQ(app.at("tasks").size(), 3U);
  EXPECT_EQ(app.at("tasks")[0].at("state"), "TASK_RUNNING");
  EXPECT_TRUE(harness.get("/v2/queue").at("queue").empty());
}

TEST(Defects, NeverReconciles) {
  Harness harness("never-reconciles");
  harness.subscribe();
  harness.pass(minutes(25));
  EXPECT_TRUE(harness.calls_of("RECONCILE").empty());
}

TEST(Defects, AreNamedOnce) {
  const auto both = Defects::parse("keeps-duplicates,launches-twice");
  ASSERT_TRUE(both);
  EXPECT_TRUE(both->has(Defect::kKeepsDuplicates));
  EXPECT_TRUE(both->has(Defect::kLaunchesTwice));
  EXPECT_FALSE(both->has(Defect::kNeverReconciles));
  const auto wrong = Defects::parse("keeps-duplicate");
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().message, testing::HasSubstr("keeps-duplicates"));
  EXPECT_GE(defect_names().size(), 10U);
  for (const auto& name : defect_names()) EXPECT_TRUE(Defects::parse(name)) << name;
}

}  // namespace
}  // namespace zq::scheduler
