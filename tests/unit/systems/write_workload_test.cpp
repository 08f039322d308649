#include <chrono>

#include "tests/unit/systems/support.h"

namespace zq::test {
namespace {

using namespace std::chrono_literals;

class WriteWorkloadTest : public ::testing::Test {
 protected:
  static std::unique_ptr<WriteWorkload> make(const Cluster& cluster) {
    auto workload = make_write_workload(cluster, cluster.systems[0], "run7", 100ms);
    EXPECT_TRUE(workload) << workload.error().message;
    return std::move(*workload);
  }
  Cluster cluster_ = coordinator_cluster("etcd", "http://{ip}:2379/");
  std::unique_ptr<WriteWorkload> workload_ = make(cluster_);
};

TEST_F(WriteWorkloadTest, WritesThroughEveryNodesOwnServer) {
  const auto writing = workload_->probes(false);
  ASSERT_EQ(writing.size(), 3U);
  EXPECT_EQ(writing[0].probe.write().kind(), "etcd");
  EXPECT_EQ(writing[0].probe.write().endpoint(), "http://10.66.1.1:2379");
  EXPECT_EQ(writing[2].probe.write().endpoint(), "http://[fd66::3:1]:2379");
  EXPECT_EQ(writing[1].probe.write().prefix(), "/zonequake/run7/n2/");
  EXPECT_EQ(writing[1].probe.interval_ms(), 100U);

  auto reading = workload_->probes(true);
  for (std::size_t i = 0; i < reading.size(); ++i) {
    EXPECT_TRUE(reading[i].probe.write().read_back());
    reading[i].probe.mutable_write()->set_read_back(false);
    EXPECT_EQ(reading[i].probe.SerializeAsString(), writing[i].probe.SerializeAsString())
        << "only read_back may differ, or the agent starts anew";
  }

  const Cluster zookeeper = coordinator_cluster("zookeeper", "{ip}:2181");
  const auto probes = make(zookeeper)->probes(false);
  EXPECT_EQ(probes[0].probe.write().endpoint(), "10.66.1.1:2181");
  EXPECT_EQ(probes[2].probe.write().endpoint(), "[fd66::3:1]:2181");
}

TEST_F(WriteWorkloadTest, LossIsUnknownUntilReadBack) {
  auto samples = workload_->interpret(silence(0, "etcd/write", kFailed));
  EXPECT_EQ(samples.size(), 4U);
  EXPECT_TRUE(all_unknown(samples));
  expect_known_names(samples);

  samples = workload_->interpret(
      answer(0, "etcd/write", R"({"attempted":12,"acknowledged":10,"failed":2,"lost":0})"));
  EXPECT_EQ(value_of(samples, "write.attempted", {{"node", "n1"}, {"zone", "a"}}), 12);
  EXPECT_EQ(value_of(samples, "write.acknowledged", {}), 10);
  EXPECT_EQ(value_of(samples, "write.lost", {}), std::nullopt);

  samples = workload_->interpret(
      answer(0, "etcd/write", R"({"attempted":12,"acknowledged":10,"read_back":false,"lost":0})"));
  EXPECT_EQ(value_of(samples, "write.lost", {}), std::nullopt);
  EXPECT_EQ(value_of(samples, "write.read_back", {}), 0);
  EXPECT_FALSE(workload_->complete());

  for (const NodeId node : {0U, 1U, 2U}) {
    EXPECT_FALSE(workload_->complete());
    samples = workload_->interpret(answer(
        node, "etcd/write",
        R"({"attempted":12,"acknowledged":10,"read_back":true,"lost":3,"lost_keys":["k"]})"));
    EXPECT_EQ(value_of(samples, "write.lost", {}), 3);
    EXPECT_EQ(value_of(samples, "write.read_back", {}), 1);
    EXPECT_FALSE(workload_->complete()) << "its keys are still there";
    workload_->interpret(
        answer(node, "etcd/write",
               R"({"attempted":12,"acknowledged":10,"read_back":true,"lost":3,"cleaned":true})"));
  }
  EXPECT_TRUE(workload_->complete());
}

TEST_F(WriteWorkloadTest, NothingReadableIsUnknown) {
  for (const char* body : {"", "[]", "{", R"({"attempted":"12"})", R"({"read_back":true})"}) {
    EXPECT_TRUE(all_unknown(workload_->interpret(answer(0, "etcd/write", body)))) << body;
  }
  EXPECT_FALSE(workload_->complete());
  EXPECT_TRUE(all_unknown(workload_->interpret(silence(0, "etcd/write", kTimedOut))));
  EXPECT_TRUE(workload_->interpret(answer(9, "etcd/write", "{}")).empty());
}

TEST_F(WriteWorkloadTest, OnlyStoresTakeWrites) {
  const Cluster swarm = swarm_cluster();
  const auto result = make_write_workload(swarm, swarm.systems[0], "run7", 100ms);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kInput);
  cluster_.systems[0].endpoint = "unix:/run/etcd.sock";
  EXPECT_FALSE(make_write_workload(cluster_, cluster_.systems[0], "run7", 100ms));
}

}  // namespace
}  // namespace zq::test
