// What becomes of tasks, and who is told.
#include <algorithm>

#include "controller/systems/json.h"
#include "tests/calibration/master/master.h"

namespace zq::calibration {

using nlohmann::json;

json Master::master_status(const Task& task, const char* reason, const char* message) const {
  json status = task.latest();
  status["message"] = message;
  status["source"] = "SOURCE_MASTER";
  status["reason"] = reason;
  status["timestamp"] = wall_seconds();
  return status;
}

// {"framework": ID, "status": TaskStatus with its uuid}
scheduler::HttpReply Master::status_update(const json& message) {
  const std::string id = json_string(message, {"framework"}).value_or("");
  const json* const status = json_at(message, {"status"});
  if (status == nullptr) return text_reply(400, "no status");
  const std::lock_guard lock(mutex_);
  const auto agent = agents_.find(json_string(*status, {"agent_id", "value"}).value_or(""));
  // As Mesos: of agents that are not registered nothing is taken.
  if (agent == agents_.end()) return text_reply(503, "the agent is not registered");
  const auto framework = frameworks_.find(id);
  const TaskKey key{id, json_string(*status, {"task_id", "value"}).value_or("")};
  const auto found = tasks_.find(key);
  if (found != tasks_.end()) {
    const bool new_one = found->second.uuid != json_string(*status, {"uuid"});
    found->second.take(*status);
    if (new_one) operator_update(found->second, *status);
  }
  if (framework != frameworks_.end()) forward(framework->second, *status);
  if (found != tasks_.end() && is_terminal(found->second.state)) {
    ++counters_["master/" + mesos_metric(found->second.state)];
    agent->second.killed.erase(key);
    finish(key);
  }
  return json_reply(json::object());
}

std::string Master::mesos_metric(const std::string& state) {
  std::string name = "tasks_" + state.substr(state.find('_') + 1);
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  return name;
}

void Master::forward(Framework& framework, const json& status) {
  if (!framework.connected) return;
  framework.stream->push({{"type", "UPDATE"}, {"update", {{"status", status}}}});
}

void Master::tell_operators(const json& event) {
  for (const auto& stream : operators_) stream->push(event);
}

void Master::operator_update(const Task& task, const json& status) {
  tell_operators({{"type", "TASK_UPDATED"},
                  {"task_updated",
                   {{"framework_id", {{"value", task.framework}}},
                    {"status", status},
                    {"state", task.state}}}});
}

// The task has ended: it is kept for a while among the completed ones.
void Master::finish(const TaskKey& key) {
  constexpr std::size_t kKept = 100;
  const auto found = tasks_.find(key);
  if (found == tasks_.end()) return;
  if (const auto framework = frameworks_.find(key.first); framework != frameworks_.end()) {
    auto& completed = framework->second.completed;
    completed.push_back(found->second);
    if (completed.size() > kKept) completed.pop_front();
  }
  tasks_.erase(found);
}

}  // namespace zq::calibration
