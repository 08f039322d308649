// More shipped recipes with the real software, up and down again; and the recipe for Mesos with
// stand-ins for what Debian does not have.
#include "tests/integration/testbed/testbed_fixture.h"

namespace zq::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string output(const Testbed& testbed, const std::string& node, const std::string& command) {
  const std::string file = testbed.node_dir(node) + "/output";
  const auto code = testbed.exec(node, {"sh", "-c", command + " > " + file + " 2>&1"});
  EXPECT_TRUE(code);
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void expect_gone(Testbed& testbed, const std::string& name) {
  const Status down = testbed.down();
  EXPECT_TRUE(down) << down.error().message;
  EXPECT_THAT(traces_of(name), IsEmpty());
}

TEST(MoreSystems, RedisSentinelsKnowTheirMasterAfterARestart) {
  const std::string name = unique_cluster_name("redis");
  const TakenDown cleanup(name);
  auto testbed = Testbed::up(shipped_cluster("redis-sentinel-3.toml", name), quiet_options());
  ASSERT_TRUE(testbed) << testbed.error().message;
  EXPECT_THAT(output(*testbed, "r1", "redis-cli -h 10.66.1.1 ROLE"), HasSubstr("master"));
  EXPECT_THAT(output(*testbed, "r2", "redis-cli -h 10.66.2.1 ROLE"), HasSubstr("slave"));
  ASSERT_TRUE(testbed->kill({"r3"}));
  ASSERT_TRUE(testbed->restart({"r3"}));
  EXPECT_TRUE(eventually([&] {
    return output(*testbed, "r3", "redis-cli -h 10.66.3.1 -p 26379 SENTINEL CKQUORUM mymaster")
               .find("OK 3 usable") != std::string::npos;
  }));
  expect_gone(*testbed, name);
}

TEST(MoreSystems, PacemakerRunsItsCanariesInEveryZone) {
  const std::string name = unique_cluster_name("pacemaker");
  const TakenDown cleanup(name);
  auto testbed = Testbed::up(shipped_cluster("pacemaker-3.toml", name), quiet_options());
  ASSERT_TRUE(testbed) << testbed.error().message;
  for (const char* node : {"p1", "p2", "p3"}) {
    EXPECT_THAT(output(*testbed, node, "curl -s -m 3 http://127.0.0.1:18080/whoami"),
                HasSubstr("\"web\""))
        << node;
  }
  EXPECT_FALSE(std::filesystem::exists("/var/lib/pacemaker/cib/cib.xml"))
      << "what the daemons write must stay inside";
  expect_gone(*testbed, name);
}

TEST(MoreSystems, MesosRecipeBringsUpStandIns) {
  const std::string name = unique_cluster_name("mesos");
  const TakenDown cleanup(name);
  const TemporaryFolder bin;
  // Each writes its command line down and answers its port as the readiness checks and steps ask.
  const std::string answer =
      "#!/bin/sh\nprintf '%s\\n' \"$0\" \"$@\" > command-line-$(basename $0)\n"
      "for word; do case $word in --ip=*) ip=${word#--ip=} ;; --port=*) port=${word#--port=} ;;"
      " --quorum=*) : ;; esac; done\n"
      "exec /bin/busybox nc -ll -p ${port:-8080} -e " +
      bin.write("answer",
                "#!/bin/sh\nread line\n"
                "printf 'HTTP/1.1 200 OK\\r\\nContent-Length: 17\\r\\nConnection: close\\r\\n\\r\\n"
                "\"tasksRunning\":6 '\n");
  for (const char* program : {"mesos-master", "mesos-agent", "marathon"}) {
    std::filesystem::permissions(bin.write(program, answer + "\n"),
                                 std::filesystem::perms::owner_all);
  }
  std::filesystem::permissions(bin.path() + "/answer", std::filesystem::perms::owner_all);
  Cluster cluster = shipped_cluster("mesos-t2.toml", name);
  cluster.testbed->links.clear();  // the links have tests of their own
  TestbedOptions options = quiet_options();
  options.bin_dir = bin.path();
  auto testbed = Testbed::up(cluster, options);
  ASSERT_TRUE(testbed) << testbed.error().message;
  const std::string agent = output(*testbed, "a1", "cat $ZQ_DIR/command-line-mesos-agent");
  EXPECT_THAT(agent, HasSubstr(bin.path() + "/mesos-agent\n--ip=10.66.1.2\n--port=5051\n"));
  EXPECT_THAT(agent,
              HasSubstr("--master=zk://10.66.1.1:2181,10.66.2.1:2181,10.66.3.1:2181/mesos\n"));
  EXPECT_THAT(output(*testbed, "m3", "cat $ZQ_DIR/command-line-mesos-master"),
              HasSubstr("--quorum=2\n"));
  EXPECT_THAT(output(*testbed, "m1", "cat $ZQ_DIR/command-line-marathon"),
              HasSubstr("--master\nzk://10.66.1.1:2181,"));
  expect_gone(*testbed, name);
}

}  // namespace
}  // namespace zq::test
