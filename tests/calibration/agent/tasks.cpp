// Tasks: their processes, and the updates that have to reach their framework.
#include <spdlog/spdlog.h>
#include <sys/wait.h>

#include <boost/uuid/random_generator.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>

#include "controller/systems/json.h"
#include "tests/calibration/agent/agent.h"
#include "tests/calibration/scheduler/http_client.h"

namespace zq::calibration {

using nlohmann::json;

namespace {

constexpr Nanos kFirstPause = std::chrono::seconds(10);    // STATUS_UPDATE_RETRY_INTERVAL_MIN
constexpr Nanos kLongestPause = std::chrono::minutes(10);  // STATUS_UPDATE_RETRY_INTERVAL_MAX
constexpr Nanos kUnsent = std::chrono::milliseconds(500);
constexpr Nanos kUpdate = std::chrono::seconds(3);

std::string new_uuid() {
  std::string text = to_string(boost::uuids::random_generator()());
  std::erase(text, '-');  // then it is base64, as the protocol's bytes are
  return text;
}

bool wants_killing(const json& framework) {
  for (const auto& one : framework.value("capabilities", json::array())) {
    if (json_string(one, {"type"}) == "TASK_KILLING_STATE") return true;
  }
  return false;
}

}  // namespace

std::string Agent::Task::state() const {
  return statuses.empty() ? "TASK_STAGING" : statuses.back().value("state", "TASK_STAGING");
}

void Agent::run_task(const json& message) {
  const json& info = message.at("task");
  const auto framework = json_string(message, {"framework", "id", "value"}).value_or("");
  const TaskKey key{framework, json_string(info, {"task_id", "value"}).value_or("")};
  if (tasks_.contains(key)) return;
  frameworks_[framework] = message.at("framework");
  Task& task = tasks_[key];
  task.info = info;
  task.container = to_string(boost::uuids::random_generator()());
  const auto process = start_process(info.value("command", json::object()),
                                     options_.work_dir + "/sandboxes/" + task.container);
  if (!process) {
    task.over = true;
    update(key, task, "TASK_FAILED", process.error().message);
    return;
  }
  task.process = *process;
  spdlog::info("task {} runs as process {}", key.second, task.process.pid);
  update(key, task, "TASK_STARTING", "");
  update(key, task, "TASK_RUNNING", "");
}

void Agent::kill_task(const TaskKey& key, Nanos grace) {
  const auto found = tasks_.find(key);
  if (found == tasks_.end() || found->second.over || found->second.killed) return;
  Task& task = found->second;
  task.killed = true;
  task.force_at = mono_now() + grace;
  const auto framework = frameworks_.find(key.first);
  if (framework != frameworks_.end() && wants_killing(framework->second)) {
    update(key, task, "TASK_KILLING", "");
  }
  signal_process(task.process, SIGTERM);
}

void Agent::kill_all() {
  spdlog::warn("kills all tasks");
  for (const auto& [key, task] : tasks_) signal_process(task.process, SIGKILL);
}

void Agent::tick() {
  const std::lock_guard lock(mutex_);
  for (auto& [key, task] : tasks_) {
    if (task.over) continue;
    if (task.force_at && mono_now() >= *task.force_at) {
      signal_process(task.process, SIGKILL);
      task.force_at.reset();
    }
    const auto status = ended(task.process);
    if (!status) continue;
    task.over = true;
    const bool well = *status != -1 && WIFEXITED(*status) && WEXITSTATUS(*status) == 0;
    spdlog::info("task {} has ended: {}", key.second, *status);
    update(key, task,
           task.killed ? "TASK_KILLED"
           : well      ? "TASK_FINISHED"
                       : "TASK_FAILED",
           *status == -1 ? "the executor is gone" : fmt::format("Command ended: {}", *status));
  }
}

void Agent::update(const TaskKey& key, Task& task, const std::string& state,
                   const std::string& message) {
  json status = {
      {"task_id", {{"value", key.second}}},
      {"state", state},
      {"source", "SOURCE_EXECUTOR"},
      {"agent_id", {{"value", id_}}},
      {"executor_id", {{"value", key.second}}},
      {"timestamp", static_cast<double>(wall_now_ns()) / 1e9},
      {"uuid", new_uuid()},
      {"container_status",
       {{"container_id", {{"value", task.container}}},
        {"executor_pid", task.process.pid},
        {"network_infos",
         json::array({{{"ip_addresses",
                        json::array({{{"protocol", "IPv4"}, {"ip_address", options_.ip}}})}}})}}}};
  if (!message.empty()) status["message"] = message;
  if (state == "TASK_FAILED") status["reason"] = "REASON_COMMAND_EXECUTOR_FAILED";
  task.statuses.push_back(status);
  if (task.unacknowledged.empty()) task.send_at = {};
  task.unacknowledged.push_back(std::move(status));
  save();
  changed_.notify_all();
}

void Agent::acknowledge(const json& message) {
  const TaskKey key{json_string(message, {"framework"}).value_or(""),
                    json_string(message, {"task"}).value_or("")};
  const auto found = tasks_.find(key);
  if (found == tasks_.end()) return;
  Task& task = found->second;
  if (task.unacknowledged.empty() ||
      json_string(task.unacknowledged.front(), {"uuid"}) != json_string(message, {"uuid"})) {
    return;
  }
  task.unacknowledged.pop_front();
  task.send_at = {};
  task.pause = Nanos{0};
  if (task.over && task.unacknowledged.empty()) tasks_.erase(found);
  save();
  changed_.notify_all();
}

// One update of a task at a time, again and again until its framework has acknowledged it.
void Agent::send_updates() {
  scheduler::HttpClient client;
  for (;;) {
    scheduler::HttpCall call;
    TaskKey key;
    {
      std::unique_lock lock(mutex_);
      const auto due = [&] {
        if (!registered_ || leader_.is_null()) return false;
        for (const auto& [name, task] : tasks_) {
          if (task.unacknowledged.empty() || mono_now() < task.send_at) continue;
          key = name;
          return true;
        }
        return false;
      };
      if (!changed_.wait_for(lock, kUnsent, due)) continue;
      Task& task = tasks_.at(key);
      task.pause = task.pause == Nanos{0} ? kFirstPause : std::min(2 * task.pause, kLongestPause);
      task.send_at = mono_now() + task.pause;
      json status = task.unacknowledged.front();
      status["agent_id"] = {{"value", id_}};
      call.method = "POST";
      call.url = fmt::format("http://{}:{}/agent/update",
                             json_string(leader_, {"address", "ip"}).value_or(""),
                             leader_.at("address").value("port", 5050));
      call.headers = {{"Content-Type", "application/json"}};
      call.body = json{{"framework", key.first}, {"status", status}}.dump();
      call.connect_timeout = call.timeout = kUpdate;
    }
    const auto answer = client.call(call);
    if (answer && answer->status == 200) continue;
    // It never arrived, which libprocess' queue would make good.
    const std::lock_guard lock(mutex_);
    if (const auto found = tasks_.find(key); found != tasks_.end()) {
      found->second.send_at = mono_now() + kUnsent;
      found->second.pause = Nanos{0};
    }
  }
}

void Agent::save() const {
  json tasks = json::array();
  for (const auto& [key, task] : tasks_) {
    tasks.push_back({{"framework", key.first},
                     {"task", key.second},
                     {"info", task.info},
                     {"container", task.container},
                     {"pid", task.process.pid},
                     {"started", task.process.started},
                     {"statuses", task.statuses},
                     {"unacknowledged", task.unacknowledged},
                     {"over", task.over},
                     {"killed", task.killed}});
  }
  const std::string path = options_.work_dir + "/agent.json";
  {
    std::ofstream file(path + ".next", std::ios::trunc);
    file << json{{"id", id_}, {"frameworks", frameworks_}, {"tasks", tasks}}.dump();
  }
  if (std::rename((path + ".next").c_str(), path.c_str()) != 0) {
    spdlog::error("{} cannot be written", path);
  }
}

// Tasks that outlived an earlier agent of this node are its tasks again.
void Agent::restore() {
  std::ifstream file(options_.work_dir + "/agent.json");
  if (!file) return;
  std::stringstream text;
  text << file.rdbuf();
  const json root = parse_json(text.str());
  if (!root.is_object()) return;
  const std::lock_guard lock(mutex_);
  try {
    id_ = root.at("id");
    registered_before_ = !id_.empty();
    frameworks_ = root.at("frameworks").get<std::map<std::string, json>>();
    for (const auto& one : root.at("tasks")) {
      Task& task = tasks_[{one.at("framework"), one.at("task")}];
      task.info = one.at("info");
      task.container = one.at("container");
      task.process = {one.at("pid"), one.at("started")};
      task.statuses = one.at("statuses");
      for (const auto& status : one.at("unacknowledged")) task.unacknowledged.push_back(status);
      task.over = one.at("over");
      task.killed = one.at("killed");
    }
  } catch (const json::exception& error) {
    spdlog::error("what an earlier agent left cannot be read: {}", error.what());
    id_.clear();
    tasks_.clear();
  }
  spdlog::info("recovered as {} with {} tasks", id_, tasks_.size());
}

}  // namespace zq::calibration
