// The commands around a run, as people and programs use them.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/e2e/bare_experiments.h"
#include "tests/e2e/zonequake.h"

namespace zq::e2e {
namespace {

using nlohmann::json;
using std::chrono::seconds;

// Throws where the output is not one JSON document.
json parsed(const Finished& done) { return json::parse(done.out); }

std::string edited(std::string text, const std::string& what, const std::string& by) {
  const std::size_t at = text.find(what);
  if (at == std::string::npos) throw std::runtime_error("there is no " + what);
  return text.replace(at, what.size(), by);
}

// A command on the results of a workspace.
Finished on_results(const Workspace& work, std::vector<std::string> arguments) {
  std::vector<std::string> argv{zonequake()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  argv.insert(argv.end(), {"--db", work.db()});
  return run_to_end(argv, seconds(20));
}

std::vector<std::string> judged_events(const Workspace& work) {
  std::vector<std::string> texts;
  for (const EventRecord& event : value_of(work.store().events(1))) {
    if (event.kind == kJudgedEvent) texts.push_back(event.text);
  }
  return texts;
}

// One after another on one run, since a run takes its time.
TEST(Cli, WhatARunLeavesCanBeShownExportedAndJudgedAgain) {
  Workspace work("bare-3x2.toml");
  const std::string experiment = partition_experiment("5s");
  const auto done =
      run_to_end(work.run_command(work.file("e.toml", experiment), {"--json"}), seconds(90));
  ASSERT_EQ(done.exit_code, 0) << done.out << done.err;
  const json ran = parsed(done);
  EXPECT_EQ(ran.at("runs").at(0).at("run").at("verdict"), "passed");
  EXPECT_EQ(ran.at("db"), work.db());
  EXPECT_NE(done.err.find("partition"), std::string::npos)
      << "no progress for people: " << done.err;

  const auto shown = on_results(work, {"show", "last"});
  EXPECT_EQ(shown.exit_code, 0) << shown.err;
  EXPECT_NE(shown.out.find("Run 1: T1-C2, Zone b is cut off"), std::string::npos) << shown.out;
  EXPECT_NE(shown.out.find("first drops spread over"), std::string::npos) << shown.out;
  const json document = parsed(on_results(work, {"show", "1", "--json"}));
  EXPECT_EQ(document.at("run").at("id"), 1);
  EXPECT_EQ(document.at("verdicts").size(), 3U);
  const json runs = parsed(on_results(work, {"runs", "--json"}));
  ASSERT_EQ(runs.size(), 1U);
  EXPECT_EQ(runs.at(0).at("verdict"), "passed");
  const json exported = parsed(on_results(work, {"export", "1"}));
  EXPECT_EQ(exported.at("run").at("experiment_text"), experiment);
  const json& series = exported.at("series");
  EXPECT_TRUE(std::any_of(series.begin(), series.end(), [](const json& one) {
    return one.at("signal") == "net.reachable" && !one.at("segments").empty();
  }));

  const auto same = on_results(work, {"judge", "1"});
  EXPECT_EQ(same.exit_code, 0) << same.out << same.err;
  EXPECT_EQ(value_of(work.store().run(1)).verdict, RunVerdict::kPassed);
  ASSERT_EQ(judged_events(work).size(), 1U);
  EXPECT_NE(judged_events(work)[0].find(": passed -> passed"), std::string::npos);

  const std::string stricter =
      work.file("stricter.toml",
                edited(experiment, "{from!=cut, to!=cut}) == 1", "{from=cut, to!=cut}) == 1"));
  const auto refuted = on_results(work, {"judge", "1", "--experiment", stricter});
  EXPECT_EQ(refuted.exit_code, 1) << refuted.out << refuted.err;
  EXPECT_NE(refuted.out.find("judged again under"), std::string::npos) << refuted.out;
  EXPECT_EQ(value_of(work.store().run(1)).verdict, RunVerdict::kFailed);
  const auto events = judged_events(work);
  ASSERT_EQ(events.size(), 2U);
  EXPECT_NE(events[1].find(stricter + " (sha256 "), std::string::npos) << events[1];
  EXPECT_NE(events[1].find(": passed -> failed"), std::string::npos) << events[1];

  const auto back = on_results(work, {"judge", "last", "--json"});
  EXPECT_EQ(back.exit_code, 0) << back.err;
  EXPECT_EQ(parsed(back).at("run").at("verdict"), "passed");
  EXPECT_NE(judged_events(work).back().find(": failed -> passed"), std::string::npos);
  EXPECT_TRUE(work.leftovers().empty()) << work.leftovers().front();
}

TEST(Cli, WhatOnlyThePlanCanRefuseIsRefusedBeforeAnythingIsTouched) {
  Workspace work("bare-3x2.toml");
  const std::string text =
      edited(partition_experiment("5s"), "max_zones_cut = 1", "max_zones_cut = 0");
  const auto done = run_to_end(work.run_command(work.file("e.toml", text)), seconds(20));
  EXPECT_EQ(done.exit_code, 64) << done.out << done.err;
  EXPECT_NE(done.err.find("max_zones_cut"), std::string::npos) << done.err;
  EXPECT_FALSE(std::filesystem::exists(work.db()));
  EXPECT_TRUE(work.leftovers().empty()) << work.leftovers().front();
}

TEST(Cli, ATestbedThatCannotBeUsedIsSaidBeforeAFileIsMade) {
  Workspace work("bare-3x2.toml");
  const std::string experiment = work.file("e.toml", partition_experiment("5s"));
  const auto not_up = on_results(work, {"run", experiment, "--cluster", work.cluster_file()});
  EXPECT_EQ(not_up.exit_code, 64) << not_up.out << not_up.err;
  EXPECT_NE(not_up.err.find("is not up"), std::string::npos) << not_up.err;
  const auto no_agent =
      run_to_end(work.run_command(experiment, {"--agent", "/nonexistent/agent"}), seconds(20));
  EXPECT_EQ(no_agent.exit_code, 64) << no_agent.out << no_agent.err;
  EXPECT_NE(no_agent.err.find("/nonexistent/agent"), std::string::npos) << no_agent.err;
  EXPECT_FALSE(std::filesystem::exists(work.db()));
  EXPECT_TRUE(work.leftovers().empty()) << work.leftovers().front();
}

TEST(Cli, LookingAtResultsThatAreNotThereMakesNoFile) {
  Workspace work("bare-3x2.toml");
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
           {"runs"}, {"show", "last"}, {"export", "1"}, {"judge", "1"}}) {
    const auto done = on_results(work, command);
    EXPECT_EQ(done.exit_code, 64) << command[0] << done.out << done.err;
    EXPECT_NE(done.err.find("there is no results file"), std::string::npos) << done.err;
  }
  EXPECT_FALSE(std::filesystem::exists(work.db()));
}

TEST(Cli, TestbedComesUpIsSeenAndUsedAndGoes) {
  Workspace work("bare-3x2.toml");
  const auto testbed = [&](std::vector<std::string> arguments) {
    std::vector<std::string> argv{zonequake(), "testbed"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return run_to_end(argv, seconds(60));
  };
  const std::vector<std::string> cluster{"--cluster", work.cluster_file()};
  const auto with_cluster = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin() + 1, cluster.begin(), cluster.end());
    return testbed(std::move(arguments));
  };
  EXPECT_EQ(with_cluster({"status"}).exit_code, 64);
  const auto up = with_cluster({"up"});
  ASSERT_EQ(up.exit_code, 0) << up.out << up.err;
  EXPECT_EQ(with_cluster({"up"}).exit_code, 64) << "it is up already";

  const json status = parsed(with_cluster({"status", "--json"}));
  EXPECT_TRUE(status.at("all_alive"));
  EXPECT_EQ(status.at("processes").size(), 6U) << status;
  const json names = parsed(testbed({"status", "--json"})).at("testbeds");
  EXPECT_NE(std::find(names.begin(), names.end(), work.name()), names.end()) << names;

  const auto answered =
      with_cluster({"exec", "a1", "--", "/usr/bin/ping", "-c", "1", "-W", "2", "10.66.2.1"});
  EXPECT_EQ(answered.exit_code, 0) << answered.out << answered.err;
  EXPECT_EQ(with_cluster({"exec", "a1", "--", "/bin/sh", "-c", "exit 7"}).exit_code, 7);
  EXPECT_EQ(with_cluster({"exec", "z9", "--", "/bin/true"}).exit_code, 64);

  ::kill(work.agent_pid("a1"), SIGKILL);
  EXPECT_TRUE(eventually(seconds(5), [&] { return with_cluster({"status"}).exit_code == 1; }));
  const auto down = with_cluster({"down"});
  EXPECT_EQ(down.exit_code, 0) << down.out << down.err;
  EXPECT_TRUE(work.leftovers().empty()) << work.leftovers().front();
}

// Ctrl-C once the output says `moment`.
void expect_clean_abort(const std::string& moment, const std::string& phase) {
  Workspace work("bare-3x2.toml");
  const std::string lasting =
      edited(partition_experiment("4s"), "name  = \"" + phase + "\"\nlasts = \"",
             "name  = \"" + phase + "\"\nlasts = \"1");  // 3s -> 13s: room for the signal
  Running run(work.run_command(work.file("e.toml", lasting)));
  ASSERT_TRUE(run.wait_for_output(moment, seconds(90))) << run.output();
  run.signal(SIGINT);
  const auto done = run.wait(seconds(60));
  EXPECT_EQ(done.exit_code, 3) << done.out << done.err;
  EXPECT_EQ(value_of(work.store().run(1)).verdict, RunVerdict::kAborted);
  const auto nodes = value_of(work.store().nodes(1));
  EXPECT_EQ(nodes.size(), 6U);
  for (const NodeRecord& node : nodes) {
    EXPECT_FALSE(node.dump_before.empty()) << node.name;
    EXPECT_EQ(node.dump_before, node.dump_after) << node.name;
  }
  EXPECT_TRUE(work.leftovers().empty()) << work.leftovers().front();
}

TEST(Cli, CtrlCDuringTheBaseline) { expect_clean_abort("baseline for", "baseline"); }

TEST(Cli, CtrlCDuringTheRecovery) { expect_clean_abort("recovery for", "recovery"); }

}  // namespace
}  // namespace zq::e2e
