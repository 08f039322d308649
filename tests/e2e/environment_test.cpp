// Faults in a cluster whose zones are apart to begin with, and a cluster that stops being so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>

#include "tests/e2e/bare_experiments.h"
#include "tests/e2e/zonequake.h"

namespace zq::e2e {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;

bool joins(const PathRecord& path, char a, char b) {
  return (path.from.front() == a && path.to.front() == b) ||
         (path.from.front() == b && path.to.front() == a);
}

TEST(Environment, AddsToWhatAFaultDoes) {
  Workspace work("bare-3-zones.toml");
  const std::string experiment = source_dir() + "/experiments/examples/latency.toml";
  const auto done = run_to_end(work.run_command(experiment), seconds(120));
  ASSERT_EQ(done.exit_code, 0) << done.out << done.err;
  EXPECT_THAT(done.out, HasSubstr("environment: a <-> b: delay 5ms, rate 1Gbit/s"));
  const Store store = work.store();
  // Links of 5 ms one way everywhere, and 50 ms by the fault between a and b.
  int impaired = 0;
  for (const PathRecord& path : value_of(store.paths(1))) {
    const bool inside = path.from.front() == path.to.front();
    const bool faulty = path.stage == "during:far" && joins(path, 'a', 'b');
    const double expected_ms = inside ? 0 : faulty ? 110 : 10;
    EXPECT_NEAR(static_cast<double>(path.rtt_p50_ns) / 1e6, expected_ms, 8)
        << path.stage << " " << path.from << " to " << path.to;
    impaired += faulty ? 1 : 0;
  }
  EXPECT_GT(impaired, 0);
  EXPECT_TRUE(work.leftovers().empty()) << work.leftovers().front();
}

TEST(Environment, WithPacketsOnTheirWayForLongLeavesThemOutOfAPartition) {
  Workspace work("bare-2-regions.toml");
  const auto done =
      run_to_end(work.run_command(work.file("e.toml", partition_experiment("6s"))), seconds(120));
  ASSERT_EQ(done.exit_code, 0) << done.out << done.err;
  for (const PathRecord& path : value_of(work.store().paths(1))) {
    if (!path.expected_cut) continue;
    EXPECT_EQ(path.received, 0U) << path.from << " to " << path.to;
  }
}

TEST(Environment, EndsARunWhenItDies) {
  Workspace work("bare-3-zones.toml");
  Running run(work.run_command(work.file("e.toml", partition_experiment("20s")), {"--keep"}));
  ASSERT_TRUE(run.wait_for_output("partition", seconds(60))) << run.output();
  pid_t pid = 0;
  std::ifstream(work.node_dir("core") + "/environment.pid") >> pid;
  ASSERT_GT(pid, 0);
  ASSERT_EQ(::kill(pid, SIGKILL), 0);
  const Finished done = run.wait(seconds(60));
  EXPECT_EQ(done.exit_code, 2) << done.out << done.err;
  const RunRecord record = value_of(work.store().run(1));
  EXPECT_EQ(record.verdict, RunVerdict::kInvalid);
  EXPECT_THAT(record.reason, HasSubstr("the environment of the testbed"));

  const auto status =
      run_to_end({zonequake(), "testbed", "status", "-c", work.cluster_file()}, seconds(20));
  EXPECT_EQ(status.exit_code, 1);
  EXPECT_THAT(status.out, HasSubstr("environment: a <-> b"));
  EXPECT_THAT(status.out, HasSubstr("dead"));
  auto again = work.run_command(work.file("e.toml", partition_experiment("20s")));
  std::erase(again, "--testbed");
  const auto refused = run_to_end(again, seconds(20));
  EXPECT_NE(refused.exit_code, 0);
  EXPECT_THAT(refused.err, HasSubstr("zonequake testbed down"));
}

}  // namespace
}  // namespace zq::e2e
