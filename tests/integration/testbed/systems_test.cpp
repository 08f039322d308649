// The shipped recipes with the real software, up and down again.
#include "tests/integration/testbed/testbed_fixture.h"

namespace zq::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SystemTestbed : public ::testing::Test {
 protected:
  Result<Testbed> up(const std::string& file, const std::string& name) {
    return Testbed::up(shipped_cluster(file, name), quiet_options());
  }
  static std::string output(const Testbed& testbed, const std::string& node,
                            const std::string& command) {
    const std::string file = testbed.node_dir(node) + "/output";
    const auto code = testbed.exec(node, {"sh", "-c", command + " > " + file + " 2>&1"});
    EXPECT_TRUE(code);
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  static void expect_gone(Testbed& testbed, const std::string& name) {
    const Status down = testbed.down();
    EXPECT_TRUE(down) << down.error().message;
    EXPECT_THAT(traces_of(name), IsEmpty());
  }
};

TEST_F(SystemTestbed, EtcdElectsAndSurvivesARestart) {
  const std::string name = unique_cluster_name("etcd");
  const TakenDown cleanup(name);
  auto testbed = up("etcd-3.toml", name);
  ASSERT_TRUE(testbed) << testbed.error().message;
  const std::string etcdctl =
      "ETCDCTL_API=3 etcdctl --endpoints http://10.66.1.1:2379,http://10.66.2.1:2379 ";
  EXPECT_THAT(output(*testbed, "e1", etcdctl + "put zone quake"), HasSubstr("OK"));
  ASSERT_TRUE(testbed->kill({"e3"}));
  ASSERT_TRUE(testbed->restart({"e3"}));
  EXPECT_TRUE(eventually([&] {
    return output(*testbed, "e3", "curl -s -m 2 http://10.66.3.1:2379/health").find("\"true\"") !=
           std::string::npos;
  }));
  EXPECT_THAT(output(*testbed, "e3",
                     "ETCDCTL_API=3 etcdctl --endpoints http://10.66.3.1:2379 "
                     "get zone --print-value-only"),
              HasSubstr("quake"));
  expect_gone(*testbed, name);
}

TEST_F(SystemTestbed, ZookeeperElectsOneLeader) {
  const std::string name = unique_cluster_name("zk");
  const TakenDown cleanup(name);
  auto testbed = up("zookeeper-3.toml", name);
  ASSERT_TRUE(testbed) << testbed.error().message;
  const std::string modes =
      output(*testbed, "z1",
             "for zone in 1 2 3; do echo srvr | busybox nc 10.66.$zone.1 2181 | grep Mode; done");
  EXPECT_THAT(modes, HasSubstr("Mode: leader"));
  EXPECT_THAT(modes, HasSubstr("Mode: follower"));
  expect_gone(*testbed, name);
}

TEST_F(SystemTestbed, SwarmRunsItsCanariesInEveryZone) {
  const std::string name = unique_cluster_name("swarm");
  const TakenDown cleanup(name);
  auto testbed = up("swarm-one-zone.toml", name);
  ASSERT_TRUE(testbed) << testbed.error().message;
  for (const char* node : {"a1", "b1", "b2", "c1"}) {
    EXPECT_THAT(output(*testbed, node, "curl -s -m 3 http://127.0.0.1:18080/whoami"),
                HasSubstr("\"web\""))
        << node;
  }
  const std::string nodes =
      output(*testbed, "m1", "/usr/bin/docker -H unix://$ZQ_DIR/docker.sock node ls");
  EXPECT_THAT(nodes, HasSubstr("Leader"));
  for (const char* node : {"m2", "m3", "a1", "b1", "b2", "c1"}) EXPECT_THAT(nodes, HasSubstr(node));
  EXPECT_FALSE(std::filesystem::exists("/run/docker")) << "what the daemons make must stay inside";
  expect_gone(*testbed, name);
}

}  // namespace
}  // namespace zq::test
