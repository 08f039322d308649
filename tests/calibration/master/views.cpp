// What the master shows of itself in the form that is older than the operator API. All under the
// lock.
#include <algorithm>

#include "controller/systems/json.h"
#include "tests/calibration/master/master.h"

namespace zq::calibration {

using nlohmann::json;

namespace {

constexpr std::array kLiveStates{"TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_KILLING"};
constexpr std::array kAllStates{"TASK_STAGING",  "TASK_STARTING",   "TASK_RUNNING", "TASK_KILLING",
                                "TASK_FINISHED", "TASK_KILLED",     "TASK_FAILED",  "TASK_LOST",
                                "TASK_ERROR",    "TASK_UNREACHABLE"};

json flat_attributes(const json& info) {
  json attributes = json::object();
  for (const auto& one : info.value("attributes", json::array())) {
    attributes[json_string(one, {"name"}).value_or("")] =
        json_string(one, {"text", "value"}).value_or("");
  }
  return attributes;
}

json capability_names(const json& info) {
  json names = json::array();
  for (const auto& one : info.value("capabilities", json::array())) {
    names.push_back(json_string(one, {"type"}).value_or(""));
  }
  return names;
}

template <class Tasks>
json count_states(const Tasks& tasks) {
  json counts;
  for (const char* const state : kAllStates) counts[state] = 0;
  for (const Task* const task : tasks) {
    if (counts.contains(task->state)) counts[task->state] = counts[task->state].get<int>() + 1;
  }
  return counts;
}

}  // namespace

json Master::agent_view(const AgentEntry& agent, bool full) const {
  const Resources used = used_on(agent.id);
  const Resources offered = offered_on(agent.id);
  json view = {{"id", agent.id},
               {"hostname", json_string(agent.info, {"hostname"}).value_or("")},
               {"port", agent.info.value("port", 5051)},
               {"attributes", flat_attributes(agent.info)},
               {"pid", "slave(1)@" + agent.address},
               {"registered_time", agent.registered_time},
               {"resources", flat_resources(agent.total)},
               {"used_resources", flat_resources(used)},
               {"offered_resources", flat_resources(offered)},
               {"reserved_resources", json::object()},
               {"unreserved_resources", flat_resources(agent.total)},
               {"active", agent.active},
               {"deactivated", false},
               {"version", kVersion},
               {"capabilities", json::array({"MULTI_ROLE"})}};
  if (agent.reregistered_time) view["reregistered_time"] = *agent.reregistered_time;
  if (const json* const domain = json_at(agent.info, {"domain"})) view["domain"] = *domain;
  if (!full) return view;
  view["reserved_resources_full"] = json::object();
  view["unreserved_resources_full"] = v1_resources(agent.total, false);
  view["used_resources_full"] = v1_resources(used, true);
  view["offered_resources_full"] = v1_resources(offered, true);
  return view;
}

json Master::slaves_view(bool full) const {
  json slaves = json::array();
  for (const auto& [id, agent] : agents_) slaves.push_back(agent_view(agent, full));
  json recovered = json::array();
  for (const auto& [id, agent] : recovered_) {
    json one = {{"id", id},
                {"hostname", json_string(agent.info, {"hostname"}).value_or("")},
                {"port", agent.info.value("port", 5051)},
                {"attributes", flat_attributes(agent.info)},
                {"resources",
                 flat_resources(parse_resources(agent.info.value("resources", json::array())))}};
    if (const json* const domain = json_at(agent.info, {"domain"})) one["domain"] = *domain;
    recovered.push_back(std::move(one));
  }
  return {{"slaves", slaves}, {"recovered_slaves", recovered}};
}

json Master::task_view(const Task& task) const {
  json statuses = json::array();
  for (const auto& status : task.statuses) {
    json one = {{"state", status.value("state", "")},
                {"timestamp", status.value("timestamp", 0.0)}};
    if (const json* const container = json_at(status, {"container_status"})) {
      one["container_status"] = *container;
    }
    statuses.push_back(std::move(one));
  }
  json view = {{"id", task.id},
               {"name", task.name},
               {"framework_id", task.framework},
               {"executor_id", ""},
               {"slave_id", task.agent},
               {"state", task.state},
               {"resources", flat_resources(task.resources)},
               {"role", "*"},
               {"statuses", statuses}};
  if (const json* const labels = json_at(task.info, {"labels", "labels"})) view["labels"] = *labels;
  return view;
}

json Master::framework_view(const Framework& framework) const {
  Resources used;
  json tasks = json::array();
  for (const auto& [key, task] : tasks_) {
    if (key.first != framework.id) continue;
    used += task.resources;
    tasks.push_back(task_view(task));
  }
  json unreachable = json::array();
  for (const auto& [id, task] : framework.unreachable) unreachable.push_back(task_view(task));
  json completed = json::array();
  for (const auto& task : framework.completed) completed.push_back(task_view(task));
  const json& info = framework.info;
  return {{"id", framework.id},
          {"name", info.value("name", "")},
          {"used_resources", flat_resources(used)},
          {"offered_resources", flat_resources({})},
          {"capabilities", capability_names(info)},
          {"hostname", info.value("hostname", "")},
          {"webui_url", info.value("webui_url", "")},
          {"active", framework.connected},
          {"connected", framework.connected},
          {"recovered", framework.recovered},
          {"user", info.value("user", "")},
          {"failover_timeout", framework.failover_timeout()},
          {"checkpoint", info.value("checkpoint", false)},
          {"registered_time", framework.registered_time},
          {"unregistered_time", 0.0},
          {"resources", flat_resources(used)},
          {"roles", info.value("roles", json::array({"*"}))},
          {"tasks", tasks},
          {"unreachable_tasks", unreachable},
          {"completed_tasks", completed},
          {"offers", json::array()},
          {"executors", json::array()}};
}

json Master::frameworks_view() const {
  json list = json::array();
  json completed = json::array();
  for (const auto& [id, framework] : frameworks_) list.push_back(framework_view(framework));
  for (const auto& framework : ended_frameworks_) completed.push_back(framework_view(framework));
  return {{"frameworks", list},
          {"completed_frameworks", completed},
          {"unregistered_frameworks", json::array()}};
}

json Master::state_view() const {
  json view = slaves_view(false);
  view.update(frameworks_view());
  const auto active = std::ranges::count_if(agents_, [](const auto& e) { return e.second.active; });
  view["version"] = kVersion;
  view["git_sha"] = "";
  view["start_time"] = start_time_;
  view["elected_time"] = elected_time_;
  view["id"] = id_;
  view["pid"] = info_.at("pid");
  view["hostname"] = options_.hostname;
  view["cluster"] = "calibration";
  view["capabilities"] = capability_names(info_);
  view["activated_slaves"] = static_cast<double>(active);
  view["deactivated_slaves"] = static_cast<double>(agents_.size()) - static_cast<double>(active);
  view["unreachable_slaves"] = static_cast<double>(registrar_->registry().unreachable.size());
  view["leader"] = info_.at("pid");
  view["leader_info"] = info_;
  if (info_.contains("domain")) view["domain"] = info_.at("domain");
  view["flags"] = options_.flags;
  view["orphan_tasks"] = json::array();
  return view;
}

json Master::summary_view() const {
  std::map<std::string, std::vector<const Task*>> by_agent;
  std::map<std::string, std::vector<const Task*>> by_framework;
  std::map<std::string, std::set<std::string>> frameworks_on;
  for (const auto& [key, task] : tasks_) {
    by_agent[task.agent].push_back(&task);
    by_framework[key.first].push_back(&task);
    frameworks_on[task.agent].insert(key.first);
  }
  json slaves = json::array();
  for (const auto& [id, agent] : agents_) {
    json view = agent_view(agent, false);
    view.update(count_states(by_agent[id]));
    view["framework_ids"] = frameworks_on[id];
    slaves.push_back(std::move(view));
  }
  json frameworks = json::array();
  for (const auto& [id, framework] : frameworks_) {
    auto tasks = by_framework[id];
    for (const auto& [name, task] : framework.unreachable) tasks.push_back(&task);
    json view = framework_view(framework);
    for (const char* const key : {"tasks", "unreachable_tasks", "completed_tasks"}) view.erase(key);
    view.update(count_states(tasks));
    json on = json::array();
    for (const auto& [agent, names] : frameworks_on) {
      if (names.contains(id)) on.push_back(agent);
    }
    view["slave_ids"] = on;
    frameworks.push_back(std::move(view));
  }
  return {{"hostname", options_.hostname},
          {"cluster", "calibration"},
          {"slaves", slaves},
          {"frameworks", frameworks}};
}

json Master::tasks_view() const {
  json list = json::array();
  for (const auto& [key, task] : tasks_) list.push_back(task_view(task));
  for (const auto& [id, framework] : frameworks_) {
    for (const auto& [name, task] : framework.unreachable) list.push_back(task_view(task));
    for (const auto& task : framework.completed) list.push_back(task_view(task));
  }
  return {{"tasks", list}};
}

json Master::metrics_view() const {
  json view = {{"master/tasks_finished", 0.0},
               {"master/tasks_failed", 0.0},
               {"master/tasks_killed", 0.0},
               {"master/tasks_lost", 0.0},
               {"master/tasks_error", 0.0},
               {"master/slave_registrations", 0.0},
               {"master/slave_reregistrations", 0.0},
               {"master/slave_removals", 0.0},
               {"master/slave_removals/reason_unhealthy", 0.0},
               {"master/slave_removals/reason_registered", 0.0},
               {"master/slave_unreachable_scheduled", 0.0},
               {"master/slave_unreachable_completed", 0.0},
               {"master/slave_unreachable_canceled", 0.0},
               {"master/recovery_slave_removals", 0.0},
               {"master/messages_reconcile_tasks", 0.0}};
  for (const auto& [name, value] : counters_) view[name] = value;
  for (const char* const state : kLiveStates) {
    view["master/" + mesos_metric(state)] = static_cast<double>(
        std::ranges::count_if(tasks_, [&](const auto& e) { return e.second.state == state; }));
  }
  std::size_t unreachable = 0;
  for (const auto& [id, framework] : frameworks_) {
    unreachable += static_cast<std::size_t>(std::ranges::count_if(
        framework.unreachable, [](const auto& e) { return e.second.state == "TASK_UNREACHABLE"; }));
  }
  const auto active = static_cast<double>(
      std::ranges::count_if(agents_, [](const auto& e) { return e.second.active; }));
  const auto all = static_cast<double>(agents_.size());
  const auto connected = static_cast<double>(
      std::ranges::count_if(frameworks_, [](const auto& e) { return e.second.connected; }));
  std::size_t peers = 0;
  {
    const std::lock_guard lock(election_mutex_);
    peers = peers_.size() + 1;
  }
  view["master/tasks_unreachable"] = static_cast<double>(unreachable);
  view["master/elected"] = role_ == Role::kFollower ? 0.0 : 1.0;
  view["master/uptime_secs"] = to_seconds(mono_now() - started_);
  view["master/slaves_active"] = view["master/slaves_connected"] = active;
  view["master/slaves_inactive"] = view["master/slaves_disconnected"] = all - active;
  view["master/slaves_unreachable"] =
      static_cast<double>(registrar_->registry().unreachable.size());
  view["master/frameworks_active"] = view["master/frameworks_connected"] = connected;
  view["master/frameworks_disconnected"] = static_cast<double>(frameworks_.size()) - connected;
  view["master/outstanding_offers"] = static_cast<double>(offers_.size());
  view["registrar/log/recovered"] = 1.0;
  view["registrar/log/ensemble_size"] = static_cast<double>(peers);
  view["registrar/state_store_ms"] = registrar_->last_store_ms();
  return view;
}

}  // namespace zq::calibration
