// Who does which step, and what becomes of the controller's own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "controller/run/agent_requests.h"
#include "controller/run/evidence.h"
#include "controller/run/process_schedule.h"
#include "controller/run/process_steps.h"

namespace zq {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Cluster two_nodes() {
  auto cluster = parse_cluster(R"(name = "real"
[[region]]
name = "r"
[[region.zone]]
name = "a"
node = [{ name = "a1", addresses = ["10.66.1.1"], agent = "unix:/run/a1.sock" },
        { name = "a2", addresses = ["10.66.1.2"], agent = "none" }]
[[system]]
name = "store"
kind = "etcd"
nodes = "zone:a"
endpoint = "http://{ip}:2379"
unit = "etcd.service"
[[hook]]
name = "power"
run = ["/bin/sh", "-c", "echo {name} {ip} {zone} off"]
undo = ["/bin/sh", "-c", "echo on"]
timeout = "2s"
)",
                               "cluster.toml");
  if (!cluster) ADD_FAILURE() << cluster.error().message;
  return std::move(*cluster);
}

ProcessStep step(ProcessStep::What what, std::vector<NodeId> nodes) {
  return {.what = what,
          .nodes = std::move(nodes),
          .system = {},
          .hook = what == ProcessStep::What::kHook ? "power" : "",
          .at = seconds(1),
          .undo_at = seconds(5)};
}

FindTargets cgroup_of_node() {
  return [](NodeId node, const std::string&) {
    if (node == 1) return std::vector<ProcessTarget>{};
    return std::vector<ProcessTarget>{{.unit = {}, .cgroup = "zonequake/c/nodes/a1"}};
  };
}

TEST(ProcessSchedule, AgentsOfARealClusterStopAndStartUnitsAtTheirInstants) {
  const Cluster cluster = two_nodes();
  Plan plan;
  plan.processes = {step(ProcessStep::What::kKill, {0})};
  const auto schedule = schedule_processes(cluster, plan, false, targets_of_systems(cluster));
  ASSERT_TRUE(schedule) << schedule.error().message;
  EXPECT_THAT(schedule->controller, IsEmpty());
  ASSERT_THAT(schedule->agents, SizeIs(2));
  EXPECT_EQ(schedule->agents[0].verb, zonequake::KILL);
  EXPECT_EQ(schedule->agents[0].target.unit, "etcd.service");
  EXPECT_EQ(schedule->agents[0].at, Nanos{seconds(1)});
  EXPECT_EQ(schedule->agents[1].verb, zonequake::START);
  EXPECT_EQ(schedule->agents[1].at, Nanos{seconds(5)});

  plan.programmes.resize(2);
  plan.programmes[1].node = 1;
  const std::vector<ClockEstimate> clocks{{.offset = seconds(100), .uncertainty = {}}, {}};
  const auto requests =
      load_requests(plan, {}, mono_from_ns(0) + seconds(10), clocks, schedule->agents);
  ASSERT_EQ(requests[0].processes_size(), 2);
  EXPECT_EQ(requests[0].processes(0).unit(), "etcd.service");
  EXPECT_EQ(requests[0].processes(0).at_mono_ns(), Nanos{seconds(111)}.count());
  EXPECT_EQ(requests[1].processes_size(), 0);
}

TEST(ProcessSchedule, ATestbedStartsAgainWhatItsAgentsKill) {
  const Cluster cluster = two_nodes();
  Plan plan;
  plan.processes = {step(ProcessStep::What::kKill, {0, 1}), step(ProcessStep::What::kPause, {0})};
  const auto schedule = schedule_processes(cluster, plan, true, cgroup_of_node());
  ASSERT_TRUE(schedule) << schedule.error().message;
  ASSERT_THAT(schedule->agents, SizeIs(3));  // kill, pause, resume: all of a1
  EXPECT_EQ(schedule->agents[0].target.cgroup, "zonequake/c/nodes/a1");
  EXPECT_EQ(schedule->agents[2].verb, zonequake::RESUME);
  ASSERT_THAT(schedule->controller, SizeIs(3));
  EXPECT_EQ(schedule->controller[0].name, "kill");  // a2 has no agent that could
  EXPECT_EQ(schedule->controller[0].node, 1U);
  EXPECT_EQ(schedule->controller[1].name, "start");
  EXPECT_FALSE(schedule->controller[1].undoes);
  EXPECT_EQ(schedule->controller[1].since, Nanos{seconds(1)});
  EXPECT_EQ(schedule->controller[2].undoes, 0U);
}

TEST(ProcessSchedule, NodesOnWhichNobodyCanActAreRefused) {
  const Cluster cluster = two_nodes();
  Plan plan;
  plan.processes = {step(ProcessStep::What::kPause, {1})};
  const auto agentless = schedule_processes(cluster, plan, false, targets_of_systems(cluster));
  ASSERT_FALSE(agentless);
  EXPECT_THAT(agentless.error().message, HasSubstr("a2: it has no agent; use a hook"));
  EXPECT_FALSE(schedule_processes(cluster, plan, true, cgroup_of_node()));
  plan.processes = {step(ProcessStep::What::kHook, {1})};
  EXPECT_TRUE(schedule_processes(cluster, plan, false, targets_of_systems(cluster)));
  plan.processes[0].hook = "nothing";
  EXPECT_FALSE(schedule_processes(cluster, plan, false, targets_of_systems(cluster)));
}

// Hooks, run for real.
class Hooks : public ::testing::Test {
 protected:
  std::unique_ptr<ProcessSteps> steps(std::vector<std::string> run, std::vector<std::string> undo,
                                      milliseconds timeout = seconds(5)) {
    cluster_ = two_nodes();
    cluster_.hooks[0].run = std::move(run);
    cluster_.hooks[0].undo = std::move(undo);
    cluster_.hooks[0].timeout = timeout;
    Plan plan;
    ProcessStep hook = step(ProcessStep::What::kHook, {0});
    hook.at = Nanos{0};
    hook.undo_at = std::chrono::hours(1);
    plan.processes = {hook};
    auto schedule = schedule_processes(cluster_, plan, false, targets_of_systems(cluster_));
    if (!schedule) ADD_FAILURE() << schedule.error().message;
    auto result = std::make_unique<ProcessSteps>(
        cluster_, nullptr, std::move(schedule->controller),
        [this](const ProcessRecord& record) { told_.push_back(record); });
    result->start(mono_now());
    return result;
  }

  Status run_until_told(ProcessSteps& steps, std::size_t records) {
    const MonoTime deadline = mono_now() + seconds(20);
    Status status;
    while (status && told_.size() < records && mono_now() < deadline) {
      status = steps.take_due(mono_now());
      std::this_thread::sleep_for(milliseconds(5));
    }
    if (status) status = steps.take_due(mono_now());
    return status;
  }

  Cluster cluster_;
  std::vector<ProcessRecord> told_;
};

TEST_F(Hooks, RunWithTheNodesNamesAndAreUndoneEarlyToo) {
  const auto hooks = steps({"sh", "-c", "echo {name} {ip} {zone}; echo off >&2"},
                           {"/bin/sh", "-c", "echo on {name}"});
  ASSERT_TRUE(run_until_told(*hooks, 2));
  ASSERT_THAT(told_, SizeIs(2));  // before and after
  EXPECT_TRUE(told_[0].began_mono_ns);
  EXPECT_FALSE(told_[0].done_mono_ns);
  EXPECT_EQ(told_[0].undo, "/bin/sh -c echo on a1");
  EXPECT_EQ(told_[1].output, "a1 10.66.1.1 a off");
  EXPECT_EQ(told_[1].error, "");
  hooks->undo_all();
  ASSERT_THAT(told_, SizeIs(4));
  EXPECT_EQ(told_[3].step, "hook power undo");
  EXPECT_EQ(told_[3].output, "on a1");
  EXPECT_THAT(hooks->take_problems(), IsEmpty());
  hooks->undo_all();  // once is enough
  EXPECT_THAT(told_, SizeIs(4));
}

TEST_F(Hooks, OneThatHangsIsKilledWithWhatItStarted) {
  const auto hooks =
      steps({"/bin/sh", "-c", "sleep 1000 & sleep 1000"}, {"/bin/true"}, milliseconds(300));
  const Status status = run_until_told(*hooks, 2);
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, HasSubstr("did not end within 300ms and was killed"));
  hooks->undo_all();
  EXPECT_EQ(told_.back().step, "hook power undo");
}

TEST_F(Hooks, FailuresAreToldAndAFailedUndoSaysWhatToDo) {
  const auto hooks = steps({"/bin/sh", "-c", "exit 3"}, {"/nowhere/power", "{name}", "on"});
  const Status status = run_until_told(*hooks, 2);
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, HasSubstr("exit code 3"));
  hooks->undo_all();
  EXPECT_THAT(hooks->take_problems(),
              ElementsAre(HasSubstr("do it by hand: /nowhere/power a1 on")));
}

TEST_F(Hooks, WhatNeverBeganIsNotUndone) {
  const auto hooks = steps({"/bin/true"}, {"/bin/true"});
  hooks->undo_all();
  EXPECT_THAT(told_, IsEmpty());
}

TEST(ProcessResults, FailedLateAndForgottenStepsMakeTheRunInvalid) {
  zonequake::ProcessReply reply;
  const auto add = [&](std::int64_t began_ms, const std::string& error) {
    auto* result = reply.add_results();
    result->mutable_action()->set_verb(zonequake::PAUSE);
    result->mutable_action()->set_cgroup("x");
    result->mutable_action()->set_at_mono_ns(5'000'000'000);
    result->set_began_mono_ns(began_ms * 1'000'000);
    result->set_error(error);
  };
  add(5'001, "");
  add(5'001, "no such cgroup");
  add(6'000, "");
  add(0, "");
  const auto records = process_records("a1", reply, seconds(1));
  ASSERT_THAT(records, SizeIs(4));
  EXPECT_EQ(records[0].planned_mono_ns, 4'000'000'000);
  EXPECT_EQ(records[0].step, "pause");
  EXPECT_TRUE(records[0].by_agent);
  EXPECT_THAT(assess_steps(records).invalid,
              ElementsAre(HasSubstr("no such cgroup"), HasSubstr("began 1s too late"),
                          HasSubstr("never begun")));
}

}  // namespace
}  // namespace zq
