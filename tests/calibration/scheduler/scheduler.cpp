#include "tests/calibration/scheduler/scheduler.h"

#include <algorithm>

#include "controller/systems/json.h"

namespace zq::scheduler {

using nlohmann::json;

namespace {

constexpr int kReviveRepetitions = 3;  // Marathon's --revive_offers_repetitions

}  // namespace

Scheduler::Scheduler(Timers timers, Defects defects, Outlet& outlet, std::function<Now()> now)
    : timers_(timers), defects_(std::move(defects)), outlet_(outlet), now_(std::move(now)) {}

Status Scheduler::load(const Nodes& nodes) {
  ZQ_TRY(state_, parse_nodes(nodes));
  stored_ = nodes;
  if (defects_.has(Defect::kForgetsTasksAfterFailover)) state_.instances.clear();
  const auto now = now_();
  next_reconciliation_ = now.mono + timers_.reconciliation_initial_delay;
  next_scaling_ = now.mono + timers_.scale_apps_initial_delay;
  next_expunge_ = now.mono + timers_.expunge_initial_delay;
  for (const auto& [id, instance] : state_.instances) {
    if (instance.decommissioned && has_task(instance.condition)) {
      kills_[instance.task_id()] = {instance.agent_id, now.mono};
    }
  }
  revives_left_ = kReviveRepetitions;
  return {};
}

Status Scheduler::commit() {
  auto nodes = to_nodes(state_);
  if (const auto steps = changes(stored_, nodes); !steps.empty()) {
    ZQ_CHECK(outlet_.store(steps));
    stored_ = std::move(nodes);
  }
  for (auto& ready : std::exchange(calls_, {})) outlet_.call(std::move(ready));
  for (auto& [type, event] : std::exchange(events_, {})) outlet_.publish(type, std::move(event));
  return {};
}

void Scheduler::publish(const std::string& type, json event) {
  event["eventType"] = type;
  event["timestamp"] = format_wall(now_().wall_ns);
  events_.emplace_back(type, std::move(event));
}

void Scheduler::publish_change(const Instance& instance) {
  json event = {{"instanceId", instance.id},
                {"condition", name_of(instance.condition)},
                {"runSpecId", instance.app_id},
                {"agentId", nullptr},
                {"host", nullptr},
                {"runSpecVersion", instance.app_version}};
  if (!instance.agent_id.empty()) {
    event["agentId"] = instance.agent_id;
    event["host"] = instance.place.host;
  }
  publish("instance_changed_event", std::move(event));
}

void Scheduler::set_condition(Instance& instance, Condition condition) {
  instance.condition = condition;
  instance.since_wall_ns = now_().wall_ns;
  publish_change(instance);
}

Status Scheduler::on_event(const json& event) {
  const auto type = json_string(event, {"type"}).value_or("");
  if (type == "SUBSCRIBED") {
    const auto id = json_string(event, {"subscribed", "framework_id", "value"});
    if (!id) return fail(ErrorCode::kUnavailable, "the master's SUBSCRIBED names no framework");
    const bool again = state_.framework_id == *id;
    state_.framework_id = *id;
    home_region_ = json_string(
        event, {"subscribed", "master_info", "domain", "fault_domain", "region", "name"});
    connected_ = true;
    offers_flow_ = true;
    if (again) {
      publish(
          "scheduler_reregistered_event",
          {{"master", json_string(event, {"subscribed", "master_info", "hostname"}).value_or("")}});
    } else {
      publish(
          "scheduler_registered_event",
          {{"frameworkId", *id},
           {"master", json_string(event, {"subscribed", "master_info", "hostname"}).value_or("")}});
    }
    retry_kills();
  } else if (type == "OFFERS") {
    if (const json* const offers = json_at(event, {"offers", "offers"})) on_offers(*offers);
  } else if (type == "UPDATE") {
    if (const json* const status = json_at(event, {"update", "status"})) on_update(*status);
  }
  return commit();
}

void Scheduler::on_disconnected() {
  if (!std::exchange(connected_, false)) return;
  publish("scheduler_disconnected_event", json::object());
  for (auto& [type, event] : std::exchange(events_, {})) outlet_.publish(type, std::move(event));
}

Status Scheduler::tick() {
  const auto now = now_().mono;
  if (now >= next_scaling_) {
    next_scaling_ = now + timers_.scale_apps_interval;
    scale_all();
  }
  if (now >= next_expunge_) {
    next_expunge_ = now + timers_.expunge_interval;
    expunge();
  }
  for (auto held = held_back_.begin(); held != held_back_.end();) {
    if (now < held->second) {
      ++held;
      continue;
    }
    const auto app_id = held->first;
    held = held_back_.erase(held);
    scale(app_id);
  }
  if (connected_) {
    if (now >= next_reconciliation_) {
      next_reconciliation_ = now + timers_.reconciliation_interval;
      if (!defects_.has(Defect::kNeverReconciles)) reconcile();
    }
    retry_kills();
    kill_overdue_launches();
  }
  progress();
  if (connected_) revive_or_suppress();
  return commit();
}

// What is known first, then everything else (MarathonSchedulerService's reconcileTasks).
void Scheduler::reconcile() {
  json tasks = json::array();
  for (const auto& [id, instance] : state_.instances) {
    if (!has_task(instance.condition)) continue;
    tasks.push_back({{"task_id", {{"value", instance.task_id()}}},
                     {"agent_id", {{"value", instance.agent_id}}}});
  }
  if (!tasks.empty()) call({{"type", "RECONCILE"}, {"reconcile", {{"tasks", tasks}}}});
  call({{"type", "RECONCILE"}, {"reconcile", {{"tasks", json::array()}}}});
}

void Scheduler::revive_or_suppress() {
  const auto now = now_().mono;
  const bool wanted =
      std::any_of(state_.instances.begin(), state_.instances.end(), [&](const auto& entry) {
        const auto app = state_.apps.find(entry.second.app_id);
        return entry.second.condition == Condition::kScheduled && app != state_.apps.end() &&
               may_launch(app->second);
      });
  if (!wanted) {
    if (offers_flow_) call({{"type", "SUPPRESS"}});
    offers_flow_ = false;
    return;
  }
  if (!offers_flow_) revives_left_ = std::max(revives_left_, 1);
  if (revives_left_ == 0 || now - last_revive_ < timers_.min_revive_interval) return;
  --revives_left_;
  last_revive_ = now;
  offers_flow_ = true;
  call({{"type", "REVIVE"}});
}

void Scheduler::kill_overdue_launches() {
  const auto now = now_();
  for (auto& [id, instance] : state_.instances) {
    const bool confirmed = instance.condition != Condition::kProvisioned;
    const bool starts = instance.condition == Condition::kStaging ||
                        instance.condition == Condition::kStarting || !confirmed;
    if (!starts) continue;
    const auto limit = confirmed ? timers_.launch_timeout : timers_.launch_confirm_timeout;
    if (now.wall_ns - instance.staged_wall_ns >= limit.count() &&
        !kills_.contains(instance.task_id())) {
      kill(instance.task_id(), instance.agent_id);
    }
  }
}

Nanos Scheduler::launch_delay(const std::string& app_id) const {
  const auto found = backoffs_.find(app_id);
  if (found == backoffs_.end()) return Nanos{0};
  return std::max(Nanos{0}, found->second.until - now_().mono);
}

Status Scheduler::on_suspected(const std::string& agent_id) {
  std::vector<std::string> suspects;
  for (const auto& [id, instance] : state_.instances) {
    if (instance.agent_id == agent_id && has_task(instance.condition)) suspects.push_back(id);
  }
  for (const auto& id : suspects) forget(id);
  return commit();
}

Status Scheduler::adopt_apps(const Nodes& nodes) {
  ZQ_TRY(State other, parse_nodes(nodes));
  state_.apps = std::move(other.apps);
  std::vector<std::string> stale;
  for (auto& [id, instance] : state_.instances) {
    if (!state_.apps.contains(instance.app_id) && !instance.decommissioned) stale.push_back(id);
  }
  for (const auto& id : stale) decommission(state_.instances.at(id));
  for (const auto& [id, app] : state_.apps) scale(id);
  return commit();
}

}  // namespace zq::scheduler
