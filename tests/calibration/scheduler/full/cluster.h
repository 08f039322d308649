// A real ZooKeeper, a fake master and real scheduler processes on loopback addresses of their own.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tests/calibration/scheduler/full/fake_master.h"
#include "tests/calibration/scheduler/http_client.h"
#include "tests/integration/probe/stores.h"

namespace zq::scheduler {

class TestCluster {
 public:
  // Agents a1, b1, c1 in zones a, b, c with 4 CPUs each.
  TestCluster();

  struct Node {
    std::string address;  // HOST:PORT
    std::unique_ptr<probe_test::ChildProcess> process;
    std::string log;
  };
  // With fast timers, or those given.
  Node& start_scheduler(const std::string& defects = "", std::vector<std::string> more = {});
  void start_zookeeper() { store_->start(); }

  // Status 0: no answer.
  static HttpAnswer ask(const Node& node, const std::string& method, const std::string& path,
                        const nlohmann::json& body = nullptr);
  static nlohmann::json get(const Node& node, const std::string& path);
  // Polls; false once time has run out.
  static bool eventually(const std::function<bool()>& holds,
                         Nanos within = std::chrono::seconds(40));
  // Index of the node that leads, as itself and all others say.
  std::optional<std::size_t> leader();
  bool deploy(const Node& node, const std::string& id, int instances);
  // Running in truth and as the scheduler sees it.
  bool runs(const Node& node, const std::string& id, std::size_t instances);
  static std::optional<int> exit_of(Node& node, Nanos within = std::chrono::seconds(40));

  [[nodiscard]] probe_test::Store& zookeeper() { return *store_; }
  FakeMaster& master() { return *master_; }
  std::vector<std::unique_ptr<Node>>& nodes() { return nodes_; }

 private:
  probe_test::TempDir logs_;
  std::unique_ptr<probe_test::Store> store_ = probe_test::make_zookeeper();
  std::unique_ptr<FakeMaster> master_;
  std::vector<std::unique_ptr<Node>> nodes_;
};

}  // namespace zq::scheduler
