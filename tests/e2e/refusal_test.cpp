// What must be refused before anything is touched, and what must make a run invalid.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/e2e/bare_experiments.h"
#include "tests/e2e/zonequake.h"

namespace zq::e2e {
namespace {

using std::chrono::seconds;

// A classifier of "somebody else" at the gate's own priority: what BPF loaders like Cilium's do.
Finished tc_in(const Workspace& work, const std::string& node, std::vector<std::string> arguments) {
  std::vector<std::string> argv{"/usr/bin/nsenter", "--net=/run/netns/" + work.netns(node),
                                "/sbin/tc"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return run_to_end(argv, seconds(10));
}

std::string uplink_of(const Workspace& work, const std::string& node) {
  const auto route = run_to_end({"/usr/bin/nsenter", "--net=/run/netns/" + work.netns(node),
                                 "/sbin/ip", "-o", "route", "show", "default"},
                                seconds(10));
  const std::size_t at = route.out.find("dev ");
  return route.out.substr(at + 4, route.out.find(' ', at + 4) - at - 4);
}

std::vector<std::string> foreign_filter(const std::string& device) {
  return {"filter", "add", "dev",    device,     "ingress",
          "pref",   "1",   "handle", "0x5",      "protocol",
          "all",    "bpf", "da",     "bytecode", "1,6 0 0 4294967295"};
}

TEST(Refusal, ForeignFilterAheadIsNamedBeforeTheRun) {
  Workspace work("bare-3x2.toml");
  ASSERT_EQ(
      run_to_end({zonequake(), "testbed", "up", "--cluster", work.cluster_file()}, seconds(60))
          .exit_code,
      0);
  const std::string device = uplink_of(work, "b1");
  ASSERT_EQ(tc_in(work, "b1", {"qdisc", "add", "dev", device, "clsact"}).exit_code, 0);
  const auto added = tc_in(work, "b1", foreign_filter(device));
  ASSERT_EQ(added.exit_code, 0) << added.err;
  const auto before = tc_in(work, "b1", {"filter", "show", "dev", device, "ingress"}).out;
  const auto done = run_to_end({zonequake(), "run", work.file("e.toml", partition_experiment("5s")),
                                "--cluster", work.cluster_file(), "--db", work.db()},
                               seconds(60));
  EXPECT_EQ(done.exit_code, 2) << done.out << done.err;
  const RunRecord run = value_of(work.store().run(1));
  EXPECT_EQ(run.verdict, RunVerdict::kInvalid);
  EXPECT_NE(run.reason.find(device), std::string::npos) << run.reason;
  EXPECT_NE(run.reason.find("ahead"), std::string::npos) << run.reason;
  EXPECT_EQ(tc_in(work, "b1", {"filter", "show", "dev", device, "ingress"}).out, before);
}

TEST(Refusal, ForeignFilterThatAppearsDuringTheRunMakesItInvalid) {
  Workspace work("bare-3x2.toml");
  Running run(work.run_command(work.file("e.toml", partition_experiment("30s")), {"--keep"}));
  ASSERT_TRUE(run.wait_for_output("partition for", seconds(60))) << run.output();
  const auto added = tc_in(work, "b1", foreign_filter(uplink_of(work, "b1")));
  ASSERT_EQ(added.exit_code, 0) << added.err;
  const auto done = run.wait(seconds(25));  // healed long before the phase's end
  EXPECT_EQ(done.exit_code, 2) << done.out << done.err;
  EXPECT_EQ(value_of(work.store().run(1)).verdict, RunVerdict::kInvalid);
}

TEST(Refusal, WrongAddressesInTheClusterFileAreInvalidNeverPassed) {
  Workspace work("bare-3x2.toml");
  ASSERT_EQ(
      run_to_end({zonequake(), "testbed", "up", "--cluster", work.cluster_file()}, seconds(60))
          .exit_code,
      0);
  // The same testbed, described wrongly: b's nodes claim addresses that nobody has.
  std::string text;
  {
    const auto original = run_to_end({"/bin/cat", work.cluster_file()}, seconds(5));
    text = original.out;
  }
  for (std::size_t at = text.find("10.66.2."); at != std::string::npos;
       at = text.find("10.66.2.", at + 1)) {
    text.replace(at, 8, "10.66.9.");
  }
  const auto done = run_to_end({zonequake(), "run", work.file("e.toml", partition_experiment("5s")),
                                "--cluster", work.file("wrong.toml", text), "--db", work.db()},
                               seconds(90));
  EXPECT_EQ(done.exit_code, 2) << done.out << done.err;
  EXPECT_EQ(value_of(work.store().run(1)).verdict, RunVerdict::kInvalid);
}

// Some experiments are wrong only together with a certain cluster, which their second line names.
std::string cluster_for(const std::string& path, const Workspace& work) {
  std::ifstream file(path);
  const std::string marker = "# cluster ";
  for (std::string line; std::getline(file, line) && line.starts_with('#');) {
    if (line.starts_with(marker)) {
      return source_dir() + "/tests/unit/experiments/" + line.substr(marker.size());
    }
  }
  return work.cluster_file();
}

TEST(Refusal, EveryBadFileExits64BeforeAnythingIsTouched) {
  Workspace work("bare-3x2.toml");
  const std::string good = work.file("good.toml", partition_experiment("5s"));
  int cases = 0;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(source_dir() + "/tests/bad_input")) {
    if (entry.path().extension() != ".toml") continue;
    const bool cluster = entry.path().parent_path().filename() == "cluster";
    const std::string path = entry.path().string();
    const auto done =
        run_to_end({zonequake(), "run", cluster ? good : path, "--cluster",
                    cluster ? path : cluster_for(path, work), "--db", work.db(), "--testbed"},
                   seconds(20));
    EXPECT_EQ(done.exit_code, 64) << path << "\n" << done.out << done.err;
    EXPECT_NE(done.err.find(path + ":"), std::string::npos) << path << "\n" << done.err;
    ++cases;
  }
  EXPECT_GE(cases, 40);
  EXPECT_FALSE(std::filesystem::exists(work.db()));
  EXPECT_TRUE(work.leftovers().empty());
}

TEST(Refusal, LimitsAreKept) {
  Workspace work("bare-3x2.toml");
  std::string text = partition_experiment("5s");
  text.replace(text.find("max_zones_cut = 1"), 17, "max_zones_cut = 0");
  const auto done =
      run_to_end({zonequake(), "plan", work.file("e.toml", text), "--cluster", work.cluster_file()},
                 seconds(10));
  EXPECT_EQ(done.exit_code, 64) << done.out << done.err;
  EXPECT_NE(done.err.find("max_zones_cut"), std::string::npos) << done.err;
}

}  // namespace
}  // namespace zq::e2e
