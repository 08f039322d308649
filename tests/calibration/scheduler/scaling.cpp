// Targets: how many instances there are and how many there should be, and deployments that lead
// from one definition to the next.
#include <algorithm>
#include <boost/uuid/random_generator.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <cmath>

#include "tests/calibration/scheduler/scheduler.h"

namespace zq::scheduler {

using nlohmann::json;

namespace {

constexpr int kReviveRepetitions = 3;

std::string new_uuid() { return to_string(boost::uuids::random_generator()()); }

// What goes first when there is too much (ScalingProposition.scala).
int kill_weight(Condition condition) {
  switch (condition) {
    case Condition::kScheduled:
      return 0;
    case Condition::kUnreachable:
      return 1;
    case Condition::kProvisioned:
    case Condition::kStaging:
      return 2;
    case Condition::kStarting:
      return 3;
    case Condition::kRunning:
      return 4;
    default:
      return 5;
  }
}

bool is_old(const Instance& instance, const App& app) {
  return instance.app_version < app.last_config_change_at;
}

}  // namespace

void Scheduler::add_instance(const App& app) {
  Instance instance;
  instance.id = app.id_prefix() + ".instance-" + new_uuid();
  instance.app_id = app.id;
  instance.app_version = app.version;
  instance.since_wall_ns = now_().wall_ns;
  auto& record = records_[app.id];
  if (record.since_wall_ns == 0) record.since_wall_ns = instance.since_wall_ns;
  publish_change(instance);
  state_.instances.emplace(instance.id, std::move(instance));
  revives_left_ = kReviveRepetitions;
}

std::vector<Instance*> Scheduler::kill_order(const App& app, std::vector<Instance*> from) const {
  const bool youngest_first = app.kill_selection == KillSelection::kYoungestFirst;
  std::stable_sort(from.begin(), from.end(), [&](const Instance* a, const Instance* b) {
    const int weight_a = kill_weight(a->condition);
    const int weight_b = kill_weight(b->condition);
    if (weight_a != weight_b) return weight_a < weight_b;
    return youngest_first ? a->staged_wall_ns > b->staged_wall_ns
                          : a->staged_wall_ns < b->staged_wall_ns;
  });
  return from;
}

void Scheduler::scale(const std::string& app_id) {
  const auto found = state_.apps.find(app_id);
  if (found == state_.apps.end()) return;
  const App& app = found->second;
  const auto* const lock = state_.lock_of(app_id);
  if (lock != nullptr &&
      (lock->kind == Deployment::Kind::kStop || lock->kind == Deployment::Kind::kRestart)) {
    return;
  }
  const bool counts_inactive =
      defects_.has(Defect::kNeverReschedules) || defects_.has(Defect::kIgnoresUnreachableZone);
  std::vector<Instance*> counted;
  for (Instance* const instance : state_.instances_of(app_id)) {
    const bool inactive = instance->condition == Condition::kUnreachableInactive;
    if (instance->decommissioned) continue;
    if (is_active(instance->condition) || (inactive && counts_inactive))
      counted.push_back(instance);
  }
  const auto target = static_cast<std::ptrdiff_t>(app.instances);
  const auto have = static_cast<std::ptrdiff_t>(counted.size());
  if (have > target) {
    if (defects_.has(Defect::kKeepsDuplicates) && lock == nullptr) return;
    counted = kill_order(app, std::move(counted));
    counted.resize(static_cast<std::size_t>(have - target));
    for (Instance* const instance : counted) decommission(*instance);
    return;
  }
  if (held_back_.contains(app_id)) return;
  const auto abandoned = abandoned_.find(app_id);
  const auto lost = abandoned == abandoned_.end() ? 0 : abandoned->second;
  for (auto missing = target - have - lost; missing > 0; --missing) add_instance(app);
}

void Scheduler::scale_all() {
  std::vector<std::string> orphans;
  for (const auto& [id, instance] : state_.instances) {
    if (!state_.apps.contains(instance.app_id)) orphans.push_back(id);
  }
  for (const auto& id : orphans) decommission(state_.instances.at(id));
  for (const auto& [id, app] : state_.apps) {
    if (state_.lock_of(id) == nullptr) scale(id);
  }
}

std::string Scheduler::begin_deployment(Deployment::Kind kind, const App& app, json before) {
  Deployment deployment;
  deployment.id = new_uuid();
  deployment.version = app.version;
  deployment.app_id = app.id;
  deployment.kind = kind;
  deployment.before = std::move(before);
  publish("deployment_info", {{"plan", to_json(deployment)}, {"currentStep", to_json(deployment)}});
  const auto id = deployment.id;
  state_.deployments.emplace(id, std::move(deployment));
  return id;
}

void Scheduler::end_deployment(const std::string& id, bool success) {
  const auto found = state_.deployments.find(id);
  if (found == state_.deployments.end()) return;
  const auto plan = to_json(found->second);
  if (success) publish("deployment_step_success", {{"plan", plan}, {"currentStep", plan}});
  publish(success ? "deployment_success" : "deployment_failed", {{"id", id}, {"plan", plan}});
  state_.deployments.erase(found);
}

void Scheduler::progress() {
  std::vector<std::string> done;
  const auto deployments = state_.deployments;
  for (const auto& [id, deployment] : deployments) {
    const auto app = state_.apps.find(deployment.app_id);
    if (app == state_.apps.end()) {
      done.push_back(id);
      continue;
    }
    switch (deployment.kind) {
      case Deployment::Kind::kStart:
      case Deployment::Kind::kScale:
        if (progress_scale(app->second)) done.push_back(id);
        break;
      case Deployment::Kind::kRestart:
        if (progress_restart(app->second)) done.push_back(id);
        break;
      case Deployment::Kind::kStop:
        if (progress_stop(deployment.app_id)) done.push_back(id);
        break;
    }
  }
  for (const auto& id : done) end_deployment(id, true);
}

bool Scheduler::progress_scale(const App& app) {
  scale(app.id);
  int running = 0;
  for (const Instance* const instance : state_.instances_of(app.id)) {
    if (instance->decommissioned) return false;
    if (instance->condition == Condition::kRunning) ++running;
  }
  return running >= app.instances;
}

// A rolling restart within upgradeStrategy's bounds (TaskReplaceActor.scala).
bool Scheduler::progress_restart(const App& app) {
  const double target = app.instances;
  const auto least_running = static_cast<int>(std::ceil(target * app.minimum_health_capacity));
  auto most = static_cast<int>(std::ceil(target * (1 + app.maximum_over_capacity)));
  if (least_running >= app.instances) most = std::max(most, app.instances + 1);
  std::vector<Instance*> old;
  int fresh = 0;
  int fresh_running = 0;
  int running = 0;
  int total = 0;
  for (Instance* const instance : state_.instances_of(app.id)) {
    ++total;
    if (instance->decommissioned) continue;
    if (instance->condition == Condition::kRunning) ++running;
    if (is_old(*instance, app)) {
      old.push_back(instance);
    } else if (is_active(instance->condition)) {
      ++fresh;
      if (instance->condition == Condition::kRunning) ++fresh_running;
    }
  }
  for (Instance* const instance : kill_order(app, old)) {
    const bool runs = instance->condition == Condition::kRunning;
    if (runs && running - 1 < least_running) break;
    if (runs) --running;
    decommission(*instance);
  }
  for (; fresh < app.instances && total < most; ++fresh, ++total) add_instance(app);
  if (fresh > app.instances) {
    std::vector<Instance*> surplus;
    for (Instance* const instance : state_.instances_of(app.id)) {
      if (!instance->decommissioned && !is_old(*instance, app)) surplus.push_back(instance);
    }
    surplus = kill_order(app, std::move(surplus));
    surplus.resize(static_cast<std::size_t>(fresh - app.instances));
    for (Instance* const instance : surplus) decommission(*instance);
  }
  const auto all = state_.instances_of(app.id);
  const bool settled = std::none_of(all.begin(), all.end(), [&](const Instance* instance) {
    return instance->decommissioned || is_old(*instance, app);
  });
  return settled && fresh_running >= app.instances;
}

bool Scheduler::progress_stop(const std::string& app_id) {
  std::vector<std::string> ids;
  for (const Instance* const instance : state_.instances_of(app_id)) ids.push_back(instance->id);
  for (const auto& id : ids) {
    if (const auto found = state_.instances.find(id); found != state_.instances.end()) {
      decommission(found->second);
    }
  }
  if (!state_.instances_of(app_id).empty()) return false;
  publish("app_terminated_event", {{"appId", app_id}});
  state_.apps.erase(app_id);
  records_.erase(app_id);
  backoffs_.erase(app_id);
  abandoned_.erase(app_id);
  held_back_.erase(app_id);
  last_failures_.erase(app_id);
  return true;
}

}  // namespace zq::scheduler
