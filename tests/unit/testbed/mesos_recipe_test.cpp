// The recipe for Mesos with stand-ins for its programs, which are not in Debian: what they would be
// started with.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "controller/testbed/program.h"
#include "controller/testbed/programs.h"

namespace zq::testbed {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::HasSubstr;

class MesosRecipe : public ::testing::TestWithParam<const char*> {
 protected:
  MesosRecipe() {
    for (const char* program : {"mesos-master", "mesos-agent", "marathon"}) stand_in(program);
  }
  ~MesosRecipe() override {
    std::error_code ignored;
    fs::remove_all(bin_, ignored);
  }
  void stand_in(const std::string& name) const {
    fs::create_directories(bin_);
    std::ofstream(bin_ + "/" + name) << "#!/bin/sh\nprintf '%s\\n' \"$@\"\n";
    fs::permissions(bin_ + "/" + name, fs::perms::owner_all);
  }
  static Cluster cluster(const std::string& name) {
    auto loaded = load_cluster(ZQ_SOURCE_DIR "/experiments/clusters/" + name + ".toml");
    EXPECT_TRUE(loaded) << loaded.error().message;
    return std::move(*loaded);
  }
  static Recipe recipe() {
    auto loaded = load_recipe(ZQ_SOURCE_DIR "/experiments/recipes/mesos.toml");
    EXPECT_TRUE(loaded) << loaded.error().message;
    return std::move(*loaded);
  }
  TemplateContext context(const Cluster& cluster) const {
    TemplateContext context;
    context.cluster = &cluster;
    context.agent_binary = "/usr/bin/zonequake-agent";
    context.bin_dir = bin_;
    return context;
  }
  static const Launch& launch_of(const std::vector<Launch>& launches, const std::string& node,
                                 const std::string& name) {
    for (const Launch& launch : launches) {
      if (launch.node == node && launch.name == name) return launch;
    }
    throw std::runtime_error("no " + name + " on " + node);
  }

  const std::string bin_ = "/tmp/zq-mesos-recipe-" + std::to_string(::getpid());
};

TEST_P(MesosRecipe, StartsWhatEachTopologyNeeds) {
  const Cluster cluster = MesosRecipe::cluster(GetParam());
  const auto launches = plan_launches(recipe(), context(cluster));
  ASSERT_TRUE(launches) << launches.error().message;
  std::map<std::string, int> count;
  for (const Launch& launch : *launches) ++count[launch.name];
  int agents = 0;
  for (const Node& node : cluster.nodes) agents += node.has_role("agent") ? 1 : 0;
  EXPECT_EQ(count["zookeeper"], 3);
  EXPECT_EQ(count["mesos-master"], 3);
  EXPECT_EQ(count["marathon"], 3);
  EXPECT_EQ(count["mesos-agent"], agents);
  EXPECT_GE(agents, 3);
  EXPECT_TRUE(check_steps(recipe(), context(cluster)));
  EXPECT_FALSE(cluster.testbed->links.empty());
}

INSTANTIATE_TEST_SUITE_P(Topologies, MesosRecipe,
                         ::testing::Values("mesos-t1", "mesos-t2", "mesos-t3", "mesos-t4"),
                         [](const auto& one) { return std::string(one.param + 6); });

class MesosPrograms : public MesosRecipe {};

TEST_F(MesosPrograms, AreStartedWithTheFlagsThatWork) {
  const Cluster cluster = MesosRecipe::cluster("mesos-t2");
  const auto launches = plan_launches(recipe(), context(cluster));
  ASSERT_TRUE(launches) << launches.error().message;
  const auto& master = launch_of(*launches, "m2", "mesos-master").request;
  const std::string zk = "zk://10.66.1.1:2181,10.66.2.1:2181,10.66.3.1:2181/mesos";
  for (const std::string& flag :
       {bin_ + "/mesos-master", std::string("--ip=10.66.2.1"), "--zk=" + zk,
        std::string("--quorum=2"), std::string("--registry=replicated_log"),
        std::string(R"(--domain={"fault_domain":{"region":{"name":"local"},"zone":{"name":"b"}}})"),
        std::string("--agent_ping_timeout=1secs"), std::string("--max_agent_ping_timeouts=5")}) {
    EXPECT_THAT(master.argv, Contains(flag));
  }
  for (const std::string& variable : master.env) {
    EXPECT_THAT(variable, ::testing::Not(HasSubstr("LIBPROCESS"))) << "a worker count deadlocks it";
  }
  const auto& marathon = launch_of(*launches, "m2", "marathon").request.argv;
  EXPECT_THAT(marathon, Contains(bin_ + "/marathon"));
  EXPECT_THAT(marathon, Contains(zk));
}

TEST_F(MesosPrograms, AgentFindsItsContainerizerBesideItself) {
  const Cluster cluster = MesosRecipe::cluster("mesos-t2");
  const auto printed = [&] {
    const auto launches = plan_launches(recipe(), context(cluster));
    if (!launches) return launches.error().message;
    // From /bin/sh on: without the namespaces that it is started in.
    const auto& argv = launch_of(*launches, "a1", "mesos-agent").request.argv;
    const std::string out = bin_ + "/out";
    std::string command;
    for (auto word = std::ranges::find(argv, "/bin/sh"); word != argv.end(); ++word) {
      std::string quoted = *word;
      // It makes directories: not where a testbed of that name would have them.
      const std::string home = "/run/zonequake/testbed/" + cluster.name;
      for (std::size_t at = 0; (at = quoted.find(home, at)) != std::string::npos;) {
        quoted.replace(at, home.size(), bin_);
      }
      for (std::size_t at = 0; (at = quoted.find('\'', at)) != std::string::npos; at += 4) {
        quoted.replace(at, 1, "'\\''");
      }
      command += "'" + quoted + "' ";
    }
    if (std::system((command + "> " + out).c_str()) != 0) return std::string("failed: ") + command;
    std::ifstream file(out);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  const std::string without = printed();
  EXPECT_THAT(without, HasSubstr("--attributes=zone:a;region:local\n"));
  EXPECT_THAT(without, HasSubstr("--resources=cpus:2;mem:512;disk:1024;ports:[31000-32000]\n"));
  EXPECT_THAT(without, ::testing::Not(HasSubstr("launcher_dir")));
  stand_in("mesos-containerizer");
  EXPECT_THAT(printed(), HasSubstr("--launcher_dir=" + bin_ + "\n"));
}

TEST_F(MesosPrograms, AreLookedForInTheDirectoryGivenAndOnPath) {
  EXPECT_EQ(find_program("mesos-master", bin_), bin_ + "/mesos-master");
  EXPECT_TRUE(find_program("sh", bin_)) << "on PATH";
  EXPECT_FALSE(find_program("no-such-program", bin_));
  fs::remove(bin_ + "/mesos-master");
  const auto missing = check_needs(recipe(), bin_);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kInput);
  EXPECT_THAT(missing.error().message, HasSubstr("mesos-master"));
  EXPECT_THAT(missing.error().message, HasSubstr(bin_));
}

}  // namespace
}  // namespace zq::testbed
