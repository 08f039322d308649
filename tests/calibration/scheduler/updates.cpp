// Status updates, kills and what is forgotten.
#include <algorithm>
#include <cmath>

#include "tests/calibration/scheduler/scheduler.h"

namespace zq::scheduler {

using nlohmann::json;

namespace {

constexpr int kReviveRepetitions = 3;
constexpr const char* kTwinMark = "-twin";
// A defect that restarts everything does so once for all updates of one heal or cut.
constexpr Nanos kOnePerEvent = std::chrono::seconds(20);

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char letter) {
    return letter == '_' ? '-' : static_cast<char>(std::tolower(letter));
  });
  return text;
}

}  // namespace

void Scheduler::on_update(const json& root) {
  const auto status = parse_status(root);
  if (!status) return;
  ++counters_["marathon.mesos.task-updates." + lower(status->state) + ".counter"];
  const auto found = state_.instances.find(instance_of_task(status->task_id));
  const bool known = found != state_.instances.end() && has_task(found->second.condition) &&
                     found->second.task_id() == status->task_id;
  json event = {{"slaveId", status->agent_id},
                {"taskId", status->task_id},
                {"taskStatus", status->state},
                {"message", status->message},
                {"appId", known ? found->second.app_id : ""},
                {"host", known ? found->second.place.host : ""},
                {"ipAddresses", json::array()},
                {"ports", known ? json(found->second.ports) : json::array()},
                {"version", known ? found->second.app_version : ""}};
  publish("status_update_event", std::move(event));
  if (known) {
    on_known(found->second, *status);
  } else {
    on_unknown(*status);
  }
  if (status->uuid.empty()) return;
  call({{"type", "ACKNOWLEDGE"},
        {"acknowledge",
         {{"agent_id", {{"value", status->agent_id}}},
          {"task_id", {{"value", status->task_id}}},
          {"uuid", status->uuid}}}});
}

void Scheduler::on_known(Instance& instance, const TaskStatus& status) {
  const auto before = instance.condition;
  const auto app = state_.apps.find(instance.app_id);
  const auto strategy = app == state_.apps.end() ? UnreachableStrategy{} : app->second.unreachable;
  const Instance old = instance;
  switch (apply(instance, status, strategy, now_().wall_ns)) {
    case Effect::kNone:
      return;
    case Effect::kUpdated: {
      publish_change(instance);
      if (instance.condition == Condition::kRunning) {
        if (before == Condition::kUnreachable || before == Condition::kUnreachableInactive) {
          on_returned(instance.app_id);
        }
        return;
      }
      if (instance.condition == Condition::kUnreachable ||
          instance.condition == Condition::kUnreachableInactive) {
        on_unreachable(old);
        scale(old.app_id);
      }
      return;
    }
    case Effect::kEnded:
      publish_change(instance);
      return on_ended(instance, status);
    case Effect::kForgotten:
      publish_change(instance);
      on_unreachable(old);
      return forget(old.id);
  }
}

// Marathon kills what it does not know once it is said to run, and ignores it otherwise.
void Scheduler::on_unknown(const TaskStatus& status) {
  const auto condition = condition_of(status);
  if (is_terminal(condition)) {
    if (kills_.erase(status.task_id) > 0) {
      publish("unknown_instance_terminated_event",
              {{"instanceId", instance_of_task(status.task_id)},
               {"runSpecId", ""},
               {"condition", name_of(condition)}});
    }
    return;
  }
  if (condition == Condition::kUnreachable) {
    kills_.erase(status.task_id);
    return;
  }
  if (condition == Condition::kKilling) return;
  if (defects_.has(Defect::kKeepsDuplicates)) return;
  if (instance_of_task(status.task_id).find(kTwinMark) != std::string::npos) return;
  if (!kills_.contains(status.task_id)) kill(status.task_id, status.agent_id);
  const auto instance = instance_of_task(status.task_id);
  for (const auto& [id, app] : state_.apps) {
    if (instance.rfind(app.id_prefix() + ".instance-", 0) == 0) on_returned(id);
  }
}

void Scheduler::on_ended(Instance& instance, const TaskStatus& status) {
  kills_.erase(instance.task_id());
  const auto app = state_.apps.find(instance.app_id);
  revives_left_ = kReviveRepetitions;
  if (instance.decommissioned || app == state_.apps.end()) {
    state_.instances.erase(instance.id);
    return;
  }
  note_failure(instance, status);
  if (defects_.has(Defect::kNeverReschedules)) {
    ++abandoned_[instance.app_id];
    state_.instances.erase(instance.id);
    return;
  }
  // Failures slow the app's launches down; kills do not (NotifyRateLimiterStepImpl).
  if (instance.condition != Condition::kKilled && instance.condition != Condition::kUnknown) {
    auto& backoff = backoffs_[instance.app_id];
    const auto& spec = app->second;
    backoff.delay_seconds =
        backoff.delay_seconds == 0
            ? spec.backoff_seconds
            : std::min(backoff.delay_seconds * spec.backoff_factor, spec.max_launch_delay_seconds);
    backoff.until = now_().mono + from_seconds(backoff.delay_seconds);
  }
  instance.agent_id.clear();
  instance.place = {};
  instance.ports.clear();
  instance.addresses.clear();
  if (defects_.has(Defect::kReschedulesLate)) {
    held_back_.emplace(instance.app_id, now_().mono + timers_.defect_delay);
    state_.instances.erase(instance.id);
    return;
  }
  set_condition(instance, Condition::kScheduled);
}

void Scheduler::note_failure(const Instance& instance, const TaskStatus& status) {
  last_failures_[instance.app_id] = {
      {"appId", instance.app_id},        {"taskId", status.task_id},
      {"slaveId", instance.agent_id},    {"host", instance.place.host},
      {"state", status.state},           {"message", status.message},
      {"version", instance.app_version}, {"timestamp", format_wall(now_().wall_ns)}};
}

void Scheduler::on_unreachable(const Instance& instance) {
  if (!defects_.has(Defect::kRestartsSurvivors)) return;
  for (const auto& [id, app] : state_.apps) restart_running(id, instance.agent_id);
  last_restart_ = now_().mono;
}

void Scheduler::on_returned(const std::string& app_id) {
  if (defects_.has(Defect::kKillsReturnedAndCopies)) {
    for (Instance* const instance : state_.instances_of(app_id)) {
      if (instance->unreachable_wall_ns) kill(instance->task_id(), instance->agent_id);
    }
    kill_copies(app_id);
  }
  if (defects_.has(Defect::kRestartsAllAtHeal)) {
    for (const auto& [id, app] : state_.apps) restart_running(id, "");
    last_restart_ = now_().mono;
  }
}

void Scheduler::restart_running(const std::string& app_id, const std::string& except_agent) {
  if (last_restart_ && now_().mono - *last_restart_ < kOnePerEvent) return;
  for (const Instance* const instance : state_.instances_of(app_id)) {
    if (instance->condition == Condition::kRunning && instance->agent_id != except_agent) {
      kill(instance->task_id(), instance->agent_id);
    }
  }
}

// Whoever kills both is content with what is left, or the next look would repair it.
void Scheduler::kill_copies(const std::string& app_id) {
  for (Instance* const instance : state_.instances_of(app_id)) {
    if (copies_.erase(instance->id) == 0) continue;
    ++abandoned_[app_id];
    decommission(*instance);
  }
}

// The instance is nobody's any more: should its task come back, it is an unknown one.
void Scheduler::forget(const std::string& instance_id) {
  const auto found = state_.instances.find(instance_id);
  if (found == state_.instances.end()) return;
  const auto app_id = found->second.app_id;
  kills_.erase(found->second.task_id());
  const bool replace = !found->second.decommissioned;
  state_.instances.erase(found);
  revives_left_ = kReviveRepetitions;
  if (!replace) return;
  if (defects_.has(Defect::kNeverReschedules) || defects_.has(Defect::kIgnoresUnreachableZone)) {
    ++abandoned_[app_id];
  }
  if (defects_.has(Defect::kReschedulesLate)) {
    held_back_.emplace(app_id, now_().mono + timers_.defect_delay);
  }
  std::set<std::string> before;
  for (const auto& [id, instance] : state_.instances) before.insert(id);
  scale(app_id);
  for (const auto& [id, instance] : state_.instances) {
    if (!before.contains(id)) copies_.insert(id);
  }
}

void Scheduler::kill(const std::string& task_id, const std::string& agent_id) {
  kills_[task_id] = {agent_id, now_().mono + timers_.kill_retry};
  json kill = {{"task_id", {{"value", task_id}}}};
  if (!agent_id.empty()) kill["agent_id"] = {{"value", agent_id}};
  call({{"type", "KILL"}, {"kill", std::move(kill)}});
}

// Marathon forgets at once what would not answer to a kill (KillAction.scala).
void Scheduler::decommission(Instance& instance) {
  if (instance.decommissioned) return;
  const bool answers = has_task(instance.condition) &&
                       instance.condition != Condition::kUnreachable &&
                       instance.condition != Condition::kUnreachableInactive;
  instance.decommissioned = true;
  if (!answers) {
    forget(std::string(instance.id));
    return;
  }
  kill(instance.task_id(), instance.agent_id);
  set_condition(instance, Condition::kKilling);
}

void Scheduler::retry_kills() {
  const auto now = now_().mono;
  std::vector<std::pair<std::string, std::string>> due;
  for (const auto& [task, waiting] : kills_) {
    if (now >= waiting.next) due.emplace_back(task, waiting.agent_id);
  }
  for (const auto& [task, agent] : due) kill(task, agent);
}

void Scheduler::expunge() {
  const auto now = now_().wall_ns;
  std::vector<std::string> overdue;
  for (const auto& [id, instance] : state_.instances) {
    const auto app = state_.apps.find(instance.app_id);
    if (app != state_.apps.end() && is_overdue(instance, app->second.unreachable, now)) {
      overdue.push_back(id);
    }
  }
  for (const auto& id : overdue) forget(id);
}

}  // namespace zq::scheduler
