#include "tests/calibration/scheduler/full/cluster.h"

#include <sys/wait.h>

#include <set>
#include <thread>

namespace zq::scheduler {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

TestCluster::TestCluster() {
  store_->start();
  master_ = std::make_unique<FakeMaster>(probe_test::own_loopback(), "m1");
  master_->enter(store_->endpoint());
  for (const char* const zone : {"a", "b", "c"})
    master_->add_agent(std::string(zone) + "1", zone, 4);
}

TestCluster::Node& TestCluster::start_scheduler(const std::string& defects,
                                                std::vector<std::string> more) {
  auto node = std::make_unique<Node>();
  const auto host = probe_test::own_loopback();
  node->address = host + ":8080";
  node->log = logs_.path() / (std::to_string(nodes_.size()) + ".log");
  std::vector<std::string> argv{
      std::string(ZQ_BIN_DIR) + "/zq-calibration-scheduler",
      "--ip=" + host,
      "--port=8080",
      "--hostname=" + host,
      "--zk=zk://" + store_->endpoint() + "/marathon",
      "--master=zk://" + store_->endpoint() + "/mesos",
      "--zk_session_timeout=4000",  // as much as the server of the test grants
      "--zk_connection_timeout=5000",
      "--reconciliation_initial_delay=500",
      "--reconciliation_interval=2s",
      "--scale_apps_initial_delay=500",
      "--scale_apps_interval=2s",
      "--min_revive_offers_interval=200",
      "--decline_offer_duration=2s",
      "--kill_retry_timeout=1s",
      "--defect_delay=3s"};
  if (!defects.empty()) argv.push_back("--defect=" + defects);
  argv.insert(argv.end(), more.begin(), more.end());
  node->process = std::make_unique<probe_test::ChildProcess>(argv, node->log);
  nodes_.push_back(std::move(node));
  return *nodes_.back();
}

HttpAnswer TestCluster::ask(const Node& node, const std::string& method, const std::string& path,
                            const json& body) {
  HttpClient client;
  HttpCall call;
  call.method = method;
  call.url = "http://" + node.address + path;
  call.connect_timeout = seconds(1);
  call.timeout = seconds(5);
  if (!body.is_null()) {
    call.body = body.dump();
    call.headers["Content-Type"] = "application/json";
  }
  return client.call(call).value_or(HttpAnswer{});
}

json TestCluster::get(const Node& node, const std::string& path) {
  const auto answer = ask(node, "GET", path);
  return answer.status == 200 ? json::parse(answer.body, nullptr, false) : json();
}

bool TestCluster::eventually(const std::function<bool()>& holds, Nanos within) {
  const auto deadline = mono_now() + within;
  for (;;) {
    if (holds()) return true;
    if (mono_now() >= deadline) return false;
    std::this_thread::sleep_for(milliseconds(50));
  }
}

std::optional<std::size_t> TestCluster::leader() {
  std::set<std::string> named;
  for (const auto& node : nodes_) {
    const auto answer = get(*node, "/v2/leader");
    if (answer.is_object()) named.insert(answer.value("leader", ""));
  }
  if (named.size() != 1) return std::nullopt;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i]->address == *named.begin()) return i;
  }
  return std::nullopt;
}

bool TestCluster::deploy(const Node& node, const std::string& id, int instances) {
  const json app = {
      {"id", id}, {"cmd", "sleep 1000"}, {"cpus", 1}, {"mem", 32}, {"instances", instances}};
  return eventually([&] { return ask(node, "POST", "/v2/apps", app).status == 201; }) &&
         runs(node, id, static_cast<std::size_t>(instances));
}

bool TestCluster::runs(const Node& node, const std::string& id, std::size_t instances) {
  const auto prefix = id.substr(1) + ".instance-";
  return eventually([&] {
    std::size_t real = 0;
    for (const auto& [task, agent] : master_->running()) {
      if (task.rfind(prefix, 0) == 0) ++real;
    }
    const auto seen = get(node, "/v2/apps" + id);
    return real == instances && seen.is_object() && seen["app"]["tasksRunning"] == instances &&
           seen["app"]["deployments"].empty();
  });
}

std::optional<int> TestCluster::exit_of(Node& node, Nanos within) {
  const auto ended = node.process->wait_end(within);
  if (!ended || !WIFEXITED(*ended)) return std::nullopt;
  return WEXITSTATUS(*ended);
}

}  // namespace zq::scheduler
