// The other tests rely on leftovers() to see what stays behind; here something does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/e2e/bare_experiments.h"
#include "tests/e2e/zonequake.h"

namespace zq::e2e {
namespace {

using std::chrono::seconds;
using testing::Contains;
using testing::StartsWith;

TEST(Leftovers, AreSeenWhereControllerAndAgentWereKilled) {
  Workspace work("bare-3x2.toml");
  Running run(work.run_command(work.file("e.toml", partition_experiment("30s"))));
  ASSERT_TRUE(run.wait_for_output("partition for", seconds(60))) << run.output();
  const pid_t agent = work.agent_pid("b1");
  ASSERT_GT(agent, 0);
  run.signal(SIGKILL);
  ::kill(agent, SIGKILL);
  const auto found = work.leftovers();
  EXPECT_THAT(found, Contains(StartsWith("BPF program ")));  // b1's gate, which nobody holds
  EXPECT_THAT(found, Contains(StartsWith("cgroup ")));
  EXPECT_THAT(found, Contains(StartsWith("process ")));
  EXPECT_THAT(found, Contains("/run/netns/" + work.netns("b1")));

  const auto down =
      run_to_end({zonequake(), "testbed", "down", "--name", work.name()}, seconds(60));
  EXPECT_EQ(down.exit_code, 0) << down.out << down.err;
  EXPECT_TRUE(work.leftovers().empty()) << work.leftovers().front();
}

}  // namespace
}  // namespace zq::e2e
