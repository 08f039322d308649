// Process faults on cgroups: what is done, when, and to whom never.
#include "agent/process_control.h"
#include "tests/integration/agent/agent_fixture.h"
#include "tests/integration/agent/process_fixture.h"

namespace zq::test {
namespace {

ProcessAction on(const TestCgroup& cgroup, ProcessVerb verb, MonoTime at = {}) {
  return {verb, "", cgroup.name(), at};
}

class ProcessFaults : public testing::Test {
 protected:
  [[nodiscard]] bool all_done() const {
    for (const auto& result : control_.results()) {
      if (result.done == MonoTime{}) return false;
    }
    return true;
  }
  [[nodiscard]] ProcessResult result(std::size_t index) const {
    return control_.results().at(index);
  }

  TempDir dir_;
  TestCgroup cgroup_;
  Ticker ticker_;
  ProcessControl control_{dir_.path(), kAgent};
};

TEST_F(ProcessFaults, PausesAndResumesAtItsInstants) {
  Ticker below;
  cgroup_.add(ticker_.process().pid());
  cgroup_.add(below.process().pid(), "child");
  const MonoTime from = mono_now() + 150ms;
  const MonoTime until = from + 400ms;
  check(control_.schedule(
      {on(cgroup_, ProcessVerb::kPause, from), on(cgroup_, ProcessVerb::kResume, until)}));
  EXPECT_TRUE(ticker_.runs_within(100ms));
  EXPECT_FALSE(cgroup_.frozen());
  std::this_thread::sleep_until(from + 100ms);
  EXPECT_TRUE(cgroup_.frozen());
  const auto ticks = ticker_.ticks() + below.ticks();
  std::this_thread::sleep_until(until - 50ms);
  EXPECT_EQ(ticker_.ticks() + below.ticks(), ticks) << "both stand still";
  ASSERT_TRUE(wait_until([&] { return all_done(); }));
  EXPECT_TRUE(ticker_.runs_within(1s));
  EXPECT_TRUE(below.runs_within(1s));
  for (const std::size_t i : {0U, 1U}) {
    const auto done = result(i);
    EXPECT_EQ(done.error, "");
    EXPECT_GE(done.processes, 2U);
    const Nanos late = done.began - done.action.at;
    fmt::print("{} us late, done {} us after\n", late / 1us, (done.done - done.began) / 1us);
    EXPECT_GE(late, 0ns);
    EXPECT_LT(late, 20ms) << "about 0.1 ms where nothing else runs";
  }
}

TEST_F(ProcessFaults, MeetsInstantsWhileTheMachineIsBusy) {
  cgroup_.add(ticker_.process().pid());
  std::vector<std::jthread> busy;
  for (int i = 0; i < 6; ++i) {
    busy.emplace_back([](const std::stop_token& stop) {
      volatile std::uint64_t work = 0;
      while (!stop.stop_requested()) work = work + 1;
    });
  }
  std::vector<ProcessAction> actions;
  const MonoTime from = mono_now() + 1s;  // journal and guardian take their time here
  for (int i = 0; i < 20; ++i) {
    actions.push_back(
        on(cgroup_, i % 2 == 0 ? ProcessVerb::kPause : ProcessVerb::kResume, from + i * 30ms));
  }
  check(control_.schedule(actions));
  ASSERT_TRUE(wait_until([&] { return all_done(); }, 10s));
  std::vector<Nanos> late;
  for (const auto& result : control_.results()) {
    // A pause may be over before the last process has got round to standing still.
    late.push_back(result.began - result.action.at);
  }
  std::sort(late.begin(), late.end());
  fmt::print("late: median {} us, worst {} us\n", late[late.size() / 2] / 1us, late.back() / 1us);
  EXPECT_GE(late.front(), 0ns);
  EXPECT_LT(late[late.size() / 2], 2ms);
}

TEST_F(ProcessFaults, KillsWhateverTheyForked) {
  Ticker forks("(while :; do sleep 0.001; done) & (while :; do sleep 0.001; done) & ");
  cgroup_.add(ticker_.process().pid());
  cgroup_.add(forks.process().pid(), "child");
  ASSERT_TRUE(wait_until([&] { return cgroup_.processes() >= 2; }));
  check(control_.act({on(cgroup_, ProcessVerb::kKill)}, 5s));
  const auto done = result(0);
  EXPECT_EQ(done.error, "");
  EXPECT_GE(done.processes, 2U);
  EXPECT_LT(done.done - done.began, 1s);
  EXPECT_EQ(ticker_.process().wait(), 128 + SIGKILL);
  EXPECT_EQ(forks.process().wait(), 128 + SIGKILL);
}

TEST_F(ProcessFaults, KillsWhatIsPaused) {
  cgroup_.add(ticker_.process().pid());
  check(control_.act({on(cgroup_, ProcessVerb::kPause), on(cgroup_, ProcessVerb::kKill)}, 5s));
  EXPECT_EQ(ticker_.process().wait(), 128 + SIGKILL);
  check(control_.undo());
  EXPECT_NE(cgroup_.read("cgroup.freeze"), "1\n");
}

TEST_F(ProcessFaults, StopsByTermSignal) {
  Ticker polite("trap 'echo bye; exit 3' TERM; ");
  cgroup_.add(polite.process().pid());
  EXPECT_TRUE(polite.runs_within(2s));
  check(control_.act({on(cgroup_, ProcessVerb::kStop)}, 5s));
  EXPECT_EQ(result(0).error, "");
  EXPECT_EQ(polite.process().wait(), 3);
  EXPECT_NE(polite.output().find("bye"), std::string::npos);
}

TEST_F(ProcessFaults, TheEndOfTheRunResumesAndDropsWhatHasNotBegun) {
  cgroup_.add(ticker_.process().pid());
  check(control_.schedule({on(cgroup_, ProcessVerb::kPause, mono_now() + 1h)}));
  check(control_.act({on(cgroup_, ProcessVerb::kPause)}, 5s));
  EXPECT_TRUE(cgroup_.frozen());
  EXPECT_TRUE(std::filesystem::exists(dir_.path() + "/process.journal"));
  check(control_.undo());
  EXPECT_TRUE(ticker_.runs_within(1s));
  EXPECT_FALSE(std::filesystem::exists(dir_.path() + "/process.journal"));
  const auto results = control_.results();
  ASSERT_EQ(results.size(), 3U);
  EXPECT_THAT(results[0].error, testing::HasSubstr("the run ended first"));
  EXPECT_EQ(results[1].error, "");
  EXPECT_EQ(results[2].action.verb, ProcessVerb::kResume) << "what the undoing did is told";
  EXPECT_FALSE(control_.act({on(cgroup_, ProcessVerb::kPause)}, 1s));
  check(control_.undo());
}

TEST_F(ProcessFaults, ANewScheduleReplacesWhatHasNotBegunAndRepeatsNothing) {
  cgroup_.add(ticker_.process().pid());
  const auto pause = on(cgroup_, ProcessVerb::kPause, mono_now());
  check(control_.schedule({pause, on(cgroup_, ProcessVerb::kKill, mono_now() + 1h)}));
  ASSERT_TRUE(wait_until([&] { return result(0).done != MonoTime{}; }));
  const auto resume = on(cgroup_, ProcessVerb::kResume, mono_now());
  check(control_.schedule({pause, resume}));
  ASSERT_TRUE(wait_until([&] { return all_done(); }));
  ASSERT_EQ(control_.results().size(), 2U);
  EXPECT_EQ(result(1).action, resume);
  EXPECT_TRUE(ticker_.runs_within(1s));
}

TEST_F(ProcessFaults, RefusesWhatItMustNotTouch) {
  const auto refusal = [&](const ProcessAction& action) {
    return error_of(control_.schedule({action}));
  };
  const auto of_cgroup = [&](const std::string& name) {
    return refusal({ProcessVerb::kPause, "", name, {}});
  };
  for (const std::string root : {"/", "//"}) {
    EXPECT_THAT(of_cgroup(root), testing::HasSubstr("the root holds every process"));
  }
  for (const std::string odd : {"..", "../x", "./x"}) {
    EXPECT_THAT(of_cgroup(cgroup_.name() + "/" + odd), testing::HasSubstr("no part of a cgroup"));
  }
  EXPECT_THAT(of_cgroup(cgroup_.name() + "/none"), testing::HasSubstr("there is no cgroup"));
  EXPECT_THAT(refusal(on(cgroup_, ProcessVerb::kStart)),
              testing::HasSubstr("only systemd's units"));
  cgroup_.add(ticker_.process().pid());
  cgroup_.write("cgroup.freeze", "1");
  for (const auto verb : {ProcessVerb::kPause, ProcessVerb::kResume}) {
    EXPECT_THAT(refusal(on(cgroup_, verb)), testing::HasSubstr("frozen already"));
  }
  EXPECT_TRUE(control_.results().empty());
  EXPECT_FALSE(std::filesystem::exists(dir_.path() + "/process.journal"));
}

TEST_F(ProcessFaults, AnEmptyCgroupIsNoSuccess) {
  check(control_.act({on(cgroup_, ProcessVerb::kKill)}, 5s));
  EXPECT_THAT(result(0).error, testing::HasSubstr("there is no process"));
}

}  // namespace
}  // namespace zq::test
