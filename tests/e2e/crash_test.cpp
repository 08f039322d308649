// Whatever dies, stalls or interferes inside the fault: traffic flows again by itself, and the run
// says that it proves nothing.
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/e2e/bare_experiments.h"
#include "tests/e2e/zonequake.h"

namespace zq::e2e {
namespace {

using std::chrono::seconds;

bool ping(const Workspace& work, const std::string& node, const std::string& address) {
  return run_to_end({"/usr/bin/nsenter", "--net=/run/netns/" + work.netns(node), "/usr/bin/ping",
                     "-c", "1", "-W", "1", address},
                    seconds(5))
             .exit_code == 0;
}

// A run that is inside its fault.
struct Faulted {
  explicit Faulted(Workspace& work, const std::vector<std::string>& more = {})
      : run(work.run_command(work.file("e.toml", partition_experiment("60s")), more)) {
    in_fault = run.wait_for_output("partition for", seconds(60)) &&
               eventually(seconds(5), [&] { return !ping(work, "a1", "10.66.2.1"); });
  }
  Running run;
  bool in_fault = false;
};

class Crash : public ::testing::Test {
 protected:
  Workspace work{"bare-3x2.toml"};
};

TEST_F(Crash, KilledAgentHealsByItselfAndTheRunIsInvalid) {
  Faulted faulted(work, {"--keep"});
  ASSERT_TRUE(faulted.in_fault) << faulted.run.output();
  const pid_t agent = work.agent_pid("b1");
  ASSERT_GT(agent, 0);
  ::kill(agent, SIGKILL);
  // Lease 3 s, and 2 s of the controller noticing.
  EXPECT_TRUE(eventually(seconds(5), [&] { return ping(work, "a1", "10.66.2.1"); }));
  const auto done = faulted.run.wait(seconds(60));
  EXPECT_EQ(done.exit_code, 2) << done.out << done.err;
  const RunRecord run = value_of(work.store().run(1));
  EXPECT_EQ(run.verdict, RunVerdict::kInvalid);
  EXPECT_NE(run.reason.find("b1"), std::string::npos) << run.reason;
}

TEST_F(Crash, StalledAgentNeverRevivesItsLease) {
  Faulted faulted(work, {"--keep"});
  ASSERT_TRUE(faulted.in_fault) << faulted.run.output();
  const pid_t agent = work.agent_pid("b1");
  ASSERT_GT(agent, 0);
  ::kill(agent, SIGSTOP);
  EXPECT_TRUE(eventually(seconds(6), [&] { return ping(work, "a1", "10.66.2.1"); }));
  ::kill(agent, SIGCONT);
  // What had lapsed stays so: no ping is lost from here on.
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(ping(work, "a1", "10.66.2.1")) << "ping " << i;
  const auto done = faulted.run.wait(seconds(60));
  EXPECT_EQ(done.exit_code, 2) << done.out << done.err;
  EXPECT_EQ(value_of(work.store().run(1)).verdict, RunVerdict::kInvalid);
}

TEST_F(Crash, KilledControllerLeavesNodesThatHealAndTheNextStartSaysSo) {
  Faulted faulted(work, {"--lease", "2s", "--orphan", "4s"});
  ASSERT_TRUE(faulted.in_fault) << faulted.run.output();
  faulted.run.signal(SIGKILL);
  // Lease + orphan time, and a moment for ping.
  EXPECT_TRUE(eventually(seconds(8), [&] { return ping(work, "a1", "10.66.2.1"); }));
  const auto runs = run_to_end({zonequake(), "runs", "--db", work.db()}, seconds(10));
  EXPECT_NE((runs.out + runs.err).find("interrupted"), std::string::npos) << runs.out << runs.err;
  EXPECT_EQ(value_of(work.store().run(1)).verdict, RunVerdict::kInterrupted);
  // The gates go by themselves too, not only their effect.
  const auto gates = [&] {
    return run_to_end({"/usr/bin/nsenter", "--net=/run/netns/" + work.netns("b1"), "/sbin/tc",
                       "qdisc", "show"},
                      seconds(5))
        .out;
  };
  EXPECT_TRUE(eventually(seconds(10), [&] { return gates().find("clsact") == std::string::npos; }))
      << gates();
}

TEST_F(Crash, CtrlCHealsDisarmsAndRecordsAborted) {
  Faulted faulted(work);
  ASSERT_TRUE(faulted.in_fault) << faulted.run.output();
  faulted.run.signal(SIGINT);
  const auto done = faulted.run.wait(seconds(60));
  EXPECT_EQ(done.exit_code, 3) << done.out << done.err;
  EXPECT_EQ(value_of(work.store().run(1)).verdict, RunVerdict::kAborted);
  for (const NodeRecord& node : value_of(work.store().nodes(1))) {
    EXPECT_EQ(node.dump_before, node.dump_after) << node.name;
  }
  EXPECT_TRUE(work.leftovers().empty()) << work.leftovers().front();
}

TEST_F(Crash, CtrlCWhileTheTestbedComesUpLeavesNothing) {
  Running run(work.run_command(work.file("e.toml", partition_experiment("5s"))));
  ASSERT_TRUE(eventually(seconds(20), [&] { return !run.output().empty(); }));
  run.signal(SIGINT);
  EXPECT_EQ(run.wait(seconds(60)).exit_code, 3);
  EXPECT_TRUE(work.leftovers().empty()) << work.leftovers().front();
}

}  // namespace
}  // namespace zq::e2e
