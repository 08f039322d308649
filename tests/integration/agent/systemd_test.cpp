// Process faults on units, against a real systemd.
#include "agent/process_control.h"
#include "tests/integration/agent/agent_fixture.h"
#include "tests/integration/agent/systemd_fixture.h"

namespace zq::test {
namespace {

const std::string kUnit = "sleeper.service";

class UnitFaults : public testing::Test {
 protected:
  UnitFaults() {
    check(systemd_.units().start(kUnit));
    EXPECT_TRUE(becomes("active"));
  }
  [[nodiscard]] UnitState state() { return value_of(systemd_.units().state(kUnit)); }
  [[nodiscard]] bool becomes(const std::string& active) {
    return wait_until([&] {
      const auto now = state();
      return now.active == active && !now.job;
    });
  }
  [[nodiscard]] ProcessCgroup cgroup() { return value_of(ProcessCgroup::find(state().cgroup)); }
  ProcessResult act(ProcessVerb verb) {
    check(control_.act({{verb, kUnit, "", {}}}, 10s));
    return control_.results().back();
  }

  PrivateSystemd systemd_{kUnit};
  TempDir dir_;
  ProcessControl control_{dir_.path(), kAgent};
};

TEST_F(UnitFaults, AreStoppedAndStartedAgainWhenTheRunEnds) {
  const auto stopped = act(ProcessVerb::kStop);
  EXPECT_EQ(stopped.error, "");
  EXPECT_EQ(stopped.processes, 1U);
  EXPECT_EQ(state().active, "inactive");
  check(control_.undo());
  EXPECT_TRUE(becomes("active"));
  EXPECT_EQ(control_.results().back().action.verb, ProcessVerb::kStart);
}

TEST_F(UnitFaults, AreKilledAtAnInstantAndStartedAgainWhenTheRunEnds) {
  const MonoTime at = mono_now() + 300ms;
  check(control_.schedule({{ProcessVerb::kKill, kUnit, "", at}}));
  ASSERT_TRUE(wait_until([&] { return control_.results()[0].done != MonoTime{}; }));
  const auto killed = control_.results()[0];
  EXPECT_EQ(killed.error, "");
  EXPECT_EQ(killed.processes, 1U);
  EXPECT_GE(killed.began, at);
  EXPECT_TRUE(becomes("failed"));
  check(control_.undo());
  EXPECT_TRUE(becomes("active"));
}

TEST_F(UnitFaults, ArePausedResumedAndRestarted) {
  const auto before = cgroup().processes();
  EXPECT_EQ(act(ProcessVerb::kPause).error, "");
  EXPECT_TRUE(cgroup().frozen());
  EXPECT_EQ(state().active, "active") << "systemd does not know";
  EXPECT_EQ(act(ProcessVerb::kResume).error, "");
  EXPECT_FALSE(cgroup().frozen());
  EXPECT_EQ(cgroup().processes(), before);
  EXPECT_EQ(act(ProcessVerb::kRestart).error, "");
  EXPECT_TRUE(becomes("active"));
  EXPECT_NE(cgroup().processes(), before);
}

TEST_F(UnitFaults, WhatDidNotRunBeforeIsNotStartedAtTheEnd) {
  check(systemd_.units().stop(kUnit));
  EXPECT_TRUE(becomes("inactive"));
  EXPECT_EQ(act(ProcessVerb::kStart).error, "");
  EXPECT_EQ(state().active, "active");
  EXPECT_EQ(act(ProcessVerb::kStop).error, "");
  check(control_.undo());
  EXPECT_EQ(state().active, "inactive");
  EXPECT_FALSE(state().job);
}

TEST_F(UnitFaults, RefusesWhatIsNoUnitOfThisNode) {
  const auto refusal = [&](const std::string& unit) {
    return error_of(control_.schedule({{ProcessVerb::kStop, unit, "", {}}}));
  };
  for (const std::string odd : {"sleeper", "poweroff.target", "*.service", "a b.service"}) {
    EXPECT_THAT(refusal(odd), testing::HasSubstr("full name of a systemd unit")) << odd;
  }
  EXPECT_THAT(refusal("nothing.service"), testing::HasSubstr("not-found"));
  check(systemd_.units().stop(kUnit));
  EXPECT_TRUE(becomes("inactive"));
  EXPECT_THAT(error_of(control_.schedule({{ProcessVerb::kKill, kUnit, "", {}}})),
              testing::HasSubstr("has no processes"));
}

TEST_F(UnitFaults, TheGuardianStartsThemWhenTheAgentIsKilledAndTheAgentsOwnUnitIsRefused) {
  Fleet fleet(2);
  fleet.arm({.lease = 600ms, .orphan = 30s});
  EXPECT_THAT(fleet[0].describe().reply.capabilities().rbegin()->text(),
              testing::HasSubstr("systemd 2"));
  zonequake::ProcessRequest request;
  *request.mutable_run() = fleet.run();
  auto* const action = request.add_actions();
  action->set_verb(zonequake::STOP);
  action->set_unit(kUnit);
  const auto control = &zonequake::Agent::Stub::ControlProcesses;

  const auto other = fleet[1].process().pid();
  const std::string procs = value_of(cgroup2_mount()) + state().cgroup + "/cgroup.procs";
  std::ofstream(procs) << other;
  const auto refused = fleet[1].call(control, request);
  EXPECT_EQ(refused.code(), kPrecondition);
  EXPECT_THAT(refused.status.error_message(), testing::HasSubstr("holds the agent"));
  std::ofstream(value_of(cgroup2_mount()) + "/cgroup.procs") << other;

  const auto stopped = fleet[0].call(control, request);
  ASSERT_EQ(stopped.code(), kOk) << stopped.status.error_message();
  EXPECT_EQ(stopped.reply.results(0).error(), "");
  EXPECT_EQ(state().active, "inactive");
  fleet[0].process().signal(SIGKILL);
  EXPECT_TRUE(becomes("active"));
}

}  // namespace
}  // namespace zq::test
