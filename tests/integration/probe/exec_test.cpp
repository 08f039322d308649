#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>

#include "tests/integration/probe/harness.h"

namespace zq::probe_test {
namespace {

constexpr Nanos kSlack = 300ms;

zonequake::Probe exec_probe(const std::vector<std::string>& argv, std::uint32_t timeout_ms = 3000) {
  zonequake::Probe probe = make_probe("exec", 60'000, timeout_ms);
  for (const std::string& word : argv) probe.mutable_exec()->add_argv(word);
  return probe;
}

bool is_gone(pid_t pid) {
  const MonoTime deadline = mono_now() + 5s;
  while (mono_now() < deadline) {
    std::ifstream stat(fmt::format("/proc/{}/stat", pid));
    std::string id;
    std::string name;
    std::string state;
    if (!(stat >> id >> name >> state) || state == "Z") return true;
    std::this_thread::sleep_for(5ms);
  }
  return false;
}

pid_t read_pid(const std::filesystem::path& file) {
  const MonoTime deadline = mono_now() + 5s;
  pid_t pid = 0;
  while (mono_now() < deadline && !(std::ifstream(file) >> pid)) std::this_thread::sleep_for(5ms);
  return pid;
}

TEST(ExecProbe, OutputIsTheBodyExitCodeTheStatus) {
  const Observation result =
      first_result(exec_probe({"sh", "-c", "echo out; echo complaint >&2; exit 3"}));
  EXPECT_EQ(result.outcome(), Observation::ANSWER) << result.error();
  EXPECT_EQ(result.status(), 3);
  EXPECT_EQ(result.body(), "out\n");
  EXPECT_EQ(result.error(), "complaint\n");
}

TEST(ExecProbe, NoShellTouchesTheArguments) {
  const Observation result = first_result(exec_probe({"/bin/echo", "$HOME; *", ""}));
  EXPECT_EQ(result.body(), "$HOME; * \n");
  EXPECT_EQ(result.status(), 0);
  EXPECT_EQ(result.error(), "");
}

TEST(ExecProbe, DeathBySignalIsToldApart) {
  const Observation result = first_result(exec_probe({"sh", "-c", "kill -TERM $$"}));
  EXPECT_EQ(result.outcome(), Observation::ANSWER);
  EXPECT_EQ(result.status(), 128 + SIGTERM);
  EXPECT_EQ(result.error(), "killed by signal 15");
}

TEST(ExecProbe, MissingCommandIsFailed) {
  const Observation result = first_result(exec_probe({"/no/such/command"}));
  EXPECT_EQ(result.outcome(), Observation::FAILED);
  EXPECT_EQ(result.error(), "cannot run /no/such/command: No such file or directory");
  EXPECT_EQ(first_result(exec_probe({})).outcome(), Observation::FAILED);
}

TEST(ExecProbe, OutputOfAMebibytePassesMoreFails) {
  const Observation fits = first_result(exec_probe({"head", "-c", "1048576", "/dev/zero"}));
  EXPECT_EQ(fits.outcome(), Observation::ANSWER) << fits.error();
  EXPECT_EQ(fits.body().size(), 1048576U);
  const Observation result = first_result(exec_probe({"cat", "/dev/zero"}));
  EXPECT_EQ(result.outcome(), Observation::FAILED);
  EXPECT_EQ(result.error(), "the output is larger than 1 MiB");
}

TEST(ExecProbe, TimeOutKillsTheWholeGroup) {
  const TempDir dir;
  const std::string script = fmt::format(
      "sleep 1000 & echo $! > {0}/child; echo $$ > {0}/shell; wait", dir.path().string());
  Collector collector;
  ProbeEngine engine(collector.sink());
  engine.set_probes(make_set({exec_probe({"sh", "-c", script}, 500)}));
  const auto result = collector.wait("exec");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->outcome(), Observation::TIMED_OUT);
  EXPECT_LT(Nanos(result->took_ns()), 500ms + kSlack);
  EXPECT_TRUE(is_gone(read_pid(dir.path() / "child")));
  EXPECT_TRUE(is_gone(read_pid(dir.path() / "shell")));
}

TEST(ExecProbe, EndlessComplaintsDoNotStopOtherProbes) {
  Collector collector;
  ProbeEngine engine(collector.sink());
  zonequake::Probe other = make_probe("other", 20);
  other.mutable_exec()->add_argv("true");
  engine.set_probes(make_set({exec_probe({"sh", "-c", "exec yes >&2"}, 500), other}));
  const auto result = collector.wait("exec");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->outcome(), Observation::TIMED_OUT);
  EXPECT_LT(Nanos(result->took_ns()), 500ms + kSlack);
  EXPECT_GE(collector.all("other").size(), 3U);
}

TEST(ExecProbe, BackgroundProcessNeitherDelaysNorOutlivesTheResult) {
  const TempDir dir;
  const std::string script =
      fmt::format("sleep 1000 & echo $! > {}/child; echo done", dir.path().string());
  const Observation result = first_result(exec_probe({"sh", "-c", script}));
  EXPECT_EQ(result.outcome(), Observation::ANSWER) << result.error();
  EXPECT_EQ(result.body(), "done\n");
  EXPECT_TRUE(is_gone(read_pid(dir.path() / "child")));
}

TEST(ExecProbe, StopKillsWhatRuns) {
  const TempDir dir;
  const std::string script =
      fmt::format("echo $$ > {}/shell; exec sleep 1000", dir.path().string());
  pid_t pid = 0;
  {
    Collector collector;
    ProbeEngine engine(collector.sink());
    engine.set_probes(make_set({exec_probe({"sh", "-c", script}, 60'000)}));
    pid = read_pid(dir.path() / "shell");
    ASSERT_GT(pid, 0);
  }
  EXPECT_TRUE(is_gone(pid));
}

TEST(ExecProbe, ChildHasNoSignalsBlockedAndNoForeignDescriptors) {
  ::signal(SIGPIPE, SIG_IGN);  // as a daemon would
  const Observation result = first_result(
      exec_probe({"sh", "-c", "grep SigBlk /proc/self/status; ls /proc/self/fd | wc -l"}));
  const Observation broken_pipe = first_result(exec_probe({"sh", "-c", "kill -PIPE $$"}));
  ::signal(SIGPIPE, SIG_DFL);
  EXPECT_EQ(result.body(), "SigBlk:\t0000000000000000\n4\n");  // 0, 1, 2 and ls's own
  EXPECT_EQ(broken_pipe.status(), 128 + SIGPIPE);
}

}  // namespace
}  // namespace zq::probe_test
