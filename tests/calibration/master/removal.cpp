// Agents that are given up: silent ones, those that never came back after a failover, and those
// that an operator declares gone.
#include <spdlog/spdlog.h>

#include <thread>

#include "controller/systems/json.h"
#include "tests/calibration/master/master.h"

namespace zq::calibration {

using nlohmann::json;

MonoTime Master::next_removal() {
  const auto now = mono_now();
  const bool idle = last_removal_ == MonoTime{} || now >= last_removal_ + options_.removal_spacing;
  last_removal_ = idle ? now : last_removal_ + options_.removal_spacing;
  return last_removal_;
}

void Master::mark_due_agents() {
  const std::lock_guard lock(mutex_);
  const auto now = mono_now();
  for (auto& [id, agent] : agents_) {
    if (!agent.mark_at || agent.marking || now < *agent.mark_at) continue;
    agent.marking = true;
    const std::string due = id;
    std::thread([this, due] { mark_unreachable(due); }).detach();
  }
}

void Master::mark_unreachable(const std::string& id) {
  const std::int64_t when = wall_now_ns();
  registrar_->apply([&](Registry& registry) { registry.mark_unreachable(id, when); });
  spdlog::info("agent {} is marked unreachable", id);
  const std::lock_guard lock(mutex_);
  ++counters_["master/slave_unreachable_completed"];
  ++counters_["master/slave_removals"];
  ++counters_["master/slave_removals/reason_unhealthy"];
  remove_agent(id, when);
}

// With `when_ns`, unreachable since then and its tasks with it; without, gone and its tasks too.
void Master::remove_agent(const std::string& id, std::int64_t when_ns) {
  const auto found = agents_.find(id);
  if (found == agents_.end()) return;
  found->second.link->stop();
  rescind_of_agent(id);
  std::vector<TaskKey> keys;
  for (const auto& [key, task] : tasks_) {
    if (task.agent == id) keys.push_back(key);
  }
  const bool hides = options_.defects.has(Defect::kHidesUnreachable);
  for (const auto& key : keys) {
    Task& task = tasks_.at(key);
    Framework& framework = frameworks_.at(key.first);
    const bool aware = framework.can("PARTITION_AWARE");
    const std::string before = task.state;
    task.state = !aware ? "TASK_LOST" : when_ns != 0 ? "TASK_UNREACHABLE" : "TASK_GONE";
    json status = master_status(task, "REASON_AGENT_REMOVED",
                                when_ns != 0 ? "health check timed out" : "Agent was removed");
    if (when_ns != 0) status["unreachable_time"] = {{"nanoseconds", when_ns}};
    task.take(status);
    if (!hides) operator_update(task, status);
    forward(framework, status);
    if (when_ns == 0) {
      finish(key);
      continue;
    }
    if (hides) {
      task.state = before;
      continue;
    }
    framework.unreachable[task.id] = task;
    tasks_.erase(key);
  }
  agents_.erase(id);
  for (auto& [name, framework] : frameworks_) {
    if (!framework.connected) continue;
    framework.stream->push({{"type", "FAILURE"}, {"failure", {{"agent_id", {{"value", id}}}}}});
  }
}

// Agents that were in the registry and have not registered with the new leader in time. Nobody is
// told of their tasks, which this master has never heard of.
void Master::mark_recovered() {
  std::vector<std::string> ids;
  {
    const std::lock_guard lock(mutex_);
    if (recovered_marked_ || mono_now() - recovered_at_ < options_.reregister_timeout) return;
    recovered_marked_ = true;
    for (const auto& [id, agent] : recovered_) ids.push_back(id);
  }
  if (options_.defects.has(Defect::kNeverMarks)) return;
  for (const auto& id : ids) {
    MonoTime due;
    {
      const std::lock_guard lock(mutex_);
      due = next_removal();
    }
    std::thread([this, id, due] {
      std::this_thread::sleep_until(due);
      {
        const std::lock_guard lock(mutex_);
        const auto found = recovered_.find(id);
        if (found == recovered_.end() || found->second.returning) return;
      }
      const std::int64_t when = wall_now_ns();
      registrar_->apply([&](Registry& registry) { registry.mark_unreachable(id, when); });
      spdlog::info("agent {} did not register with the new leader: marked unreachable", id);
      const std::lock_guard lock(mutex_);
      recovered_.erase(id);
      ++counters_["master/recovery_slave_removals"];
      ++counters_["master/slave_removals"];
      for (auto& [name, framework] : frameworks_) {
        if (!framework.connected) continue;
        framework.stream->push({{"type", "FAILURE"}, {"failure", {{"agent_id", {{"value", id}}}}}});
      }
    }).detach();
  }
}

scheduler::HttpReply Master::mark_gone(const json& call) {
  const auto id = json_string(call, {"mark_agent_gone", "agent_id", "value"});
  if (!id) return text_reply(400, "Expecting 'agent_id' to be present");
  const Registry registry = registrar_->registry();
  if (registry.gone.contains(*id)) return text_reply(200);
  if (!registry.slaves.contains(*id) && !registry.unreachable.contains(*id)) {
    return text_reply(404, "Agent not found");
  }
  registrar_->apply([&](Registry& written) { written.mark_gone(*id, wall_now_ns()); });
  const std::lock_guard lock(mutex_);
  if (const auto found = agents_.find(*id); found != agents_.end()) {
    const auto link = found->second.link;
    remove_agent(*id, 0);
    tell_operators(
        {{"type", "AGENT_REMOVED"}, {"agent_removed", {{"agent_id", {{"value", *id}}}}}});
  }
  recovered_.erase(*id);
  return text_reply(200);
}

}  // namespace zq::calibration
