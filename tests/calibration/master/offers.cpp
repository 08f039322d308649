// Offers, and what schedulers do with them.
#include <algorithm>

#include "controller/systems/json.h"
#include "tests/calibration/master/master.h"

namespace zq::calibration {

using nlohmann::json;

namespace {

constexpr double kRefuseSeconds = 5;  // Filters.refuse_seconds' default

double refusal(const json& call, const char* kind) {
  return json_number(call, {kind, "filters", "refuse_seconds"}).value_or(kRefuseSeconds);
}

}  // namespace

Resources Master::used_on(const std::string& agent) const {
  Resources used;
  for (const auto& [key, task] : tasks_) {
    if (task.agent == agent) used += task.resources;
  }
  return used;
}

Resources Master::offered_on(const std::string& agent) const {
  Resources offered;
  for (const auto& [id, offer] : offers_) {
    if (offer.agent == agent) offered += offer.resources;
  }
  return offered;
}

void Master::allocate() {
  const auto now = mono_now();
  std::map<std::string, json> offers;
  for (const auto& [id, agent] : agents_) {
    if (!agent.active || agent.marking) continue;
    Resources free = agent.total;
    free -= used_on(id);
    free -= offered_on(id);
    if (!free.worth_offering()) continue;
    // Whoever has the least goes first: of what there is here, cpus decide.
    Framework* chosen = nullptr;
    double least = 0;
    for (auto& [name, framework] : frameworks_) {
      if (!framework.connected || framework.suppressed) continue;
      const auto refused = framework.refused.find(id);
      if (refused != framework.refused.end() && now < refused->second) continue;
      const auto region = json_string(agent.info, {"domain", "fault_domain", "region", "name"});
      if (region && *region != options_.region && !framework.can("REGION_AWARE")) continue;
      double share = 0;
      for (const auto& [key, task] : tasks_) share += key.first == name ? task.resources.cpus : 0;
      if (chosen != nullptr && share >= least) continue;
      chosen = &framework;
      least = share;
    }
    if (chosen == nullptr) continue;
    const Offer offer{new_id("O"), chosen->id, id, free};
    offers_[offer.id] = offer;
    json one = {{"id", {{"value", offer.id}}},
                {"framework_id", {{"value", chosen->id}}},
                {"agent_id", {{"value", id}}},
                {"hostname", json_string(agent.info, {"hostname"}).value_or("")},
                {"resources", v1_resources(free, true)},
                {"attributes", agent.info.value("attributes", json::array())},
                {"allocation_info", {{"role", "*"}}}};
    if (const json* const domain = json_at(agent.info, {"domain"})) one["domain"] = *domain;
    offers.emplace(chosen->id, json::array()).first->second.push_back(std::move(one));
  }
  for (const auto& [name, list] : offers) {
    frameworks_.at(name).stream->push({{"type", "OFFERS"}, {"offers", {{"offers", list}}}});
  }
}

void Master::accept(Framework& framework, const json& call) {
  std::string agent;
  Resources left;
  bool valid = true;
  for (const auto& one : call.at("accept").value("offer_ids", json::array())) {
    const auto found = offers_.find(json_string(one, {"value"}).value_or(""));
    if (found == offers_.end() || found->second.framework != framework.id ||
        (!agent.empty() && agent != found->second.agent)) {
      valid = false;
      continue;
    }
    agent = found->second.agent;
    left += found->second.resources;
    offers_.erase(found);
  }
  for (const auto& operation : call.at("accept").value("operations", json::array())) {
    const json* const infos = json_at(operation, {"launch", "task_infos"});
    if (infos == nullptr || !infos->is_array()) continue;
    if (valid && !agent.empty()) {
      launch(framework, *infos, agent, left);
      continue;
    }
    for (const auto& info : *infos) {
      Task task = Task::from_info(info, framework.id);
      task.state = framework.can("PARTITION_AWARE") ? "TASK_DROPPED" : "TASK_LOST";
      forward(framework,
              master_status(task, "REASON_INVALID_OFFERS", "Task launched with invalid offers"));
    }
  }
  if (left.worth_offering() && !agent.empty()) {
    framework.refused[agent] = mono_now() + from_seconds(refusal(call, "accept"));
  }
}

void Master::launch(Framework& framework, const json& infos, const std::string& agent,
                    Resources& left) {
  const auto found = agents_.find(agent);
  for (const auto& info : infos) {
    Task task = Task::from_info(info, framework.id);
    const TaskKey key{framework.id, task.id};
    const bool fits = left.contains(task.resources);
    if (found == agents_.end() || task.agent != agent || !fits || tasks_.contains(key)) {
      task.state = "TASK_ERROR";
      forward(framework, master_status(task, "REASON_TASK_INVALID",
                                       fits ? "Task is not of this agent, or its id is in use"
                                            : "Task uses more resources than were offered"));
      continue;
    }
    left -= task.resources;
    tasks_[key] = task;
    tell_operators({{"type", "TASK_ADDED"}, {"task_added", {{"task", v1_task(task)}}}});
    found->second.link->send("/run", {{"framework", framework.info}, {"task", info}});
  }
}

void Master::decline(Framework& framework, const json& call) {
  for (const auto& one : call.at("decline").value("offer_ids", json::array())) {
    const auto found = offers_.find(json_string(one, {"value"}).value_or(""));
    if (found == offers_.end() || found->second.framework != framework.id) continue;
    framework.refused[found->second.agent] = mono_now() + from_seconds(refusal(call, "decline"));
    offers_.erase(found);
  }
}

void Master::rescind_of_agent(const std::string& agent) {
  for (auto entry = offers_.begin(); entry != offers_.end();) {
    if (entry->second.agent != agent) {
      ++entry;
      continue;
    }
    const auto framework = frameworks_.find(entry->second.framework);
    if (framework != frameworks_.end() && framework->second.connected) {
      framework->second.stream->push(
          {{"type", "RESCIND"}, {"rescind", {{"offer_id", {{"value", entry->first}}}}}});
    }
    entry = offers_.erase(entry);
  }
}

void Master::drop_offers_of(const std::string& framework) {
  std::erase_if(offers_, [&](const auto& entry) { return entry.second.framework == framework; });
}

}  // namespace zq::calibration
