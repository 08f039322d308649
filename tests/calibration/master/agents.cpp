// Registration of agents and what their pings tell.
#include <spdlog/spdlog.h>

#include "controller/systems/json.h"
#include "tests/calibration/master/master.h"

namespace zq::calibration {

using nlohmann::json;

// {"id": "" at first, "info": AgentInfo, "address": "IP:PORT", "frameworks": [FrameworkInfo],
//  "tasks": [{"framework": ID, "info": TaskInfo, "statuses": [...]}]}
scheduler::HttpReply Master::register_agent(const json& message) {
  const auto address = json_string(message, {"address"});
  if (!address || json_at(message, {"info"}) == nullptr) return text_reply(400, "no registration");
  std::string id = json_string(message, {"id"}).value_or("");
  const bool has_domain = json_at(message, {"info", "domain"}) != nullptr;
  // As Mesos: an agent with a domain is not heard while the masters have none.
  if (has_domain && options_.zone.empty())
    return text_reply(503, "agents have a domain, masters not");
  const Registry registry = registrar_->registry();
  if (registry.gone.contains(id)) return json_reply({{"shutdown", true}}, 403);
  bool was_unreachable = registry.unreachable.contains(id);
  bool returns = false;
  {
    const std::lock_guard lock(mutex_);
    if (registering_.contains(*address)) return text_reply(503, "is being registered");
    const auto known = agents_.find(id);
    if (known != agents_.end() && known->second.marking) {
      return text_reply(503, "is being marked unreachable");
    }
    // The agent of this address came back as a new one, without what it had.
    if (id.empty()) {
      for (const auto& [other, agent] : agents_) {
        if (agent.address != *address) continue;
        ++counters_["master/slave_removals/reason_registered"];
        spdlog::info("agent {} at {} is replaced by a new one", other, *address);
        const std::string old = other;
        std::thread([this, old] {
          registrar_->apply([old](Registry& written) { written.slaves.erase(old); });
        }).detach();
        remove_agent(old, 0);
        break;
      }
      id = new_id("S");
    } else {
      returns = true;
      if (known == agents_.end() && !was_unreachable && !recovered_.contains(id) &&
          !registry.slaves.contains(id)) {
        // Nobody knows of it: the registry was lost. Non-strict registries admit it.
        was_unreachable = false;
      }
    }
    if (was_unreachable && options_.defects.has(Defect::kShutsDownReturning)) {
      return json_reply({{"shutdown", true}}, 403);
    }
    registering_.insert(*address);
    if (const auto found = recovered_.find(id); found != recovered_.end()) {
      found->second.returning = true;
    }
  }
  json info = message.at("info");
  info["id"] = {{"value", id}};
  const bool admitted = registry.slaves.contains(id) && registry.slaves.at(id) == info;
  const std::string why = was_unreachable ? "reachable again" : "admitted";
  if (!admitted) {
    registrar_->apply([id, info](Registry& written) { written.admit(id, info); });
    spdlog::info("agent {} at {} is {}", id, *address, why);
  }
  return admit(message, id, was_unreachable, returns);
}

scheduler::HttpReply Master::admit(const json& message, std::string id, bool was_unreachable,
                                   bool returns) {
  const std::lock_guard lock(mutex_);
  const std::string address = message.at("address");
  registering_.erase(address);
  recovered_.erase(id);
  const bool fresh = !agents_.contains(id);
  AgentEntry& agent = agents_[id];
  agent.id = id;
  agent.address = address;
  agent.info = message.at("info");
  agent.info["id"] = {{"value", id}};
  agent.total = parse_resources(agent.info.value("resources", json::array()));
  agent.active = true;
  agent.unhealthy = false;
  agent.mark_at.reset();
  if (fresh) agent.registered_time = wall_seconds();
  if (returns) agent.reregistered_time = wall_seconds();
  ++counters_[returns ? "master/slave_reregistrations" : "master/slave_registrations"];
  link_agent(agent);
  if (fresh)
    tell_operators({{"type", "AGENT_ADDED"}, {"agent_added", {{"agent", v1_agent(agent)}}}});
  take_tasks(agent, message, was_unreachable);
  allocate();
  return json_reply({{"id", id},
                     {"ping_deadline_ms", std::chrono::duration_cast<std::chrono::milliseconds>(
                                              options_.ping_timeout * options_.max_pings)
                                              .count()}});
}

void Master::link_agent(AgentEntry& agent) {
  if (agent.link != nullptr) {
    // The same process in the same place: what waits for it is still meant for it.
    agent.link->set_connected(true);
    return;
  }
  // The callbacks tell which link speaks: one that was replaced is not listened to.
  const unsigned link = agent.link_serial = ++serials_["link"];
  const std::string id = agent.id;
  AgentLink::Callbacks callbacks;
  callbacks.on_pong = [this, id, link] { on_pong(id, link); };
  callbacks.on_missed = [this, id, link](unsigned count) { on_missed(id, link, count); };
  callbacks.on_broken = [this, id, link] { on_broken(id, link); };
  agent.link = AgentLink::start(agent.address, id_, options_.ping_timeout, std::move(callbacks));
}

void Master::take_tasks(AgentEntry& agent, const json& message, bool was_unreachable) {
  for (const auto& info : message.value("frameworks", json::array())) {
    const auto id = json_string(info, {"id", "value"}).value_or("");
    if (id.empty() || frameworks_.contains(id)) continue;
    Framework& framework = frameworks_[id];
    framework.id = id;
    framework.info = info;
    framework.recovered = true;
    tell_operators({{"type", "FRAMEWORK_ADDED"},
                    {"framework_added", {{"framework", v1_framework(framework)}}}});
  }
  const Defects& defects = options_.defects;
  std::set<TaskKey> reported;
  for (const auto& entry : message.value("tasks", json::array())) {
    Task task = Task::from_info(entry.at("info"), entry.at("framework"));
    task.agent = agent.id;
    for (const auto& status : entry.at("statuses")) task.take(status);
    const TaskKey key{task.framework, task.id};
    reported.insert(key);
    const bool known = tasks_.contains(key);
    if (!known && defects.has(Defect::kForgetsTasks)) continue;
    if (was_unreachable && defects.has(Defect::kKillsAtReturn)) {
      agent.link->send("/kill", {{"framework", task.framework}, {"task", task.id}});
    }
    const auto framework = frameworks_.find(task.framework);
    if (framework == frameworks_.end()) {
      // It was torn down while the agent was away.
      agent.link->send("/kill", {{"framework", task.framework}, {"task", task.id}});
      continue;
    }
    framework->second.unreachable.erase(task.id);
    tasks_[key] = task;
    if (!known) tell_operators({{"type", "TASK_ADDED"}, {"task_added", {{"task", v1_task(task)}}}});
    if (was_unreachable) {
      const json status =
          master_status(task, "REASON_AGENT_REREGISTERED", "Unreachable agent re-reregistered");
      operator_update(task, status);
      forward(framework->second, status);
    }
    if (agent.killed.contains(key)) {
      agent.link->send("/kill", {{"framework", task.framework}, {"task", task.id}});
    }
  }
  // Launches that the agent never heard of.
  std::vector<TaskKey> lost;
  for (const auto& [key, task] : tasks_) {
    if (task.agent == agent.id && !reported.contains(key)) lost.push_back(key);
  }
  for (auto& [id, framework] : frameworks_) {
    for (auto& [task_id, task] : framework.unreachable) {
      const TaskKey key{id, task_id};
      if (task.agent != agent.id || reported.contains(key)) continue;
      tasks_[key] = task;
      lost.push_back(key);
    }
  }
  for (const auto& key : lost) {
    Task& task = tasks_.at(key);
    Framework& framework = frameworks_.at(key.first);
    framework.unreachable.erase(key.second);
    task.state = framework.can("PARTITION_AWARE") ? "TASK_DROPPED" : "TASK_LOST";
    const json status = master_status(task, "REASON_RECONCILIATION", "Task unknown to the agent");
    task.take(status);
    operator_update(task, status);
    forward(framework, status);
    finish(key);
  }
}

void Master::on_pong(const std::string& id, unsigned link) {
  const std::lock_guard lock(mutex_);
  const auto found = agents_.find(id);
  if (found == agents_.end() || found->second.link_serial != link) return;
  AgentEntry& agent = found->second;
  agent.unhealthy = false;
  if (agent.mark_at && !agent.marking) {
    agent.mark_at.reset();
    ++counters_["master/slave_unreachable_canceled"];
  }
}

void Master::on_missed(const std::string& id, unsigned link, unsigned missed) {
  const std::lock_guard lock(mutex_);
  const auto found = agents_.find(id);
  if (found == agents_.end() || found->second.link_serial != link) return;
  const Defects& defects = options_.defects;
  if (defects.has(Defect::kNeverMarks)) return;
  const unsigned limit = defects.has(Defect::kMarksTooEarly) ? 1 : options_.max_pings;
  AgentEntry& agent = found->second;
  if (missed < limit || agent.mark_at) return;
  agent.unhealthy = true;
  agent.mark_at = next_removal();
  ++counters_["master/slave_unreachable_scheduled"];
  spdlog::info("agent {} missed {} pings: to be marked unreachable", id, missed);
}

void Master::on_broken(const std::string& id, unsigned link) {
  const std::lock_guard lock(mutex_);
  const auto found = agents_.find(id);
  if (found == agents_.end() || found->second.link_serial != link || !found->second.active) return;
  spdlog::info("agent {} disconnected", id);
  found->second.active = false;
  found->second.link->set_connected(false);
  rescind_of_agent(id);
}

}  // namespace zq::calibration
