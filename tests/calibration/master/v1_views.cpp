// What the master shows of itself in the operator API's form. All under the lock.
#include "controller/systems/json.h"
#include "tests/calibration/master/master.h"

namespace zq::calibration {

using nlohmann::json;

namespace {

json time_of(double seconds) { return {{"nanoseconds", static_cast<std::int64_t>(seconds * 1e9)}}; }

}  // namespace

json Master::v1_agent(const AgentEntry& agent) const {
  json view = {{"agent_info", agent.info},
               {"active", agent.active},
               {"deactivated", false},
               {"version", kVersion},
               {"pid", "slave(1)@" + agent.address},
               {"registered_time", time_of(agent.registered_time)},
               {"total_resources", v1_resources(agent.total, false)},
               {"allocated_resources", v1_resources(used_on(agent.id), true)},
               {"offered_resources", v1_resources(offered_on(agent.id), true)},
               {"capabilities", json::array({{{"type", "MULTI_ROLE"}}})}};
  if (agent.reregistered_time) view["reregistered_time"] = time_of(*agent.reregistered_time);
  return view;
}

json Master::v1_agents() const {
  json agents = json::array();
  for (const auto& [id, agent] : agents_) agents.push_back(v1_agent(agent));
  json recovered = json::array();
  for (const auto& [id, agent] : recovered_) recovered.push_back(agent.info);
  return {{"agents", agents}, {"recovered_agents", recovered}};
}

json Master::v1_framework(const Framework& framework) const {
  Resources used;
  for (const auto& [key, task] : tasks_) {
    if (key.first == framework.id) used += task.resources;
  }
  return {{"framework_info", framework.info},
          {"active", framework.connected},
          {"connected", framework.connected},
          {"recovered", framework.recovered},
          {"registered_time", time_of(framework.registered_time)},
          {"reregistered_time", time_of(framework.reregistered_time)},
          {"allocated_resources", v1_resources(used, true)}};
}

json Master::v1_frameworks() const {
  json list = json::array();
  json completed = json::array();
  for (const auto& [id, framework] : frameworks_) list.push_back(v1_framework(framework));
  for (const auto& framework : ended_frameworks_) completed.push_back(v1_framework(framework));
  return {{"frameworks", list}, {"completed_frameworks", completed}};
}

json Master::v1_task(const Task& task) const {
  json view = {{"name", task.name},
               {"task_id", {{"value", task.id}}},
               {"framework_id", {{"value", task.framework}}},
               {"agent_id", {{"value", task.agent}}},
               {"state", task.state},
               {"resources", v1_resources(task.resources, true)},
               {"statuses", task.statuses},
               {"status_update_state", task.state}};
  if (!task.uuid.empty()) view["status_update_uuid"] = task.uuid;
  if (const json* const labels = json_at(task.info, {"labels"})) view["labels"] = *labels;
  return view;
}

json Master::v1_tasks() const {
  json tasks = json::array();
  json unreachable = json::array();
  json completed = json::array();
  for (const auto& [key, task] : tasks_) tasks.push_back(v1_task(task));
  for (const auto& [id, framework] : frameworks_) {
    for (const auto& [name, task] : framework.unreachable) unreachable.push_back(v1_task(task));
    for (const auto& task : framework.completed) completed.push_back(v1_task(task));
  }
  return {{"tasks", tasks},
          {"unreachable_tasks", unreachable},
          {"completed_tasks", completed},
          {"pending_tasks", json::array()},
          {"orphan_tasks", json::array()}};
}

json Master::v1_state() const {
  return {{"get_tasks", v1_tasks()},
          {"get_executors", json::object()},
          {"get_frameworks", v1_frameworks()},
          {"get_agents", v1_agents()}};
}

}  // namespace zq::calibration
