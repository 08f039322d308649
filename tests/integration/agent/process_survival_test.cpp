// Whatever becomes of the agent, what it paused runs again; and who may ask it to pause.
#include "tests/integration/agent/agent_fixture.h"
#include "tests/integration/agent/process_fixture.h"

namespace zq::test {
namespace {

class ProcessSurvival : public testing::Test {
 protected:
  void arm(const ArmSettings& with = {.lease = 600ms, .orphan = 30s}) {
    cgroup_.add(ticker_.process().pid());
    fleet_.arm(with);
  }
  zonequake::ProcessAction* add(zonequake::ProcessRequest& request, zonequake::ProcessVerb verb,
                                const std::string& cgroup) {
    *request.mutable_run() = fleet_.run();
    auto* const action = request.add_actions();
    action->set_verb(verb);
    action->set_cgroup(cgroup);
    return action;
  }
  Answer<zonequake::ProcessReply> control(const zonequake::ProcessRequest& request) {
    return fleet_[0].call(&zonequake::Agent::Stub::ControlProcesses, request);
  }
  Answer<zonequake::ProcessReply> control(zonequake::ProcessVerb verb) {
    zonequake::ProcessRequest request;
    add(request, verb, cgroup_.name());
    return control(request);
  }
  void pause() {
    const auto answer = control(zonequake::PAUSE);
    ASSERT_EQ(answer.code(), kOk) << answer.status.error_message();
    ASSERT_EQ(answer.reply.results_size(), 1);
    ASSERT_EQ(answer.reply.results(0).error(), "");
    ASSERT_GT(answer.reply.done_mono_ns(), 0);
    ASSERT_TRUE(cgroup_.frozen());
  }
  [[nodiscard]] std::string journal() { return fleet_[0].state_dir() + "/process.journal"; }
  // The agent's only child process.
  [[nodiscard]] std::optional<pid_t> guardian() {
    const pid_t agent = fleet_[0].process().pid();
    for (const auto& task :
         std::filesystem::directory_iterator(fmt::format("/proc/{}/task", agent))) {
      std::istringstream children(read_file(task.path() / "children"));
      for (pid_t child = 0; children >> child;) {
        if (read_file(fmt::format("/proc/{}/comm", child)) == "zq-guardian\n") return child;
      }
    }
    return std::nullopt;
  }

  Fleet fleet_{2};
  TestCgroup cgroup_;
  Ticker ticker_;
};

TEST_F(ProcessSurvival, AgentKilled) {
  arm();
  pause();
  fleet_[0].process().signal(SIGKILL);
  const MonoTime killed = mono_now();
  EXPECT_TRUE(ticker_.runs_within(5s));
  fmt::print("runs again {} ms after SIGKILL\n", (mono_now() - killed) / 1ms);
  (void)fleet_[0].process().wait();
  EXPECT_TRUE(wait_until([&] { return !std::filesystem::exists(journal()); }));
  EXPECT_TRUE(wait_until(
      [&] { return fleet_[0].log().find("guardian: the agent is gone") != std::string::npos; }));
}

TEST_F(ProcessSurvival, AgentAndGuardianKilled) {
  arm();
  pause();
  ASSERT_TRUE(wait_until([&] { return guardian().has_value(); }));
  fleet_[0].process().signal(SIGSTOP);  // or it would start another guardian
  ASSERT_EQ(::kill(*guardian(), SIGKILL), 0);
  fleet_[0].process().signal(SIGKILL);
  (void)fleet_[0].process().wait();
  EXPECT_FALSE(ticker_.runs_within(300ms)) << "nobody is left to resume it";
  fleet_[0].start();
  EXPECT_TRUE(ticker_.runs_within(1s));
  EXPECT_THAT(fleet_[0].log(), testing::HasSubstr("was paused: resumed"));
  EXPECT_FALSE(std::filesystem::exists(journal()));
}

TEST_F(ProcessSurvival, GuardianKilled) {
  arm();
  pause();
  ASSERT_TRUE(wait_until([&] { return guardian().has_value(); }));
  const pid_t first = *guardian();
  ASSERT_EQ(::kill(first, SIGKILL), 0);
  ASSERT_TRUE(wait_until([&] { return guardian().value_or(first) != first; })) << fleet_[0].log();
  fleet_[0].process().signal(SIGKILL);
  EXPECT_TRUE(ticker_.runs_within(5s));
}

TEST_F(ProcessSurvival, ControllerGone) {
  arm({.lease = 600ms, .orphan = 900ms});
  pause();
  fleet_.stop_heart(0);
  EXPECT_TRUE(ticker_.runs_within(5s));
  EXPECT_TRUE(wait_until([&] { return fleet_[0].describe().reply.holder().empty(); }));
  EXPECT_FALSE(guardian());
}

TEST_F(ProcessSurvival, AgentToldToEnd) {
  arm();
  pause();
  fleet_[0].process().signal(SIGTERM);
  EXPECT_EQ(fleet_[0].process().wait(), 0) << fleet_[0].log();
  EXPECT_TRUE(ticker_.runs_within(1s));
  EXPECT_THAT(fleet_[0].log(), testing::Not(testing::HasSubstr("guardian: ")));
}

TEST_F(ProcessSurvival, AHealResumesAndTakesNoMore) {
  arm();
  zonequake::LoadRequest load;
  *load.mutable_run() = fleet_.run();
  zonequake::ProcessRequest wish;
  add(wish, zonequake::PAUSE, cgroup_.name())->set_at_mono_ns(to_ns(mono_now() + 200ms));
  *load.mutable_processes() = wish.actions();
  ASSERT_EQ(fleet_[0].load(load).code(), kOk);
  EXPECT_TRUE(wait_until([&] { return cgroup_.frozen(); }));
  zonequake::ProcessRequest query;
  *query.mutable_run() = fleet_.run();
  EXPECT_TRUE(wait_until([&] { return control(query).reply.results(0).done_mono_ns() > 0; }));
  ASSERT_EQ(fleet_[0].heal(fleet_.run()).code(), kOk);
  EXPECT_TRUE(ticker_.runs_within(1s));
  EXPECT_EQ(control(zonequake::PAUSE).code(), kPrecondition);
  EXPECT_EQ(control(query).reply.results_size(), 2);
  const auto disarmed = fleet_[0].disarm(fleet_.run());
  EXPECT_EQ(disarmed.code(), kOk);
  EXPECT_EQ(disarmed.reply.other_changes_size(), 0);
  EXPECT_EQ(control(query).code(), kPrecondition);
}

TEST_F(ProcessSurvival, OnlyTheRunThatHoldsTheNodeAndNeverTheAgent) {
  zonequake::ProcessRequest early;
  add(early, zonequake::PAUSE, cgroup_.name());
  EXPECT_EQ(control(early).code(), kPrecondition) << "nobody has armed";
  arm();
  zonequake::ProcessRequest other = early;
  other.mutable_run()->set_run("another");
  EXPECT_EQ(control(other).code(), kPrecondition);
  zonequake::ProcessRequest old = early;
  old.mutable_run()->set_epoch(fleet_.run().epoch() - 1);
  EXPECT_EQ(control(old).code(), kPrecondition);
  zonequake::ProcessRequest both = early;
  both.mutable_actions(0)->set_unit("x.service");
  EXPECT_EQ(control(both).code(), kInvalid);

  const TestCgroup home;
  home.add(fleet_[0].process().pid(), "agent");
  for (const auto& name : {home.name(), "/" + home.name() + "//agent/"}) {
    zonequake::ProcessRequest request;
    add(request, zonequake::KILL, name);
    zonequake::LoadRequest load;
    *load.mutable_run() = fleet_.run();
    *load.mutable_processes() = request.actions();
    for (const auto& status : {control(request).status, fleet_[0].load(load).status}) {
      EXPECT_EQ(status.error_code(), kPrecondition);
      EXPECT_THAT(status.error_message(), testing::HasSubstr("holds the agent"));
    }
  }
  EXPECT_TRUE(ticker_.runs_within(1s));
  EXPECT_EQ(fleet_[0].describe().code(), kOk);
}

}  // namespace
}  // namespace zq::test
