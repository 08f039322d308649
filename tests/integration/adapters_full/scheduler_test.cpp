// The adapter for Marathon against the calibration scheduler: real processes, elected through a
// real ZooKeeper, that present Marathon's interface.
#include <signal.h>

#include "tests/calibration/scheduler/full/cluster.h"
#include "tests/integration/adapters/running.h"

namespace zq::test {
namespace {

using scheduler::TestCluster;

constexpr NodeId kFirst = 0, kSecond = 1;

// The schedulers are the first two nodes, the master's agents are the next three.
Cluster describe(TestCluster& live) {
  Cluster cluster = mesos_cluster({"web"});
  for (const NodeId node : {kFirst, kSecond}) {
    const std::string& address = live.nodes().at(node)->address;
    cluster.nodes[node].addresses = {IpPrefix::parse(address.substr(0, address.find(':'))).value()};
  }
  cluster.nodes[2].roles = {"master"};
  for (std::size_t i = 3; i < 6; ++i) cluster.nodes[i].name = "host-" + cluster.nodes[i].name;
  cluster.systems[0].endpoint = "http://{ip}:8080";
  cluster.systems[1].endpoint = "http://{ip}:8080";
  return cluster;
}

std::optional<double> sum(const std::vector<Sample>& samples, const std::string& state) {
  double total = 0;
  for (const Sample& sample : samples) {
    if (sample.signal != "app.instances" || sample.labels.at("state") != state) continue;
    if (!sample.value) return std::nullopt;
    total += *sample.value;
  }
  return total;
}

bool says(const std::vector<Sample>& samples, const std::string& signal, double value) {
  return samples.size() == 1 && samples[0].signal == signal && samples[0].value == value;
}

TEST(LiveScheduler, IsUnderstoodThroughLossAndFailover) {
  TestCluster live;
  live.start_scheduler();
  ASSERT_TRUE(TestCluster::eventually([&] { return live.leader() == 0U; }));
  live.start_scheduler();
  ASSERT_TRUE(TestCluster::eventually(
      [&] { return TestCluster::ask(*live.nodes().at(1), "GET", "/ping").status == 200; }));
  ASSERT_TRUE(live.deploy(*live.nodes().at(0), "/web", 3));

  const Cluster cluster = describe(live);
  Running running(cluster, cluster.systems[1], {kFirst, kSecond});
  const auto leads = [&](NodeId node, double value) {
    return running.eventually(node, "marathon/leader", [&](const auto& samples) {
      return says(samples, "scheduler.leads", value);
    });
  };
  const auto web_has = [&](NodeId node, const std::string& state, double count) {
    return running.eventually(node, "marathon/app/web",
                              [&](const auto& samples) { return sum(samples, state) == count; });
  };
  const auto accepts = [&](NodeId node) {
    return running.eventually(node, "marathon/accepts", [&](const auto& samples) {
      return says(samples, "scheduler.accepts", 1);
    });
  };
  EXPECT_TRUE(leads(kFirst, 1));
  EXPECT_TRUE(leads(kSecond, 0));
  EXPECT_EQ(running.adapter().leader(), kFirst);
  EXPECT_TRUE(web_has(kFirst, "running", 3));
  EXPECT_TRUE(all_unknown(running.samples(kSecond, "marathon/app/web", 1)));
  EXPECT_TRUE(accepts(kFirst));
  EXPECT_TRUE(accepts(kSecond)) << "through the leader";
  EXPECT_TRUE(running.eventually(kFirst, "marathon/queue", [](const auto& samples) {
    return says(samples, "app.waiting", 0);
  }));
  ASSERT_FALSE(running.samples(kFirst, "marathon/info").size());
  EXPECT_FALSE(running.adapter().version().empty());
  EXPECT_EQ(running.adapter().timers()["reconciliation_interval"].seconds, 2);

  // A lost agent's instance is replaced, and what comes back of it is too many.
  live.master().lose_agent("b1");
  EXPECT_TRUE(web_has(kFirst, "running", 3));
  live.master().return_agent("b1");
  EXPECT_TRUE(live.runs(*live.nodes().at(0), "/web", 3));
  EXPECT_TRUE(web_has(kFirst, "running", 3));

  live.nodes().at(0)->process->kill(SIGKILL);
  EXPECT_TRUE(leads(kSecond, 1));
  EXPECT_TRUE(leads(kFirst, 0));
  EXPECT_TRUE(web_has(kSecond, "running", 3)) << "its own words now";
  EXPECT_TRUE(accepts(kSecond));
  EXPECT_EQ(running.adapter().leader(), std::nullopt) << "one of two";
  EXPECT_TRUE(running.eventually(kFirst, "marathon/port", [](const auto& samples) {
    return says(samples, "scheduler.up", 0);
  }));
}

}  // namespace
}  // namespace zq::test
