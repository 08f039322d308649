#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <set>
#include <thread>

#include "tests/calibration/scheduler/full/cluster.h"

namespace zq::scheduler {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::IsEmpty;

std::string any_on(FakeMaster& master, const std::string& agent) {
  for (const auto& [task, where] : master.running()) {
    if (where == agent) return task;
  }
  return {};
}

TEST(SchedulerProgram, RunsAppsThroughFailureAndFailover) {
  TestCluster cluster;
  auto& first = cluster.start_scheduler();
  ASSERT_TRUE(TestCluster::eventually([&] { return cluster.leader() == 0U; }));
  auto& second = cluster.start_scheduler();
  ASSERT_TRUE(TestCluster::eventually(
      [&] { return TestCluster::ask(second, "GET", "/ping").status == 200; }));
  EXPECT_EQ(cluster.leader(), 0U);

  // Through the standby, which says whose answer it is.
  ASSERT_TRUE(cluster.deploy(second, "/web", 3));
  const auto proxied = TestCluster::ask(second, "GET", "/v2/info");
  EXPECT_EQ(proxied.headers.at("x-marathon-via"), "1.1 " + second.address);
  EXPECT_EQ(proxied.headers.at("x-marathon-leader"), "http://" + first.address);
  const auto direct = TestCluster::ask(first, "GET", "/v2/info");
  EXPECT_FALSE(direct.headers.contains("x-marathon-via"));
  EXPECT_EQ(json::parse(direct.body).at("frameworkId"), cluster.master().framework_ids().at(0));
  const auto events = TestCluster::ask(second, "GET", "/v2/events?event_type=x");
  EXPECT_EQ(events.status, 302);
  EXPECT_EQ(events.headers.at("location"), "http://" + first.address + "/v2/events?event_type=x");

  ASSERT_EQ(TestCluster::ask(first, "PUT", "/v2/apps/web", {{"instances", 5}}).status, 200);
  ASSERT_TRUE(cluster.runs(first, "/web", 5));
  cluster.master().fail_task(cluster.master().running().begin()->first);
  ASSERT_TRUE(cluster.runs(first, "/web", 5)) << "a task that failed must be started again";

  const auto before = cluster.master().running();
  first.process->kill(SIGKILL);
  ASSERT_TRUE(TestCluster::eventually([&] {
    const auto leads = TestCluster::get(second, "/v2/leader");
    return leads.is_object() && leads["leader"] == second.address;
  }));
  ASSERT_TRUE(
      TestCluster::eventually([&] { return cluster.master().framework_ids().size() == 2; }));
  EXPECT_EQ(cluster.master().framework_ids().at(1), cluster.master().framework_ids().at(0));
  ASSERT_TRUE(cluster.runs(second, "/web", 5));
  EXPECT_EQ(cluster.master().running(), before) << "a failover must not touch tasks";

  // An agent is cut off: copies elsewhere, then the originals go.
  const auto lost = any_on(cluster.master(), "b1");
  ASSERT_FALSE(lost.empty());
  cluster.master().lose_agent("b1");
  ASSERT_TRUE(TestCluster::eventually([&] {
    const auto app = TestCluster::get(second, "/v2/apps/web");
    return app.is_object() && app["app"]["tasksRunning"] == 5;
  }));
  EXPECT_GT(cluster.master().running().size(), 5U);
  EXPECT_EQ(cluster.master().running().count(lost), 1U);
  cluster.master().return_agent("b1");
  EXPECT_TRUE(cluster.runs(second, "/web", 5)) << "surplus copies must go";
  EXPECT_EQ(cluster.master().running().count(lost), 0U);
  ASSERT_EQ(TestCluster::ask(second, "DELETE", "/v2/apps/web").status, 200);
  EXPECT_TRUE(TestCluster::eventually([&] { return cluster.master().running().empty(); }));
  EXPECT_TRUE(TestCluster::eventually([&] { return cluster.master().unacknowledged() == 0; }));
  EXPECT_THAT(cluster.master().violations(), IsEmpty());
}

TEST(SchedulerProgram, SubscribesAsAPartitionAwareFramework) {
  TestCluster cluster;
  auto& node = cluster.start_scheduler("", {"--failover_timeout=3600"});
  ASSERT_TRUE(cluster.deploy(node, "/web", 1));
  const auto info = cluster.master().last_subscription().at("framework_info");
  std::set<std::string> capabilities;
  for (const auto& one : info.at("capabilities")) capabilities.insert(one.at("type"));
  EXPECT_TRUE(capabilities.contains("PARTITION_AWARE"));
  EXPECT_TRUE(capabilities.contains("REGION_AWARE"));
  EXPECT_EQ(info.at("failover_timeout"), 3600.0);
  EXPECT_TRUE(info.at("checkpoint").get<bool>());

  // The stream breaks: the same framework comes back and nothing is started again.
  const auto before = cluster.master().running();
  cluster.master().end_stream();
  ASSERT_TRUE(
      TestCluster::eventually([&] { return cluster.master().framework_ids().size() == 2; }));
  EXPECT_EQ(cluster.master().framework_ids().at(1), cluster.master().framework_ids().at(0));
  EXPECT_TRUE(cluster.runs(node, "/web", 1));
  EXPECT_EQ(cluster.master().running(), before);

  // A master that is not the leader any more sends it on.
  FakeMaster next(probe_test::own_loopback(), "m2");
  cluster.master().redirect_to(next.address());
  cluster.master().end_stream();
  EXPECT_TRUE(TestCluster::eventually([&] { return next.calls("SUBSCRIBE") == 1; }));
  EXPECT_THAT(next.violations(), IsEmpty());
}

TEST(SchedulerProgram, StreamsEvents) {
  TestCluster cluster;
  auto& node = cluster.start_scheduler();
  ASSERT_TRUE(TestCluster::eventually([&] { return cluster.leader() == 0U; }));
  std::mutex mutex;
  std::string text;
  std::atomic<bool> done = false;
  std::thread reader([&] {
    HttpClient client;
    HttpCall call;
    call.url = "http://" + node.address +
               "/v2/events?event_type=event_stream_attached&event_type=status_update_event";
    HttpClient::Listener listener;
    listener.on_head = [](const HttpAnswer& head) {
      return head.headers.at("content-type") == "text/event-stream";
    };
    listener.on_bytes = [&](std::string_view bytes) {
      const std::lock_guard lock(mutex);
      text += bytes;
      return true;
    };
    listener.stopped = [&] { return done.load(); };
    (void)client.stream(call, listener);
  });
  const auto seen = [&](const std::string& what) {
    const std::lock_guard lock(mutex);
    return text.find(what) != std::string::npos;
  };
  EXPECT_TRUE(
      TestCluster::eventually([&] { return seen("event: event_stream_attached\ndata: {"); }));
  EXPECT_TRUE(cluster.deploy(node, "/web", 1));
  EXPECT_TRUE(TestCluster::eventually([&] { return seen("\"taskStatus\":\"TASK_RUNNING\""); }));
  EXPECT_FALSE(seen("deployment_info")) << "not asked for";
  done = true;
  reader.join();
}

TEST(SchedulerProgram, AbdicatesAndEveryoneEndsWithoutZooKeeper) {
  TestCluster cluster;
  auto& first = cluster.start_scheduler();
  ASSERT_TRUE(TestCluster::eventually([&] { return cluster.leader() == 0U; }));
  auto& second = cluster.start_scheduler();
  auto& third = cluster.start_scheduler();
  ASSERT_TRUE(TestCluster::eventually([&] {
    return TestCluster::ask(second, "GET", "/ping").status == 200 &&
           TestCluster::ask(third, "GET", "/ping").status == 200;
  }));
  const auto answer = TestCluster::ask(third, "DELETE", "/v2/leader");
  EXPECT_EQ(json::parse(answer.body).at("message"), "Leadership abdicated");
  EXPECT_EQ(TestCluster::exit_of(first), 103);
  cluster.nodes().erase(cluster.nodes().begin());
  ASSERT_TRUE(TestCluster::eventually([&] { return cluster.leader().has_value(); }));

  cluster.zookeeper().kill();
  EXPECT_EQ(TestCluster::exit_of(second), 101);
  EXPECT_EQ(TestCluster::exit_of(third), 101);

  auto& alone = cluster.start_scheduler();
  ASSERT_TRUE(TestCluster::eventually([&] {
    const auto began = mono_now();
    const auto refused = TestCluster::ask(alone, "GET", "/v2/apps");
    return refused.status == 502 && refused.body == "Could not determine the current leader" &&
           mono_now() - began >= milliseconds(2400);
  }));
  EXPECT_EQ(TestCluster::exit_of(alone), 100);
}

}  // namespace
}  // namespace zq::scheduler
