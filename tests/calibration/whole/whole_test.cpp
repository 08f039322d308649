// The calibration cluster as a whole: ZooKeeper, masters, agents and schedulers as processes of
// their own on loopback addresses, and real tasks.
#include <gtest/gtest.h>
#include <signal.h>

#include <map>

#include "controller/systems/json.h"
#include "tests/calibration/scheduler/full/cluster.h"

namespace zq::scheduler {
namespace {

using nlohmann::json;
using probe_test::ChildProcess;
using std::chrono::seconds;

struct Part {
  std::string host;
  std::unique_ptr<ChildProcess> process;
};

class Whole {
 public:
  Whole() {
    store_->start();
    for (int i = 0; i < 3; ++i) start_master(i);
    for (const char* const zone : {"a", "b", "c"}) start_agent(zone);
    for (int i = 0; i < 2; ++i) start_scheduler(i);
  }

  // The scheduler that leads and answers.
  TestCluster::Node* leader() {
    for (auto& node : schedulers_) {
      if (node.process == nullptr) continue;
      const auto answer = TestCluster::get(node, "/v2/leader");
      if (answer.is_object() && answer["leader"] == node.address) return &node;
    }
    return nullptr;
  }
  // Tasks that agents say they run, with their zones.
  std::map<std::string, std::string> running() {
    std::map<std::string, std::string> tasks;
    for (const auto& [zone, agent] : agents_) {
      const auto state = TestCluster::get({agent.host + ":5051", nullptr, ""}, "/state");
      const json* const frameworks = json_at(state, {"frameworks"});
      if (frameworks == nullptr) continue;
      for (const auto& framework : *frameworks) {
        for (const auto& executor : framework.value("executors", json::array())) {
          for (const auto& task : executor.value("tasks", json::array())) {
            if (task.value("state", "") == "TASK_RUNNING") tasks[task.at("id")] = zone;
          }
        }
      }
    }
    return tasks;
  }
  bool settles(std::size_t instances) {
    return TestCluster::eventually([&] {
      auto* const node = leader();
      if (node == nullptr) return false;
      const auto app = TestCluster::get(*node, "/v2/apps/web");
      return app.is_object() && app["app"]["tasksRunning"] == instances &&
             app["app"]["deployments"].empty() && running().size() == instances;
    });
  }

  std::map<std::string, Part>& agents() { return agents_; }

 private:
  [[nodiscard]] std::string zk(const char* path) const {
    return "zk://" + store_->endpoint() + path;
  }
  [[nodiscard]] std::unique_ptr<ChildProcess> run(const std::string& program,
                                                  const std::string& name,
                                                  std::vector<std::string> options) const {
    options.insert(options.begin(), std::string(ZQ_BIN_DIR) + "/zq-calibration-" + program);
    return std::make_unique<ChildProcess>(options, dir_.path() / (name + ".log"));
  }

  void start_master(int number) {
    Part part{probe_test::own_loopback(), nullptr};
    const auto name = "master" + std::to_string(number);
    part.process =
        run("master", name,
            {"--ip=" + part.host, "--hostname=" + part.host, "--port=5050", "--zk=" + zk("/mesos"),
             "--quorum=2", "--work_dir=" + (dir_.path() / name).string(), "--domain=r1/a",
             "--zk_session_timeout=4secs", "--agent_ping_timeout=1secs",
             "--max_agent_ping_timeouts=5", "--agent_reregister_timeout=20secs"});
    masters_.push_back(std::move(part));
  }
  void start_agent(const std::string& zone) {
    Part part{probe_test::own_loopback(), nullptr};
    const auto name = "agent-" + zone;
    part.process = run(
        "agent", name,
        {"--ip=" + part.host, "--hostname=" + part.host, "--port=5051", "--master=" + zk("/mesos"),
         "--work_dir=" + (dir_.path() / name).string(), "--attributes=zone:" + zone,
         "--domain=r1/" + zone, "--resources=cpus:4;mem:1024;disk:1024;ports:[31000-31100]",
         "--zk_session_timeout=4secs", "--registration_backoff_factor=200ms"});
    agents_.emplace(zone, std::move(part));
  }
  void start_scheduler(int number) {
    TestCluster::Node node;
    const auto host = probe_test::own_loopback();
    node.address = host + ":8080";
    node.process = run("scheduler", "scheduler" + std::to_string(number),
                       {"--ip=" + host, "--hostname=" + host, "--port=8080",
                        "--zk=" + zk("/marathon"), "--master=" + zk("/mesos"),
                        "--zk_session_timeout=4000", "--reconciliation_initial_delay=1s",
                        "--reconciliation_interval=3s", "--scale_apps_initial_delay=1s",
                        "--scale_apps_interval=3s", "--min_revive_offers_interval=200",
                        "--decline_offer_duration=2s", "--kill_retry_timeout=1s"});
    schedulers_.push_back(std::move(node));
  }

  probe_test::TempDir dir_;
  std::unique_ptr<probe_test::Store> store_ = probe_test::make_zookeeper();
  std::vector<Part> masters_;
  std::map<std::string, Part> agents_;
  std::vector<TestCluster::Node> schedulers_;
};

TEST(CalibrationCluster, DeploysReplacesAndFailsOver) {
  Whole cluster;
  ASSERT_TRUE(TestCluster::eventually([&] { return cluster.leader() != nullptr; }));
  auto* first = cluster.leader();
  // Tasks outlive an agent that is killed: should this test fail, they end by themselves.
  const json app = {{"id", "/web"},   {"cmd", "exec sleep 100"},
                    {"cpus", 0.5},    {"mem", 32},
                    {"instances", 3}, {"constraints", json::array({{"@zone", "MAX_PER", "2"}})}};
  ASSERT_EQ(TestCluster::ask(*first, "POST", "/v2/apps", app).status, 201);
  ASSERT_TRUE(cluster.settles(3));
  std::map<std::string, int> zones;
  for (const auto& [task, zone] : cluster.running()) EXPECT_LE(++zones[zone], 2) << zone;

  ASSERT_EQ(TestCluster::ask(*first, "PUT", "/v2/apps/web", {{"instances", 4}}).status, 200);
  ASSERT_TRUE(cluster.settles(4));

  const auto victim = cluster.running().begin()->first;
  ASSERT_EQ(TestCluster::ask(*first, "POST", "/v2/tasks/delete", {{"ids", {victim}}}).status, 200);
  ASSERT_TRUE(TestCluster::eventually([&] { return !cluster.running().contains(victim); }));
  ASSERT_TRUE(cluster.settles(4));

  const auto before = cluster.running();
  first->process.reset();
  ASSERT_TRUE(TestCluster::eventually([&] { return cluster.leader() != nullptr; }));
  ASSERT_TRUE(cluster.settles(4));
  EXPECT_EQ(cluster.running(), before) << "a failover must not touch tasks";

  // Stopped, the agent answers no ping, and its tasks go on.
  const auto cut = before.begin()->second;
  auto& lost = cluster.agents().at(cut);
  lost.process->kill(SIGSTOP);
  EXPECT_TRUE(cluster.settles(4)) << "copies of what is lost run elsewhere";
  lost.process->kill(SIGCONT);
  EXPECT_TRUE(cluster.settles(4)) << "the originals are killed when they return";
  for (const auto& [task, zone] : cluster.running()) {
    EXPECT_FALSE(zone == cut && before.contains(task)) << task;
  }

  ASSERT_EQ(TestCluster::ask(*cluster.leader(), "DELETE", "/v2/apps/web").status, 200);
  EXPECT_TRUE(TestCluster::eventually([&] { return cluster.running().empty(); }));
}

}  // namespace
}  // namespace zq::scheduler
