// Defects of the program: who leads, what is stored, whom it believes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <set>

#include "tests/calibration/scheduler/full/cluster.h"

namespace zq::scheduler {
namespace {

using nlohmann::json;
using std::chrono::seconds;

bool leads(const TestCluster::Node& node) {
  const auto answer = TestCluster::get(node, "/v2/leader");
  return answer.is_object() && answer["leader"] == node.address;
}

TEST(SchedulerDefects, StandbyLeads) {
  TestCluster cluster;
  auto& first = cluster.start_scheduler();
  ASSERT_TRUE(cluster.deploy(first, "/web", 1));
  auto& second = cluster.start_scheduler("standby-leads");
  ASSERT_TRUE(TestCluster::eventually([&] { return leads(first) && leads(second); }));
  EXPECT_TRUE(TestCluster::eventually([&] { return cluster.master().running().size() == 2; }))
      << "both run the app";
  const auto ids = cluster.master().framework_ids();
  EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), 2U);
}

TEST(SchedulerDefects, LosesAcceptedUpdatesAndAnswersWithoutAStore) {
  TestCluster cluster;
  auto& first = cluster.start_scheduler("loses-accepted-updates");
  ASSERT_TRUE(TestCluster::eventually([&] { return cluster.leader() == 0U; }));
  ASSERT_TRUE(cluster.deploy(first, "/web", 1));
  auto& second = cluster.start_scheduler();
  ASSERT_TRUE(TestCluster::eventually(
      [&] { return TestCluster::ask(second, "GET", "/ping").status == 200; }));
  first.process->kill(SIGKILL);
  ASSERT_TRUE(TestCluster::eventually([&] { return leads(second); }));
  EXPECT_EQ(TestCluster::ask(second, "GET", "/v2/apps/web").status, 404) << "it was accepted";

  auto& third = cluster.start_scheduler("loses-accepted-updates");
  second.process->kill(SIGKILL);
  ASSERT_TRUE(TestCluster::eventually([&] { return leads(third); }));
  cluster.zookeeper().pause();
  ASSERT_TRUE(TestCluster::eventually([&] {
    std::ifstream log(third.log);
    const std::string text(std::istreambuf_iterator<char>(log), {});
    return text.find("suspended") != std::string::npos;
  }));
  const auto accepted = TestCluster::eventually([&] {
    const json app = {{"id", "/late"}, {"cmd", "x"}, {"instances", 0}};
    const auto answer = TestCluster::ask(third, "POST", "/v2/apps", app);
    return answer.status == 201 || answer.status == 409;
  });
  cluster.zookeeper().resume();
  EXPECT_TRUE(accepted);
  EXPECT_EQ(TestCluster::exit_of(third), 101);
}

TEST(SchedulerDefects, StaysLeaderAndAnswersWithoutOne) {
  TestCluster cluster;
  auto& stays = cluster.start_scheduler("stays-leader");
  ASSERT_TRUE(TestCluster::eventually([&] { return leads(stays); }));
  cluster.zookeeper().kill();
  EXPECT_FALSE(TestCluster::exit_of(stays, seconds(5)));
  EXPECT_TRUE(leads(stays)) << "it must go on leading without ZooKeeper";

  auto& answers = cluster.start_scheduler("answers-without-leader");
  EXPECT_TRUE(TestCluster::eventually([&] {
    const auto answer = TestCluster::ask(answers, "PUT", "/v2/apps/web", {{"instances", 2}});
    return answer.status == 200 && json::parse(answer.body).contains("deploymentId");
  }));
}

TEST(SchedulerDefects, OldLeaderKeepsWriting) {
  TestCluster cluster;
  auto& old = cluster.start_scheduler("old-leader-keeps-writing");
  ASSERT_TRUE(cluster.deploy(old, "/web", 1));
  auto& next = cluster.start_scheduler();
  ASSERT_TRUE(TestCluster::eventually(
      [&] { return TestCluster::ask(next, "GET", "/ping").status == 200; }));
  // Its session ends while it cannot tell; the lawful leader changes the app meanwhile.
  old.process->kill(SIGSTOP);
  ASSERT_TRUE(TestCluster::eventually([&] { return leads(next); }));
  ASSERT_TRUE(TestCluster::eventually([&] {
    return TestCluster::ask(next, "PUT", "/v2/apps/web", {{"instances", 2}}).status == 200;
  }));
  old.process->kill(SIGCONT);
  EXPECT_TRUE(TestCluster::eventually([&] {
    const auto both = cluster.master().framework_ids();
    return leads(old) && both.size() >= 3;
  })) << "the old one must subscribe again";
  // Whoever reads the state now reads the old one's.
  next.process->kill(SIGKILL);
  auto& reader = cluster.start_scheduler();
  ASSERT_TRUE(TestCluster::eventually([&] { return leads(reader); }));
  EXPECT_EQ(TestCluster::get(reader, "/v2/apps/web")["app"]["instances"], 1);
}

TEST(SchedulerDefects, TearsDownOnFailoverAndTrustsActive) {
  TestCluster cluster;
  auto& first = cluster.start_scheduler();
  ASSERT_TRUE(cluster.deploy(first, "/web", 2));
  auto& second = cluster.start_scheduler("tears-down-on-failover,reschedules-on-inactive");
  const auto before = cluster.master().running();
  first.process->kill(SIGKILL);
  ASSERT_TRUE(TestCluster::eventually([&] { return leads(second); }));
  ASSERT_TRUE(TestCluster::eventually([&] { return cluster.master().calls("TEARDOWN") == 1; }));
  ASSERT_TRUE(cluster.runs(second, "/web", 2)) << "anew, under another framework id";
  const auto ids = cluster.master().framework_ids();
  EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), 2U);
  for (const auto& [task, agent] : cluster.master().running()) EXPECT_FALSE(before.contains(task));

  // Not a single ping was missed, and still it starts a copy.
  const auto agent = cluster.master().running().begin()->second;
  cluster.master().set_active(agent, false);
  EXPECT_TRUE(TestCluster::eventually([&] {
    return cluster.master().calls("ACCEPT") >= 2 && cluster.master().running().size() > 2;
  }));
}

}  // namespace
}  // namespace zq::scheduler
