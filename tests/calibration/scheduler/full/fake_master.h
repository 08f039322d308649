// A Mesos master and its agents inside the test: just enough of the v1 scheduler API to hold a
// framework to it. It counts what the framework does wrong.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "tests/calibration/scheduler/http_server.h"
#include "tests/calibration/scheduler/zookeeper.h"

namespace zq::scheduler {

class FakeMaster {
 public:
  FakeMaster(const std::string& ip, const std::string& id);
  ~FakeMaster();
  FakeMaster(const FakeMaster&) = delete;
  FakeMaster& operator=(const FakeMaster&) = delete;

  // Stands for election at `hosts` under /mesos.
  void enter(const std::string& hosts);
  void leave();
  // Every scheduler call is answered with 307 to that one.
  void redirect_to(const std::string& address);
  [[nodiscard]] std::string address() const { return ip_ + ":5050"; }

  void add_agent(const std::string& id, const std::string& zone, double cpus);
  // As after missed pings: tasks are unreachable, but go on running.
  void lose_agent(const std::string& id);
  void return_agent(const std::string& id);
  void set_active(const std::string& id, bool active);
  // The task ends by itself.
  void fail_task(const std::string& id);
  void end_stream();

  // What really runs, by task, on which agent.
  [[nodiscard]] std::map<std::string, std::string> running();
  [[nodiscard]] std::vector<std::string> violations();
  [[nodiscard]] std::vector<std::string> framework_ids();  // in the order of their subscriptions
  [[nodiscard]] int calls(const std::string& type);
  [[nodiscard]] int unacknowledged();
  [[nodiscard]] nlohmann::json last_subscription();

 private:
  struct Task {
    double cpus = 0;
    double mem = 0;
    std::string framework;
  };
  struct Agent {
    std::string zone;
    double cpus = 0;
    double mem = 0;
    bool reachable = true;
    bool active = true;
    std::string offer;  // outstanding
    MonoTime filtered_until{};
    std::map<std::string, Task> tasks;
  };
  struct Stream {
    std::string id;
    std::string framework;
    std::deque<std::string> records;
    bool suppressed = false;
    bool ended = false;
  };

  HttpReply handle(const HttpRequest& request);
  HttpReply subscribe(const nlohmann::json& call);
  HttpReply act(const HttpRequest& request, const nlohmann::json& call);
  void accept(Stream& stream, const nlohmann::json& accept);
  void kill(Stream& stream, const std::string& task);
  void reconcile(Stream& stream, const nlohmann::json& tasks);
  void event(Stream& stream, const nlohmann::json& event);
  void update(Stream* stream, const std::string& task, const std::string& agent,
              const std::string& state, const std::string& reason, bool acknowledged);
  void offer();
  Stream* stream_of(const std::string& framework);
  [[nodiscard]] double free_cpus(const Agent& agent) const;
  [[nodiscard]] double free_mem(const Agent& agent) const;

  std::string ip_;
  std::string id_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Agent> agents_;
  std::vector<std::shared_ptr<Stream>> streams_;
  std::map<std::string, int> calls_;
  std::map<std::string, bool> awaited_;  // uuids of updates: acknowledged
  std::vector<std::string> violations_;
  std::vector<std::string> frameworks_;
  nlohmann::json last_subscription_;
  std::string redirect_;
  int serial_ = 0;
  bool stopped_ = false;
  std::unique_ptr<ZooKeeper> zookeeper_;
  std::unique_ptr<HttpServer> server_;
  std::jthread offers_;
};

}  // namespace zq::scheduler
