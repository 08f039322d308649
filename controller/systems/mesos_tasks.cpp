#include "controller/systems/mesos_tasks.h"

#include <algorithm>
#include <array>

#include "controller/systems/json.h"

namespace zq {
namespace {

using nlohmann::json;

bool is_terminal(const std::string& state) {
  constexpr std::array kTerminal{
      "TASK_FINISHED", "TASK_FAILED", "TASK_KILLED",           "TASK_ERROR",
      "TASK_DROPPED",  "TASK_GONE",   "TASK_GONE_BY_OPERATOR", "TASK_UNKNOWN"};
  return std::ranges::find(kTerminal, state) != kTerminal.end();
}

// "Lost" is said of tasks that are over, and, to frameworks that are not partition-aware, of those
// whose agent is unreachable. Only the reason tells: v1 says AGENT where v0 says SLAVE.
bool is_out_of_reach(const json& status) {
  const std::string reason = json_string(status, {"reason"}).value_or("");
  return reason.ends_with("_AGENT_REMOVED") || reason.ends_with("_SLAVE_REMOVED") ||
         json_at(status, {"unreachable_time"}) != nullptr;
}

}  // namespace

void MesosTasks::forget() {
  known_ = false;
  tasks_.clear();
}

bool MesosTasks::put(const json& task) {
  const auto id = json_string(task, {"task_id", "value"});
  const auto framework = json_string(task, {"framework_id", "value"});
  const auto state = json_string(task, {"state"});
  if (!id || !framework || !state) return false;
  const auto app = app_of_(*id, json_string(task, {"name"}).value_or(""));
  if (!app) return true;
  tasks_[{*framework, *id}] = {*app, json_string(task, {"agent_id", "value"}).value_or(""),
                               mesos_state_name(*state)};
  return true;
}

bool MesosTasks::take_tasks(const json& get_tasks) {
  tasks_.clear();
  if (!get_tasks.is_object()) return false;
  // Completed ones are over, pending ones have no agent. Empty lists may be left out.
  for (const char* const key : {"tasks", "unreachable_tasks", "orphan_tasks"}) {
    const json* const list = json_at(get_tasks, {key});
    if (list == nullptr) continue;
    if (!list->is_array()) return false;
    for (const json& task : *list) {
      const std::string state = json_string(task, {"state"}).value_or("");
      if (is_terminal(state)) continue;
      if (!put(task)) return false;
    }
  }
  return true;
}

void MesosTasks::learn_agent(const json& agent) {
  const auto id = json_string(agent, {"agent_info", "id", "value"});
  if (!id) return;
  MesosAgent& known = agents_.emplace_back();
  known.id = *id;
  known.hostname = json_string(agent, {"agent_info", "hostname"}).value_or("");
  known.host = host_of_address(json_string(agent, {"pid"}).value_or(""));
}

// Names are those of the v0 protocol.
bool MesosTasks::put_flat(const json& task) {
  const auto id = json_string(task, {"id"});
  const auto framework = json_string(task, {"framework_id"});
  const auto state = json_string(task, {"state"});
  if (!id || !framework || !state) return false;
  const auto app = app_of_(*id, json_string(task, {"name"}).value_or(""));
  if (is_terminal(*state) || !app) return true;
  tasks_[{*framework, *id}] = {*app, json_string(task, {"slave_id"}).value_or(""),
                               mesos_state_name(*state)};
  return true;
}

bool MesosTasks::take_state(const std::string& body) {
  const json root = parse_json(body);
  forget();
  const json* const frameworks = json_at(root, {"frameworks"});
  const json* const slaves = json_at(root, {"slaves"});
  if (frameworks == nullptr || !frameworks->is_array() || slaves == nullptr) return false;
  for (const json& framework : *frameworks) {
    for (const char* const key : {"tasks", "unreachable_tasks"}) {
      const json* const list = json_at(framework, {key});
      if (list == nullptr) continue;  // the second came with 1.2
      if (!list->is_array() ||
          !std::ranges::all_of(*list, [&](const json& task) { return put_flat(task); })) {
        forget();
        return false;
      }
    }
  }
  if (slaves->is_array()) {
    for (const json& agent : *slaves) {
      const auto id = json_string(agent, {"id"});
      if (!id) continue;
      MesosAgent& known = agents_.emplace_back();
      known.id = *id;
      known.hostname = json_string(agent, {"hostname"}).value_or("");
      known.host = host_of_address(json_string(agent, {"pid"}).value_or(""));
    }
  }
  known_ = true;
  return true;
}

bool MesosTasks::take_event(const std::string& body) {
  const json event = parse_json(body);
  const auto type = json_string(event, {"type"});
  const auto fails = [&] {
    forget();
    return false;
  };
  if (!type) return fails();
  if (*type == "SUBSCRIBED") {
    const json* const state = json_at(event, {"subscribed", "get_state"});
    if (state == nullptr) return fails();
    const json* const tasks = json_at(*state, {"get_tasks"});
    known_ = tasks == nullptr ? (tasks_.clear(), true) : take_tasks(*tasks);
    for (const char* const key : {"agents", "recovered_agents"}) {
      const json* const agents = json_at(*state, {"get_agents", key});
      if (agents == nullptr || !agents->is_array()) continue;
      // Recovered agents are listed without the wrapping of registered ones.
      for (const json& agent : *agents) {
        learn_agent(json_at(agent, {"agent_info"}) == nullptr ? json{{"agent_info", agent}}
                                                              : agent);
      }
    }
    return known_ || fails();
  }
  if (!known_) return fails();
  if (*type == "TASK_ADDED") {
    const json* const task = json_at(event, {"task_added", "task"});
    return (task != nullptr && put(*task)) || fails();
  }
  if (*type == "TASK_UPDATED") return update(event) || fails();
  if (*type == "AGENT_ADDED") {
    if (const json* const agent = json_at(event, {"agent_added", "agent"})) learn_agent(*agent);
  }
  if (*type == "FRAMEWORK_REMOVED") {
    const std::string id =
        json_string(event, {"framework_removed", "framework_info", "id", "value"}).value_or("");
    std::erase_if(tasks_, [&](const auto& entry) { return entry.first.first == id; });
  }
  return true;
}

bool MesosTasks::update(const json& event) {
  const json* const updated = json_at(event, {"task_updated"});
  if (updated == nullptr) return false;
  const json* const status = json_at(*updated, {"status"});
  // Documentation shows a flat form; the protocol has the status.
  const json& told = status == nullptr ? *updated : *status;
  const auto id = json_string(told, {"task_id", "value"});
  auto state = json_string(*updated, {"state"});
  if (!state) state = json_string(told, {"state"});
  const auto framework = json_string(*updated, {"framework_id", "value"});
  if (!id || !state || !framework) return false;
  const Key key{*framework, *id};
  if (is_terminal(*state) || (*state == "TASK_LOST" && !is_out_of_reach(told))) {
    tasks_.erase(key);
    return true;
  }
  const auto known = tasks_.find(key);
  const auto app = known == tasks_.end() ? app_of_(*id, "") : known->second.app;
  if (!app) return true;
  Task& task = tasks_[key];
  task.app = *app;
  if (const auto agent = json_string(told, {"agent_id", "value"})) task.agent = *agent;
  task.state = mesos_state_name(*state);
  return true;
}

}  // namespace zq
