#include "tests/unit/systems/support.h"

namespace zq::test {
namespace {

class ZooKeeperTest : public ::testing::Test {
 protected:
  std::vector<Sample> srvr(NodeId node, const std::string& body) {
    return adapter_->interpret(answer(node, "zookeeper/srvr", body, 0));
  }
  void expect_state(const std::vector<Sample>& samples, std::optional<double> serves,
                    std::optional<double> leads) {
    expect_known_names(samples);
    EXPECT_EQ(samples.size(), 2U);
    EXPECT_EQ(value_of(samples, "coordinator.serves", {}), serves);
    EXPECT_EQ(value_of(samples, "coordinator.leads", {}), leads);
  }

  Cluster cluster_ = coordinator_cluster("zookeeper", "{ip}:2181");
  std::unique_ptr<Adapter> adapter_ = adapter_of(cluster_);
};

TEST_F(ZooKeeperTest, AsksEveryServerAtItsOwnAddress) {
  std::map<NodeId, std::string> hosts;
  for (const NodeProbe& probe : adapter_->probes()) {
    EXPECT_TRUE(probe.probe.id().starts_with("zookeeper/"));
    if (!probe.probe.has_four_letter()) continue;
    EXPECT_NE(probe.probe.four_letter().word(), "ruok") << "a minority says imok too";
    EXPECT_EQ(probe.probe.four_letter().port(), 2181U);
    hosts[probe.node] = probe.probe.four_letter().host();
  }
  EXPECT_EQ(hosts,
            (std::map<NodeId, std::string>{{0, "10.66.1.1"}, {1, "10.66.2.1"}, {2, "fd66::3:1"}}));
}

TEST_F(ZooKeeperTest, ReadsTheStateOfAServer) {
  expect_state(srvr(0, fixture("zookeeper-srvr-leader.txt")), 1, 1);
  expect_state(srvr(1, fixture("zookeeper-srvr-follower.txt")), 1, 0);
  expect_state(srvr(2, fixture("zookeeper-minority.txt")), 0, 0);
  expect_state(srvr(2, "Zookeeper version: 3.8.0\nMode: observer\n"), 1, 0);
  EXPECT_EQ(adapter_->version(), "3.8.0");
}

TEST_F(ZooKeeperTest, SilenceHasKinds) {
  expect_state(adapter_->interpret(silence(0, "zookeeper/srvr", kTimedOut)), 0, std::nullopt);
  expect_state(adapter_->interpret(silence(0, "zookeeper/srvr", kRefused)), 0, 0);
  expect_state(adapter_->interpret(silence(0, "zookeeper/srvr", kFailed)), std::nullopt,
               std::nullopt);
  expect_state(adapter_->interpret(silence(0, "zookeeper/srvr", kUnreachable)), std::nullopt,
               std::nullopt);
}

TEST_F(ZooKeeperTest, AnswersThatSayNothingAreUnknown) {
  for (const std::string& body :
       {std::string(), fixture("zookeeper-ruok.txt"), std::string("\0\xff\n", 3),
        std::string("Mode: \n"), std::string("Mode: lead"),
        std::string("srvr is not executed because it is not in the whitelist.")}) {
    expect_state(srvr(0, body), std::nullopt, std::nullopt);
  }
}

TEST_F(ZooKeeperTest, LeaderNeedsAMajorityThatServes) {
  srvr(0, fixture("zookeeper-srvr-leader.txt"));
  EXPECT_EQ(adapter_->leader(), std::nullopt);
  srvr(1, fixture("zookeeper-srvr-follower.txt"));
  EXPECT_EQ(adapter_->leader(), 0U);
  srvr(2, fixture("zookeeper-srvr-leader.txt"));
  EXPECT_EQ(adapter_->leader(), std::nullopt) << "two claim to lead";
  srvr(0, fixture("zookeeper-minority.txt"));
  EXPECT_EQ(adapter_->leader(), 2U);
  EXPECT_EQ(adapter_->voters(), (std::vector<NodeId>{0, 1, 2}));
}

TEST_F(ZooKeeperTest, ObserversDoNotVoteEvenWhenSilent) {
  srvr(2, "Zookeeper version: 3.8.0\nMode: observer\n");
  EXPECT_EQ(adapter_->voters(), (std::vector<NodeId>{0, 1}));
  adapter_->interpret(silence(2, "zookeeper/srvr", kTimedOut));
  EXPECT_EQ(adapter_->voters(), (std::vector<NodeId>{0, 1}));
}

TEST_F(ZooKeeperTest, BoundsFollowTheLiveConfiguration) {
  EXPECT_TRUE(adapter_->timers().empty());
  for (const NodeId node : {0U, 1U}) {
    EXPECT_FALSE(adapter_->ready());
    EXPECT_TRUE(
        adapter_->interpret(answer(node, "zookeeper/conf", fixture("zookeeper-conf.txt"), 0))
            .empty());
    adapter_->interpret(answer(node, "zookeeper/tcp", "1000\n", 0));
    srvr(node, fixture("zookeeper-srvr-follower.txt"));
  }
  EXPECT_TRUE(adapter_->ready());
  auto timers = adapter_->timers();
  EXPECT_DOUBLE_EQ(timers["tick_time"].seconds, 0.2);
  EXPECT_DOUBLE_EQ(timers["sync_limit_time"].seconds, 1);
  EXPECT_DOUBLE_EQ(timers["init_limit_time"].seconds, 10);
  EXPECT_DOUBLE_EQ(timers["leader_exit_max"].seconds, 1 + 0.4 + 3);
  EXPECT_DOUBLE_EQ(timers["election_max"].seconds, 1 + 5 + 0.4 + 1 + 3);
  EXPECT_DOUBLE_EQ(timers["reregister_max"].seconds, 1 + 60 + 5 + 10 + 3);

  // The slowest server counts, and a kernel without the sysctl has TCP's constant.
  adapter_->interpret(answer(2, "zookeeper/conf", "tickTime=2000\nsyncLimit=5\ninitLimit=10\n", 0));
  adapter_->interpret(answer(2, "zookeeper/tcp", "", 1));
  timers = adapter_->timers();
  EXPECT_DOUBLE_EQ(timers["leader_exit_max"].seconds, 2 * 5 + 4 + 3);
  EXPECT_DOUBLE_EQ(timers["tcp_rto_max"].seconds, 120);
}

TEST_F(ZooKeeperTest, AMinorityDoesNotTellItsConfiguration) {
  for (const std::string& body :
       {fixture("zookeeper-minority.txt"), std::string("tickTime=x\n"), std::string("tickTime=0\n"),
        std::string("tickTime=99999999999999999999\n")}) {
    adapter_->interpret(answer(0, "zookeeper/conf", body, 0));
    EXPECT_TRUE(adapter_->timers().empty()) << body;
  }
}

TEST_F(ZooKeeperTest, OptionsAreChecked) {
  cluster_.systems[0].options["max_notification_ms"] = "500";
  adapter_ = adapter_of(cluster_);
  adapter_->interpret(answer(0, "zookeeper/conf", fixture("zookeeper-conf.txt"), 0));
  adapter_->interpret(answer(0, "zookeeper/tcp", "1000", 0));
  EXPECT_DOUBLE_EQ(adapter_->timers()["reregister_max"].seconds, 1 + 0.5 + 5 + 10 + 3);
  for (const char* bad : {"", "0", "-5", "5s", "99999999999"}) {
    cluster_.systems[0].options["max_notification_ms"] = bad;
    EXPECT_FALSE(make_adapter(cluster_, cluster_.systems[0])) << bad;
  }
}

constexpr const char* kExhibitorStatus =
    R"([{"code":3,"description":"serving","hostname":"10.66.1.1","isLeader":true},)"
    R"({"code":3,"description":"serving","hostname":"10.66.2.1","isLeader":false},)"
    R"({"code":1,"description":"down","hostname":"fd66::3:1","isLeader":false}])";

TEST_F(ZooKeeperTest, ExhibitorsTellOfTheirOwnServers) {
  cluster_.systems[0].options = {{"exhibitor", "https://{ip}/exhibitor"}};
  adapter_ = adapter_of(cluster_);
  std::vector<std::string> urls;
  for (const NodeProbe& probe : adapter_->probes()) {
    EXPECT_NE(probe.probe.four_letter().word(), "srvr") << "one probe feeds the series";
    if (probe.probe.has_http()) urls.push_back(probe.probe.http().url());
  }
  ASSERT_EQ(urls.size(), 3U);
  EXPECT_EQ(urls[0], "https://10.66.1.1/exhibitor/exhibitor/v1/cluster/status");
  const auto ask = [&](NodeId node) {
    return adapter_->interpret(answer(node, "zookeeper/exhibitor", kExhibitorStatus));
  };
  expect_state(ask(0), 1, 1);
  EXPECT_EQ(adapter_->leader(), std::nullopt) << "one of three";
  expect_state(ask(1), 1, 0);
  expect_state(ask(2), 0, 0);
  EXPECT_EQ(adapter_->leader(), 0U);
  expect_state(adapter_->interpret(silence(0, "zookeeper/exhibitor", kRefused)), std::nullopt,
               std::nullopt);
  for (const char* const body : {"{}", "[]", "[5]", "[{\"hostname\":\"10.66.1.1\"}]", ""}) {
    expect_state(adapter_->interpret(answer(0, "zookeeper/exhibitor", body)), std::nullopt,
                 std::nullopt);
  }
}

}  // namespace
}  // namespace zq::test
