// Processes that are paused, killed and started again at their instants, hooks, and what is said
// about an undo after a crash; and what doctor says of a cluster.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/e2e/zonequake.h"

namespace zq::e2e {
namespace {

using std::chrono::seconds;
using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// The bare cluster with a process on every node, and a hook that leaves a mark.
class Processes : public ::testing::Test {
 protected:
  Processes() {
    folder_ = std::filesystem::temp_directory_path() /
              ("zq-process-" + std::to_string(::getpid()) + "-" + std::to_string(++counter_));
    std::filesystem::create_directories(folder_);
    std::ofstream(folder_ / "recipe.toml") << R"([[process]]
name = "sleeper"
on = "all"
command = ["/bin/sleep", "1000"]
)";
  }
  ~Processes() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  [[nodiscard]] std::function<void(std::string&)> edit(const std::string& hook = "") const {
    return [recipe = (folder_ / "recipe.toml").string(), hook](std::string& text) {
      const std::string key = "recipe = \"";
      const std::size_t from = text.find(key) + key.size();
      text.replace(from, text.find('"', from) - from, recipe);
      text += hook;
    };
  }
  [[nodiscard]] std::string mark() const { return (folder_ / "mark").string(); }
  [[nodiscard]] std::string hook(const std::string& run) const {
    return "\n[[hook]]\nname = \"power\"\nrun = [\"/bin/sh\", \"-c\", \"" + run +
           "\"]\nundo = [\"/bin/sh\", \"-c\", \"rm " + mark() + "\"]\ntimeout = \"5s\"\n";
  }

  static std::string experiment(const std::string& phases) {
    return "title = \"Processes\"\ncaveat = \"T1-C1\"\n[[phase]]\nname = \"baseline\"\nlasts = "
           "\"3s\"\n" +
           phases +
           "[[phase]]\nname = \"recovery\"\nlasts = \"4s\"\n[[expect]]\nid = \"healed\"\nduring = "
           "\"recovery\"\neventually = \"min(net.reachable) == 1\"\nwithin = \"4s\"\n";
  }

  static inline int counter_ = 0;
  std::filesystem::path folder_;
};

TEST_F(Processes, PauseZoneDownAndHooksHappenAtTheirTimesAndAreUndone) {
  Workspace work("bare-3x2.toml", edit(hook("echo {name} > " + mark())));
  const std::string phases = R"([[phase]]
name = "paused"
lasts = "4s"
[[phase.fault]]
kind = "pause"
nodes = "zone:b"
lasts = "3s"
[[phase]]
name = "dark"
lasts = "5s"
[[phase.fault]]
kind = "zone-down"
nodes = "zone:c"
[[phase.fault]]
kind = "hook"
hook = "power"
nodes = "node:a1"
after = "1s"
)";
  auto command = work.run_command(work.file("e.toml", experiment(phases)), {"--keep"});
  const auto done = run_to_end(command, seconds(120));
  ASSERT_EQ(done.exit_code, 0) << done.out << done.err;
  const Store store = work.store();
  std::map<std::string, std::set<std::string>> steps;  // step -> nodes
  for (const ProcessRecord& one : value_of(store.processes(1))) {
    EXPECT_EQ(one.error, "") << one.node << " " << one.step;
    ASSERT_TRUE(one.began_mono_ns && one.done_mono_ns) << one.node << " " << one.step;
    EXPECT_LT(*one.began_mono_ns - one.planned_mono_ns, 500'000'000) << one.node << " " << one.step;
    steps[one.step].insert(one.node);
  }
  EXPECT_EQ(steps["pause"], (std::set<std::string>{"b1", "b2"}));
  EXPECT_EQ(steps["resume"], (std::set<std::string>{"b1", "b2"}));
  EXPECT_EQ(steps["kill"], (std::set<std::string>{"c1", "c2"}));
  EXPECT_EQ(steps["start"], (std::set<std::string>{"c1", "c2"}));
  EXPECT_EQ(steps["hook power"], (std::set<std::string>{"a1"}));
  EXPECT_EQ(steps["hook power undo"], (std::set<std::string>{"a1"}));
  EXPECT_FALSE(std::filesystem::exists(mark()));
  const auto status =
      run_to_end({zonequake(), "testbed", "status", "--cluster", work.cluster_file()}, seconds(20));
  EXPECT_EQ(status.exit_code, 0) << status.out;  // all of it runs again
}

TEST_F(Processes, UndoIsDoneOnInterruptAndToldAfterACrash) {
  Workspace work("bare-3x2.toml", edit(hook("touch " + mark())));
  const std::string file = work.file("e.toml", experiment(R"([[phase]]
name = "off"
lasts = "60s"
[[phase.fault]]
kind = "hook"
hook = "power"
nodes = "node:a1"
)"));
  const auto marked = [&] { return std::filesystem::exists(mark()); };
  {
    Running interrupted(work.run_command(file, {"--keep"}));
    ASSERT_TRUE(eventually(seconds(60), marked)) << interrupted.output();
    interrupted.signal(SIGINT);
    EXPECT_EQ(interrupted.wait(seconds(60)).exit_code, 3);
    EXPECT_FALSE(marked());
  }
  auto again = work.run_command(file);
  again.erase(std::find(again.begin(), again.end(), "--testbed"));
  {
    Running crashed(again);
    ASSERT_TRUE(eventually(seconds(60), marked)) << crashed.output();
    crashed.signal(SIGKILL);
    crashed.wait(seconds(10));
  }
  EXPECT_TRUE(marked());
  const auto next = run_to_end({zonequake(), "runs", "--db", work.db()}, seconds(20));
  EXPECT_THAT(next.err, HasSubstr("was begun and not undone; do it now: /bin/sh -c rm " + mark()));
}

TEST(Doctor, NamesWhatEachNodeOfATestbedLacks) {
  Workspace work("bare-3x2.toml");
  const std::vector<std::string> doctor{zonequake(), "doctor", "--cluster", work.cluster_file()};
  const auto down = run_to_end(doctor, seconds(20));
  EXPECT_EQ(down.exit_code, 64);
  EXPECT_THAT(down.err, HasSubstr("is not up"));
  const auto up =
      run_to_end({zonequake(), "testbed", "up", "--cluster", work.cluster_file()}, seconds(60));
  ASSERT_EQ(up.exit_code, 0) << up.out << up.err;
  auto as_json = doctor;
  as_json.emplace_back("--json");
  const auto done = run_to_end(as_json, seconds(30));
  const auto document = nlohmann::json::parse(done.out);
  EXPECT_EQ(done.exit_code, document["complete"].get<bool>() ? 0 : 2);
  ASSERT_EQ(document["nodes"].size(), 6U);
  for (const auto& node : document["nodes"]) {
    EXPECT_EQ(node["error"], "");
    bool gate = false;
    for (const auto& one : node["capabilities"]) {
      gate = gate || (one["name"] == "gate" && one["present"].get<bool>());
      // What is not there is explained.
      EXPECT_TRUE(one["present"].get<bool>() || !one["text"].get<std::string>().empty());
    }
    EXPECT_TRUE(gate) << node.dump();
  }
  ::kill(work.agent_pid("b2"), SIGKILL);
  const auto silent = run_to_end(doctor, seconds(30));
  EXPECT_EQ(silent.exit_code, 2);
  EXPECT_THAT(silent.out, HasSubstr("UNREACHABLE"));
  EXPECT_THAT(silent.err, HasSubstr("b2"));
}

TEST(Doctor, LooksAtThisMachineWithoutACluster) {
  const auto done = run_to_end({zonequake(), "doctor"}, seconds(30));
  EXPECT_THAT(done.exit_code, AnyOf(0, 2)) << done.err;
  EXPECT_THAT(done.out, HasSubstr("gate"));
}

}  // namespace
}  // namespace zq::e2e
