// Offers: which instance goes where.
#include <algorithm>
#include <boost/container_hash/hash.hpp>
#include <utility>

#include "tests/calibration/scheduler/scheduler.h"

namespace zq::scheduler {

using nlohmann::json;

MatchRules Scheduler::rules() const {
  return {.ignore_capacity = defects_.has(Defect::kIgnoresCapacity),
          .ignore_constraints = defects_.has(Defect::kIgnoresConstraints),
          .ignore_home_region = defects_.has(Defect::kIgnoresHomeRegion)};
}

void Scheduler::on_offers(const json& offers) {
  if (!offers.is_array()) return;
  for (const auto& item : offers) {
    ++counters_["marathon.mesos.offers.incoming.counter"];
    if (auto offer = parse_offer(item)) on_offer(std::move(*offer));
  }
}

bool Scheduler::may_launch(const App& app) const {
  const auto backoff = backoffs_.find(app.id);
  return backoff == backoffs_.end() || now_().mono >= backoff->second.until;
}

// Instances of older configurations do not stand in the way of the new one's placement.
std::vector<Place> Scheduler::placed(const App& app) const {
  std::vector<Place> places;
  for (const Instance* const instance : state_.instances_of(app.id)) {
    if (has_task(instance->condition) && instance->app_version >= app.last_config_change_at) {
      places.push_back(instance->place);
    }
  }
  return places;
}

std::optional<json> Scheduler::try_launch(Offer& offer, const App& app) {
  const auto waiting = state_.instances_of(app.id);
  const auto next = std::find_if(waiting.begin(), waiting.end(), [](const Instance* instance) {
    return instance->condition == Condition::kScheduled && !instance->decommissioned;
  });
  if (next == waiting.end() || !may_launch(app)) return std::nullopt;
  const auto now = now_();
  auto& record = records_[app.id];
  if (const auto refusal = refuses(offer, app, placed(app), home_region_, rules())) {
    ++record.unused;
    record.last_unused_wall_ns = now.wall_ns;
    record.last[offer.agent_id] = *refusal;
    return std::nullopt;
  }
  record.last.erase(offer.agent_id);
  record.last_used_wall_ns = now.wall_ns;
  Instance& instance = **next;
  ++instance.incarnation;
  instance.app_version = app.version;
  instance.staged_wall_ns = now.wall_ns;
  instance.started_wall_ns.reset();
  instance.unreachable_wall_ns.reset();
  const auto entropy = static_cast<std::uint32_t>(
      boost::hash_value(instance.id) + static_cast<std::size_t>(instance.incarnation) * 7919U);
  json tasks = json::array({take(offer, app, instance, entropy, rules())});
  set_condition(instance, Condition::kProvisioned);
  if (defects_.has(Defect::kLaunchesTwice) && !refuses(offer, app, {}, std::nullopt, {})) {
    Instance twin = instance;
    twin.id += "-twin";
    tasks.push_back(take(offer, app, twin, entropy + 1, rules()));
  }
  return tasks;
}

void Scheduler::on_offer(Offer offer) {
  json tasks = json::array();
  bool found = true;
  for (const auto& [id, app] : state_.apps) {
    const auto waiting = state_.instances_of(id);
    if (std::any_of(waiting.begin(), waiting.end(), [](const Instance* instance) {
          return instance->condition == Condition::kScheduled;
        })) {
      ++records_[id].processed;
    }
  }
  // One of each app in turn, so that no app takes what another waits for.
  while (found) {
    found = false;
    for (const auto& [id, app] : state_.apps) {
      if (std::cmp_greater_equal(tasks.size(), timers_.max_instances_per_offer)) break;
      const auto launched = try_launch(offer, app);
      if (!launched) continue;
      found = true;
      tasks.insert(tasks.end(), launched->begin(), launched->end());
    }
  }
  const json ids = json::array({{{"value", offer.id}}});
  if (tasks.empty()) {
    ++counters_["marathon.mesos.offers.declined.counter"];
    call({{"type", "DECLINE"},
          {"decline",
           {{"offer_ids", ids},
            {"filters", {{"refuse_seconds", to_seconds(timers_.decline_duration)}}}}}});
    return;
  }
  ++counters_["marathon.mesos.offers.used.counter"];
  counters_["marathon.instances.launched.counter"] += static_cast<std::int64_t>(tasks.size());
  const json launch = {{"type", "LAUNCH"}, {"launch", {{"task_infos", std::move(tasks)}}}};
  call({{"type", "ACCEPT"},
        {"accept",
         {{"offer_ids", ids},
          {"operations", json::array({launch})},
          {"filters", {{"refuse_seconds", 5.0}}}}}});
}

}  // namespace zq::scheduler
