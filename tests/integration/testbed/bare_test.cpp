// Networks and agents without any system on them: what is built, and that nothing of it stays.
#include <sys/mount.h>
#include <sys/wait.h>

#include <csignal>

#include "tests/integration/testbed/testbed_fixture.h"

namespace zq::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

int ping(const Testbed& testbed, const std::string& node, const std::string& address) {
  const auto code =
      testbed.exec(node, {"sh", "-c", "exec ping -n -c 1 -W 2 " + address + " > /dev/null 2>&1"});
  return code ? *code : -1;
}

TEST(BareTestbed, ConnectsAllNodesAndLeavesNothing) {
  const std::string name = unique_cluster_name("bare");
  const TakenDown cleanup(name);
  const Cluster cluster = shipped_cluster("bare-3x2.toml", name);
  auto testbed = Testbed::up(cluster, quiet_options());
  ASSERT_TRUE(testbed) << testbed.error().message;
  for (const Node& from : cluster.nodes) {
    for (const Node& to : cluster.nodes) {
      EXPECT_EQ(ping(*testbed, from.name, to.host(true)->to_string()), 0) << from.name << to.name;
      EXPECT_EQ(ping(*testbed, from.name, to.host(false)->to_string()), 0) << from.name << to.name;
    }
  }
  const auto processes = testbed->status();
  ASSERT_TRUE(processes);
  EXPECT_EQ(processes->size(), cluster.nodes.size()) << "one agent each";
  for (const auto& process : *processes) EXPECT_TRUE(process.alive) << process.node;
  const auto names = Testbed::names();
  ASSERT_TRUE(names);
  EXPECT_THAT(*names, ::testing::Contains(name));

  EXPECT_THAT(traces_of(name), ::testing::Not(IsEmpty()));
  const Status down = testbed->down();
  EXPECT_TRUE(down) << down.error().message;
  EXPECT_THAT(traces_of(name), IsEmpty());
  EXPECT_TRUE(testbed->down()) << "idempotent";
}

TEST(BareTestbed, CanBeOpenedByAnotherProcessAndIsUpOnlyOnce) {
  const std::string name = unique_cluster_name("bare");
  const TakenDown cleanup(name);
  const Cluster cluster = shipped_cluster("bare-3x2.toml", name);
  const auto before = Testbed::open(cluster);
  ASSERT_FALSE(before);
  EXPECT_EQ(before.error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(Testbed::up(cluster, quiet_options()));

  const auto again = Testbed::up(cluster, quiet_options());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::kExists);
  const auto opened = Testbed::open(cluster);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->agent_endpoint("b2"), "unix:/run/zonequake/testbed/" + name + "/b2/agent.sock");
  const auto code = opened->exec("b2", {"sh", "-c", "test -S $ZQ_DIR/agent.sock && exit 7"});
  ASSERT_TRUE(code);
  EXPECT_EQ(*code, 7);
  EXPECT_FALSE(opened->exec("nobody", {"true"}));
}

TEST(BareTestbed, MayHaveTheAddressesOfAnother) {
  const std::string one = unique_cluster_name("bare");
  const std::string two = unique_cluster_name("bare");
  const TakenDown cleanup_one(one);
  const TakenDown cleanup_two(two);
  const auto first = Testbed::up(shipped_cluster("bare-3x2.toml", one), quiet_options());
  ASSERT_TRUE(first) << first.error().message;
  auto second = Testbed::up(shipped_cluster("bare-3x2.toml", two), quiet_options());
  ASSERT_TRUE(second) << second.error().message;
  ASSERT_TRUE(second->down());
  EXPECT_EQ(ping(*first, "a1", "10.66.3.2"), 0) << "the other one's end must not matter";
}

TEST(BareTestbed, ReportsAStrangerInItsNamespace) {
  const std::string name = unique_cluster_name("bare");
  const TakenDown cleanup(name);
  auto testbed = Testbed::up(shipped_cluster("bare-3x2.toml", name), quiet_options());
  ASSERT_TRUE(testbed) << testbed.error().message;
  const pid_t stranger = ::fork();
  if (stranger == 0) {
    const std::string path = "/usr/bin/nsenter";
    const std::string netns = "--net=/run/netns/" + testbed->netns("a1");
    ::execl(path.c_str(), path.c_str(), netns.c_str(), "/bin/sleep", "60", nullptr);
    ::_exit(127);
  }
  const std::string link = fmt::format("/proc/{}/ns/net", stranger);
  const auto inside = [&] {
    std::error_code code;
    return std::filesystem::equivalent(link, "/run/netns/" + testbed->netns("a1"), code);
  };
  EXPECT_TRUE(eventually(inside));
  const Status down = testbed->down();
  ::kill(stranger, SIGKILL);
  ::waitpid(stranger, nullptr, 0);
  ASSERT_FALSE(down) << "a process of another is not ours to kill, but to report";
  EXPECT_THAT(down.error().message, HasSubstr(fmt::format("process {}", stranger)));
  EXPECT_TRUE(testbed->down());
  EXPECT_THAT(traces_of(name), IsEmpty());
}

TEST(BareTestbed, StopsWhenAskedAndTearsDown) {
  const std::string name = unique_cluster_name("bare");
  const TakenDown cleanup(name);
  std::stop_source stop;
  TestbedOptions options = quiet_options();
  options.stop = stop.get_token();
  options.progress = [&](const std::string& line) {
    if (line.starts_with("network")) stop.request_stop();
  };
  const auto testbed = Testbed::up(shipped_cluster("bare-3x2.toml", name), options);
  ASSERT_FALSE(testbed);
  EXPECT_EQ(testbed.error().code, ErrorCode::kCancelled);
  EXPECT_THAT(traces_of(name), IsEmpty());
}

// up() in a process of its own that is killed at a random moment, and again a little later.
TEST(BareTestbed, IsRemovedAfterItsMakerWasKilled) {
  for (int milliseconds = 0; milliseconds <= 240; milliseconds += 40) {
    const std::string name = unique_cluster_name("bare");
    const TakenDown cleanup(name);
    const Cluster cluster = shipped_cluster("bare-3x2.toml", name);
    const pid_t maker = ::fork();
    if (maker == 0) {
      const auto testbed = Testbed::up(cluster, quiet_options());
      ::_exit(testbed ? 0 : 1);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    ::kill(maker, SIGKILL);
    ::waitpid(maker, nullptr, 0);
    const Status down = Testbed::down_by_name(name);
    EXPECT_TRUE(down) << down.error().message;
    EXPECT_THAT(traces_of(name), IsEmpty()) << "killed after " << milliseconds << " ms";
  }
}

TEST(BareTestbed, ReplacesWhatAKilledMakerLeft) {
  const std::string name = unique_cluster_name("bare");
  const TakenDown cleanup(name);
  const Cluster cluster = shipped_cluster("bare-3x2.toml", name);
  const pid_t maker = ::fork();
  if (maker == 0) {
    TestbedOptions options = quiet_options();
    options.progress = [](const std::string& line) {
      if (line.starts_with("agent")) ::raise(SIGKILL);
    };
    (void)Testbed::up(cluster, options);
    ::_exit(1);
  }
  int status = 0;
  ::waitpid(maker, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_THAT(traces_of(name), ::testing::Not(IsEmpty()));
  EXPECT_FALSE(Testbed::open(cluster)) << "half a testbed is none";
  const auto testbed = Testbed::up(cluster, quiet_options());
  ASSERT_TRUE(testbed) << testbed.error().message;
  EXPECT_EQ(ping(*testbed, "a1", "10.66.2.2"), 0);
}

TEST(BareTestbed, RefusesBadInputBeforeItTouchesAnything) {
  const std::string name = unique_cluster_name("bare");
  Cluster cluster = shipped_cluster("bare-3x2.toml", name);
  cluster.nodes[1].addresses = {*IpPrefix::parse("10.66.9.1")};
  const auto split = Testbed::up(cluster, quiet_options());
  ASSERT_FALSE(split);
  EXPECT_EQ(split.error().code, ErrorCode::kInput);
  cluster = shipped_cluster("bare-3x2.toml", name);
  TestbedOptions options = quiet_options();
  options.agent_binary = "/nowhere/zonequake-agent";
  EXPECT_FALSE(Testbed::up(cluster, options));
  cluster.testbed.reset();
  EXPECT_FALSE(Testbed::up(cluster, quiet_options()));
  EXPECT_THAT(traces_of(name), IsEmpty());
}

}  // namespace
}  // namespace zq::test
