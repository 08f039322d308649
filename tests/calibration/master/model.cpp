#include "tests/calibration/master/model.h"

#include <algorithm>
#include <array>

#include "controller/systems/json.h"

namespace zq::calibration {

using nlohmann::json;

bool is_terminal(const std::string& state) {
  constexpr std::array kTerminal{"TASK_FINISHED", "TASK_FAILED",           "TASK_KILLED",
                                 "TASK_ERROR",    "TASK_DROPPED",          "TASK_LOST",
                                 "TASK_GONE",     "TASK_GONE_BY_OPERATOR", "TASK_UNKNOWN"};
  return std::ranges::find(kTerminal, state) != kTerminal.end();
}

Task Task::from_info(const json& info, const std::string& framework) {
  Task task;
  task.id = json_string(info, {"task_id", "value"}).value_or("");
  task.name = json_string(info, {"name"}).value_or("");
  task.agent = json_string(info, {"agent_id", "value"}).value_or("");
  task.framework = framework;
  task.info = info;
  if (const json* const resources = json_at(info, {"resources"})) {
    task.resources = parse_resources(*resources);
  }
  return task;
}

void Task::take(const json& status) {
  constexpr std::size_t kKept = 10;
  state = json_string(status, {"state"}).value_or(state);
  uuid = json_string(status, {"uuid"}).value_or("");
  // As Mesos: of successive statuses of one state only the last is kept.
  if (!statuses.empty() && json_string(statuses.back(), {"state"}) == state) {
    statuses.erase(statuses.size() - 1);
  }
  statuses.push_back(status);
  if (statuses.size() > kKept) statuses.erase(0);
}

json Task::latest() const {
  json status = {{"task_id", {{"value", id}}}, {"agent_id", {{"value", agent}}}, {"state", state}};
  if (!statuses.empty()) {
    if (const json* const container = json_at(statuses.back(), {"container_status"})) {
      status["container_status"] = *container;
    }
  }
  return status;
}

bool Framework::can(const char* capability) const {
  const json* const list = json_at(info, {"capabilities"});
  if (list == nullptr || !list->is_array()) return false;
  return std::ranges::any_of(
      *list, [&](const json& one) { return json_string(one, {"type"}) == capability; });
}

double Framework::failover_timeout() const {
  return json_number(info, {"failover_timeout"}).value_or(0);
}

}  // namespace zq::calibration
