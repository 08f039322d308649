// The calibration cluster's Mesos agent: follows the leading master in ZooKeeper, registers with
// it, and runs tasks, which go on whatever becomes of masters and of the agent itself.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "tests/calibration/agent/options.h"
#include "tests/calibration/agent/process.h"
#include "tests/calibration/mesos/candidacy.h"
#include "tests/calibration/scheduler/http_server.h"

namespace zq::calibration {

class Agent {
 public:
  explicit Agent(AgentOptions options);
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // Until SIGTERM or SIGINT, which must be blocked: tasks are left running.
  Status run();

 private:
  using Json = nlohmann::json;
  using Reply = scheduler::HttpReply;
  using TaskKey = std::pair<std::string, std::string>;  // framework, task

  struct Task {
    Json info;  // TaskInfo
    std::string container;
    ProcessId process;
    Json statuses = Json::array();
    std::deque<Json> unacknowledged;
    MonoTime send_at{};
    Nanos pause{0};
    bool over = false;    // the process is gone; its last status may still be on its way
    bool killed = false;  // asked for
    std::optional<MonoTime> force_at;

    [[nodiscard]] std::string state() const;
  };

  // agent.cpp
  void watch_masters();
  void keep_registered();
  bool register_once(const Json& leader);
  void on_registered(const Json& answer);
  void shut_down();
  [[nodiscard]] Json registration() const;

  // tasks.cpp
  void tick();
  void run_task(const Json& message);
  void kill_task(const TaskKey& key, Nanos grace);
  void kill_all();
  void acknowledge(const Json& message);
  void update(const TaskKey& key, Task& task, const std::string& state, const std::string& message);
  void send_updates();
  void save() const;
  void restore();

  // front.cpp
  Reply handle(const scheduler::HttpRequest& request);
  Reply command(const std::string& path, const Json& message);
  [[nodiscard]] Json state_view() const;
  [[nodiscard]] Json containers_view() const;
  [[nodiscard]] Json metrics_view() const;

  const AgentOptions options_;
  const double start_time_;
  const MonoTime started_;
  std::unique_ptr<scheduler::HttpServer> server_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Json leader_;  // MasterInfo; null while none is known
  bool registered_ = false;
  bool registered_before_ = false;
  MonoTime last_ping_{};
  Nanos ping_deadline_{0};
  std::string id_;
  std::map<std::string, Json> frameworks_;  // FrameworkInfo by id
  std::map<TaskKey, Task> tasks_;
};

}  // namespace zq::calibration
