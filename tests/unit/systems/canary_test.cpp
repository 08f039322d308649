#include <set>

#include "tests/unit/systems/mesos_support.h"
#include "tests/unit/systems/support.h"

namespace zq::test {
namespace {

constexpr NodeId kB1 = 3;
constexpr const char* kId = "swarm/canary/web";

class CanaryTest : public ::testing::Test {
 protected:
  Cluster cluster_ = swarm_cluster();
  std::unique_ptr<Adapter> adapter_ = make_canary_adapter(cluster_, cluster_.apps[0]);
};

std::string entry(const std::string& instance, int port) {
  return R"({"app":"web","host":"b1","instance":")" + instance + R"(","port":)" +
         std::to_string(port) + "}";
}

TEST_F(CanaryTest, WatchesEveryNodeOfTheSystem) {
  std::set<NodeId> nodes;
  for (const NodeProbe& probe : adapter_->probes()) {
    EXPECT_EQ(probe.probe.id(), kId);
    EXPECT_EQ(probe.probe.canary().host(), "127.0.0.1");
    EXPECT_EQ(probe.probe.canary().port_first(), 9000U);
    EXPECT_EQ(probe.probe.canary().port_last(), 9007U);
    EXPECT_EQ(probe.probe.canary().app(), "web");
    EXPECT_EQ(probe.probe.interval_ms(), 250U);
    EXPECT_EQ(probe.stale_after(), std::chrono::milliseconds(3 * 250 + 1000));
    nodes.insert(probe.node);
  }
  EXPECT_EQ(nodes, (std::set<NodeId>{0, 1, 2, 3, 4}));
}

TEST(CanaryOfMarathon, WatchesTheAgentsOfMesosToo) {
  const Cluster cluster = mesos_cluster();
  const auto adapter = make_canary_adapter(cluster, cluster.apps[0]);
  std::vector<NodeId> nodes;
  for (const NodeProbe& probe : adapter->probes()) nodes.push_back(probe.node);
  EXPECT_EQ(nodes, (std::vector<NodeId>{0, 1, 2, 3, 4, 5}));
}

TEST_F(CanaryTest, CoverageIsSeededUnknownAndThenZero) {
  const auto seed = adapter_->interpret(silence(kB1, kId, kFailed));
  expect_known_names(seed);
  EXPECT_EQ(value_of(seed, "app.answers", {{"instance", ""}, {"node", "b1"}, {"zone", "b"}}),
            std::nullopt);
  const auto none = adapter_->interpret(answer(kB1, kId, "[]", 0));
  ASSERT_EQ(none.size(), 1U);
  EXPECT_EQ(none[0].value, 0);
  EXPECT_EQ(adapter_->interpret(silence(kB1, kId, kRefused))[0].value, 0);
}

TEST_F(CanaryTest, AnInstanceAnswersVanishesAndHangs) {
  const Labels x{{"instance", "x"}}, y{{"instance", "y"}};
  auto samples =
      adapter_->interpret(answer(kB1, kId, "[" + entry("x", 9000) + "," + entry("y", 9001) + "]"));
  EXPECT_EQ(samples.size(), 3U);
  EXPECT_EQ(value_of(samples, "app.answers", x), 1);
  EXPECT_EQ(value_of(samples, "app.answers", y), 1);

  samples = adapter_->interpret(
      answer(kB1, kId, R"([{"port":9000,"hangs":true},)" + entry("y", 9001) + "]"));
  EXPECT_EQ(value_of(samples, "app.answers", x), 0) << "a hanging instance does not answer";
  EXPECT_EQ(value_of(samples, "app.answers", y), 1);

  samples = adapter_->interpret(answer(kB1, kId, "[" + entry("z", 9000) + "]"));
  EXPECT_EQ(samples.size(), 4U) << "vanished instances are repeated";
  EXPECT_EQ(value_of(samples, "app.answers", y), 0);
  EXPECT_EQ(value_of(samples, "app.answers", {{"instance", "z"}}), 1);
}

TEST_F(CanaryTest, ASilentNodeIsUnknownNotEmpty) {
  adapter_->interpret(answer(kB1, kId, "[" + entry("x", 9000) + "]"));
  for (const auto outcome : {kTimedOut, kFailed, kUnreachable}) {
    const auto samples = adapter_->interpret(silence(kB1, kId, outcome));
    EXPECT_EQ(samples.size(), 2U);
    EXPECT_TRUE(all_unknown(samples));
  }
  for (const char* body : {"", "{}", "null", "[", "[{]", "\xff"}) {
    EXPECT_TRUE(all_unknown(adapter_->interpret(answer(kB1, kId, body)))) << body;
  }
}

TEST_F(CanaryTest, OthersOnThePortsDoNotCount) {
  const auto samples = adapter_->interpret(answer(
      kB1, kId, R"([5, "x", {"instance":7}, {"instance":""}, {"app":"api","instance":"q"}])"));
  EXPECT_EQ(samples.size(), 1U);
}

TEST_F(CanaryTest, NodesDoNotMixTheirInstances) {
  adapter_->interpret(answer(kB1, kId, "[" + entry("x", 9000) + "]"));
  const auto other = adapter_->interpret(answer(2, kId, "[]"));
  ASSERT_EQ(other.size(), 1U);
  EXPECT_EQ(other[0].labels.at("node"), "a1");
}

}  // namespace
}  // namespace zq::test
