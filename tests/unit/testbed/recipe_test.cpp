#include "controller/testbed/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "controller/testbed/program.h"
#include "tests/unit/testbed/clusters.h"

namespace zq::testbed {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kRecipe = R"([needs]
"/bin/sh" = "dash"
[sysctl]
"net.ipv4.tcp_rto_max_ms" = 1000
[[process]]
name = "server"
on = "role:master"
isolate = ["pid", "uts"]
setup = ["mkdir -p {dir}/x"]
command = ["/bin/server", "--name", "{node}", "{each role:master; ,; {ip}}"]
env = { WHO = "{node}" }
files = { "{dir}/conf" = "me={ip}" }
[process.ready]
http = "http://{ip}:80/ok"
contains = "yes"
timeout = "5s"
[[step]]
name = "token"
on = "role:master"
pick = "first"
command = ["/bin/token"]
capture = "token"
[[step]]
name = "join"
on = "role:master"
pick = "rest"
command = ["/bin/join", "{var:token}"]
retry = "30s"
[[step]]
name = "deploy"
on = "role:master"
pick = "first"
per = "app"
command = ["/bin/deploy", "{app}"]
)";

class RecipeTest : public ::testing::Test {
 protected:
  RecipeTest() {
    context_.cluster = &cluster_;
    context_.agent_binary = "/usr/bin/zonequake-agent";
  }
  static Recipe parsed(const std::string& text) {
    auto recipe = parse_recipe(text, "r.toml");
    if (!recipe) ADD_FAILURE() << recipe.error().message;
    return recipe ? std::move(*recipe) : Recipe{};
  }
  // The message for the recipe with `from` replaced by `to`.
  static std::string error(const std::string& from, const std::string& to) {
    const auto recipe = parse_recipe(with(kRecipe, from, to), "r.toml");
    if (recipe) {
      ADD_FAILURE() << "accepted with " << to;
      return {};
    }
    EXPECT_EQ(recipe.error().code, ErrorCode::kInput);
    EXPECT_THAT(recipe.error().message, HasSubstr("r.toml:"));
    return recipe.error().message;
  }

  Cluster cluster_ = parse_small_cluster();
  TemplateContext context_;
};

TEST_F(RecipeTest, ReadsEverything) {
  const Recipe recipe = parsed(kRecipe);
  ASSERT_EQ(recipe.processes.size(), 1U);
  const ProcessRecipe& process = recipe.processes.front();
  EXPECT_TRUE(process.own_pids);
  EXPECT_TRUE(process.own_hostname);
  EXPECT_TRUE(process.own_mounts) << "a PID namespace needs its own /proc";
  ASSERT_TRUE(process.ready);
  EXPECT_EQ(process.ready->kind, "http");
  EXPECT_EQ(process.ready->timeout, std::chrono::seconds(5));
  ASSERT_EQ(recipe.steps.size(), 3U);
  EXPECT_EQ(recipe.steps[0].pick, StepRecipe::Pick::kFirst);
  EXPECT_EQ(recipe.steps[1].retry, std::chrono::seconds(30));
  EXPECT_TRUE(recipe.steps[2].per_app);
  EXPECT_THAT(recipe.sysctls, ElementsAre(std::pair("net.ipv4.tcp_rto_max_ms", "1000")));
}

TEST_F(RecipeTest, BecomesProcessesOnNodes) {
  const auto launches = plan_launches(parsed(kRecipe), context_);
  ASSERT_TRUE(launches) << launches.error().message;
  ASSERT_EQ(launches->size(), 2U);
  const Launch& second = (*launches)[1];
  EXPECT_EQ(second.node, "m2");
  EXPECT_EQ(second.request.netns, "zq-small-m2");
  EXPECT_EQ(second.request.cgroup, "zonequake/small/nodes/m2/server");
  EXPECT_THAT(second.request.argv,
              ElementsAre("/usr/bin/unshare", "--mount", "--propagation", "private", "--uts",
                          "--pid", "--fork", "--kill-child", "--mount-proc", "/bin/sh", "-c",
                          "set -e\nhostname m2\nmkdir -p /run/zonequake/testbed/small/m2/x\n"
                          "exec \"$@\"",
                          "server", "/bin/server", "--name", "m2", "10.66.1.1,10.66.1.2"));
  EXPECT_THAT(second.request.env, ::testing::Contains("WHO=m2"));
  EXPECT_THAT(second.files,
              ElementsAre(std::pair("/run/zonequake/testbed/small/m2/conf", "me=10.66.1.2")));
  ASSERT_TRUE(second.ready);
  EXPECT_EQ(second.ready->target.front(), "http://10.66.1.2:80/ok");
  EXPECT_EQ(second.ready->netns, "zq-small-m2");
}

TEST_F(RecipeTest, PicksTheNodesOfSteps) {
  const Recipe recipe = parsed(kRecipe);
  const auto first = step_targets(recipe.steps[0], cluster_);
  const auto rest = step_targets(recipe.steps[1], cluster_);
  const auto deploy = step_targets(recipe.steps[2], cluster_);
  ASSERT_TRUE(first && rest && deploy);
  ASSERT_EQ(first->size(), 1U);
  EXPECT_EQ(first->front().node->name, "m1");
  ASSERT_EQ(rest->size(), 1U);
  EXPECT_EQ(rest->front().node->name, "m2");
  ASSERT_EQ(deploy->size(), 1U);
  EXPECT_EQ(deploy->front().app->name, "web");
}

TEST_F(RecipeTest, ChecksTheStepsBeforehand) {
  EXPECT_TRUE(check_steps(parsed(kRecipe), context_));
  const auto late = check_steps(parsed(with(kRecipe, "{var:token}", "{var:later}")), context_);
  ASSERT_FALSE(late);
  EXPECT_THAT(late.error().message, AllOf(HasSubstr("r.toml:27:"), HasSubstr("'later'")));
  const auto nobody = check_steps(
      parsed(with(kRecipe, "on = \"role:master\"\npick", "on = \"zone:b & zone:a\"\npick")),
      context_);
  ASSERT_FALSE(nobody);
  EXPECT_THAT(nobody.error().message, HasSubstr("selects none"));
}

TEST_F(RecipeTest, NamesThePackageThatIsMissing) {
  EXPECT_TRUE(check_needs(parsed(kRecipe)));
  const auto missing = check_needs(parsed(with(kRecipe, "/bin/sh", "/nowhere/prog")));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kInput);
  EXPECT_THAT(missing.error().message, HasSubstr("apt-get install dash"));
}

TEST_F(RecipeTest, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(error("isolate =", "isolat ="), HasSubstr("isolate"));
  EXPECT_THAT(error("\"pid\"", "\"pids\""), HasSubstr("'pid'"));
  EXPECT_THAT(error("pick = \"first\"", "pick = \"one\""), HasSubstr("first, rest or all"));
  EXPECT_THAT(error("per = \"app\"", "per = \"apps\""), HasSubstr("app"));
  EXPECT_THAT(error("[[process]]", "[[proces]]"), HasSubstr("process"));
}

TEST_F(RecipeTest, RefusesWhatCannotBe) {
  EXPECT_THAT(error("name = \"server\"", "name = \"agent\""), HasSubstr("taken"));
  EXPECT_THAT(error("name = \"server\"", "name = \"a/b\""), HasSubstr("cannot be used"));
  EXPECT_THAT(error("\"/bin/server\"", "\"server\""), HasSubstr("absolute"));
  EXPECT_THAT(error("command = [\"/bin/token\"]", ""), HasSubstr("command"));
  EXPECT_THAT(error("http =", "tcp = \"{ip}:1\"\nhttp ="), HasSubstr("exactly one"));
  EXPECT_THAT(error("http = \"http://{ip}:80/ok\"", "file = \"/x\""), HasSubstr("contains"));
  EXPECT_THAT(error("timeout = \"5s\"", "timeout = 5"), HasSubstr("duration"));
  EXPECT_THAT(error("\"net.ipv4.tcp_rto_max_ms\"", "\"kernel.pid_max\""), HasSubstr("net."));
  EXPECT_THAT(error("pick = \"rest\"", "pick = \"rest\"\ncapture = \"x\""), HasSubstr("capture"));
  EXPECT_THAT(error("on = \"role:master\"", "on = \"zone_of(leader(swarm))\""), HasSubstr("live"));
  EXPECT_THAT(error("on = \"role:master\"", "on = \"role:(\""), HasSubstr("r.toml:7:"));
}

TEST_F(RecipeTest, ReportsTheSameNameTwice) {
  EXPECT_THAT(error("name = \"join\"", "name = \"token\""), HasSubstr("taken"));
}

// Stand-ins for the programs that no package brings.
class StandIns {
 public:
  StandIns() {
    std::filesystem::create_directories(path_);
    for (const char* program : {"mesos-master", "mesos-agent", "marathon"}) {
      std::filesystem::create_symlink("/bin/true", path_ + "/" + program);
    }
  }
  StandIns(const StandIns&) = delete;
  StandIns& operator=(const StandIns&) = delete;
  ~StandIns() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  const std::string path_ = "/tmp/zq-stand-ins-" + std::to_string(::getpid());
};

// Whether a cluster file's recipe fits it; false where it has none.
bool recipe_fits(const std::string& path, const std::string& bin_dir) {
  const auto cluster = load_cluster(path);
  EXPECT_TRUE(cluster) << cluster.error().message;
  if (!cluster || !cluster->testbed) return false;
  TemplateContext context;
  context.cluster = &*cluster;
  context.agent_binary = "/usr/bin/zonequake-agent";
  context.bin_dir = bin_dir;
  const auto recipe = load_recipe(cluster->testbed->recipe);
  EXPECT_TRUE(recipe) << recipe.error().message;
  if (!recipe) return false;
  EXPECT_TRUE(check_steps(*recipe, context)) << path;
  EXPECT_TRUE(plan_launches(*recipe, context)) << path;
  return true;
}

int fitting_clusters(const std::string& folder) {
  const StandIns programs;
  int clusters = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(ZQ_SOURCE_DIR) + folder)) {
    clusters += recipe_fits(entry.path(), programs.path()) ? 1 : 0;
  }
  return clusters;
}

// What is shipped must be good, for every cluster that comes with it.
TEST(ShippedRecipes, FitTheirClusters) { EXPECT_GE(fitting_clusters("/experiments/clusters"), 6); }

TEST(ShippedRecipes, FitTheCalibrationCluster) {
  EXPECT_EQ(fitting_clusters("/tests/calibration/clusters"), 2);
}

}  // namespace
}  // namespace zq::testbed
