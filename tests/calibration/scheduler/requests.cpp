// What REST asks for. A change is stored before it is answered, or refused as a whole.
#include <algorithm>
#include <boost/uuid/random_generator.hpp>
#include <boost/uuid/uuid_io.hpp>

#include "tests/calibration/scheduler/scheduler.h"

namespace zq::scheduler {

using nlohmann::json;

namespace {

constexpr int kConflict = 409;
constexpr int kNotFound = 404;
constexpr int kUnprocessable = 422;
constexpr int kUnavailable = 503;

tl::unexpected<Refused> refuse(int status, const std::string& message) {
  return tl::unexpected<Refused>(Refused{status, {{"message", message}}});
}

tl::unexpected<Refused> not_valid(const Error& error) {
  const auto colon = error.message.find(": ");
  const auto path = error.message.substr(0, colon);
  const auto what = colon == std::string::npos ? error.message : error.message.substr(colon + 2);
  const json detail = {{"path", path}, {"errors", json::array({what})}};
  return tl::unexpected<Refused>(Refused{
      kUnprocessable, {{"message", "Object is not valid"}, {"details", json::array({detail})}}});
}

tl::unexpected<Refused> no_app(const std::string& id) {
  return refuse(kNotFound, fmt::format("App '{}' does not exist", id));
}

}  // namespace

Answer<const App*> Scheduler::unlocked(const std::string& id, bool force) {
  const auto found = state_.apps.find(id);
  if (found == state_.apps.end()) return no_app(id);
  if (const auto* const lock = state_.lock_of(id)) {
    if (!force) {
      return tl::unexpected<Refused>(Refused{
          kConflict,
          {{"message",
            "App is locked by one or more deployments. Override with the option '?force=true'. "
            "View details at '/v2/deployments/<DEPLOYMENT_ID>'."},
           {"deployments", json::array({{{"id", lock->id}}})}}});
    }
    end_deployment(lock->id, false);
  }
  return &found->second;
}

// Stores the change, or takes it back.
Answer<Scheduler::Accepted> Scheduler::settle(Accepted accepted) {
  state_.version = next_version(now_().wall_ns, state_.version);
  // Kept in memory only: what is stored stays as it was.
  if (defects_.has(Defect::kLosesAcceptedUpdates)) stored_ = to_nodes(state_);
  if (const auto status = commit(); !status) {
    calls_.clear();
    events_.clear();
    if (auto before = parse_nodes(stored_)) state_ = std::move(*before);
    return refuse(kUnavailable,
                  fmt::format("the update could not be stored: {}", status.error().message));
  }
  return accepted;
}

Answer<Scheduler::Accepted> Scheduler::create_app(const json& root) {
  auto app = parse_app(root, nullptr);
  if (!app) return not_valid(app.error());
  if (state_.apps.contains(app->id)) {
    return refuse(kConflict, fmt::format("An app with id [{}] already exists.", app->id));
  }
  app->version = next_version(now_().wall_ns, "");
  app->last_scaling_at = app->version;
  app->last_config_change_at = app->version;
  const App& kept = state_.apps[app->id] = *app;
  const auto id = begin_deployment(Deployment::Kind::kStart, kept, nullptr);
  progress();
  return settle({app->version, id, true});
}

Answer<Scheduler::Accepted> Scheduler::change_app(App app, const App& before) {
  const bool restart = configuration_differs(app, before);
  app.version = next_version(now_().wall_ns, before.version);
  app.last_scaling_at = app.version;
  if (restart) app.last_config_change_at = app.version;
  const auto original = to_json(before);
  abandoned_.erase(app.id);
  App& kept = state_.apps[app.id] = app;
  const auto id = begin_deployment(restart ? Deployment::Kind::kRestart : Deployment::Kind::kScale,
                                   kept, original);
  progress();
  return settle({app.version, id, false});
}

Answer<Scheduler::Accepted> Scheduler::update_app(const std::string& id, const json& root,
                                                  bool force) {
  if (!state_.apps.contains(id)) {
    json named = root;
    if (named.is_object()) named["id"] = id;
    return create_app(named);
  }
  const App before = state_.apps.at(id);
  auto app = parse_app(root, &before);
  if (!app) return not_valid(app.error());
  // What changes nothing has no steps, so that no lock is in its way; it is stored all the same.
  if (!configuration_differs(*app, before) && app->instances == before.instances) {
    return settle({before.version, to_string(boost::uuids::random_generator()()), false});
  }
  const auto free = unlocked(id, force);
  if (!free) return tl::unexpected<Refused>(free.error());
  return change_app(std::move(*app), before);
}

Answer<Scheduler::Accepted> Scheduler::restart_app(const std::string& id, bool force) {
  const auto found = unlocked(id, force);
  if (!found) return tl::unexpected<Refused>(found.error());
  const App before = **found;
  App& app = state_.apps[id];
  app.version = next_version(now_().wall_ns, before.version);
  app.last_config_change_at = app.version;
  const auto deployment = begin_deployment(Deployment::Kind::kRestart, app, to_json(before));
  const App copy = app;
  progress();
  return settle({copy.version, deployment, false});
}

Answer<Scheduler::Accepted> Scheduler::delete_app(const std::string& id, bool force) {
  const auto found = unlocked(id, force);
  if (!found) return tl::unexpected<Refused>(found.error());
  const App app = **found;
  const auto version = next_version(now_().wall_ns, app.version);
  const auto deployment = begin_deployment(Deployment::Kind::kStop, app, to_json(app));
  progress();
  return settle({version, deployment, false});
}

Answer<std::vector<Instance>> Scheduler::kill_tasks(const std::vector<std::string>& task_ids,
                                                    bool scale_down, bool wipe, bool force) {
  std::vector<Instance> killed;
  std::map<std::string, int> by_app;
  for (const auto& task : task_ids) {
    const auto found = state_.instances.find(instance_of_task(task));
    if (found == state_.instances.end() || found->second.task_id() != task ||
        !has_task(found->second.condition)) {
      continue;
    }
    killed.push_back(found->second);
    ++by_app[found->second.app_id];
  }
  if (scale_down) {
    for (const auto& [id, count] : by_app) {
      if (const auto app = unlocked(id, force); !app) return tl::unexpected<Refused>(app.error());
    }
  }
  for (const auto& [id, count] : by_app) {
    const auto app = state_.apps.find(id);
    if (!scale_down || app == state_.apps.end()) continue;
    const auto original = to_json(app->second);
    app->second.instances = std::max(0, app->second.instances - count);
    app->second.version = next_version(now_().wall_ns, app->second.version);
    app->second.last_scaling_at = app->second.version;
    begin_deployment(Deployment::Kind::kScale, app->second, original);
  }
  for (const auto& victim : killed) {
    const auto found = state_.instances.find(victim.id);
    if (found == state_.instances.end()) continue;
    const bool gone = found->second.condition == Condition::kUnreachable ||
                      found->second.condition == Condition::kUnreachableInactive;
    if (scale_down || wipe) {
      decommission(found->second);
    } else if (gone) {
      forget(victim.id);
    } else {
      kill(victim.task_id(), victim.agent_id);
      set_condition(found->second, Condition::kKilling);
    }
  }
  if (wipe && !scale_down) {
    for (const auto& [id, count] : by_app) scale(id);
  }
  const auto settled = settle({});
  if (!settled) return tl::unexpected<Refused>(settled.error());
  return killed;
}

Answer<std::optional<Scheduler::Accepted>> Scheduler::cancel_deployment(const std::string& id,
                                                                        bool force) {
  const auto found = state_.deployments.find(id);
  if (found == state_.deployments.end()) {
    return refuse(kNotFound, fmt::format("Deployment plan '{}' does not exist", id));
  }
  const Deployment deployment = found->second;
  end_deployment(id, false);
  const auto app = state_.apps.find(deployment.app_id);
  if (force || app == state_.apps.end()) {
    const auto settled = settle({});
    if (!settled) return tl::unexpected<Refused>(settled.error());
    return std::optional<Accepted>{};
  }
  if (deployment.before.is_null()) {
    auto undone = delete_app(deployment.app_id, true);
    if (!undone) return tl::unexpected<Refused>(undone.error());
    return std::optional<Accepted>(*undone);
  }
  const App current = app->second;
  auto original = parse_app(deployment.before, &current);
  if (!original) return not_valid(original.error());
  auto undone = change_app(std::move(*original), current);
  if (!undone) return tl::unexpected<Refused>(undone.error());
  return std::optional<Accepted>(*undone);
}

}  // namespace zq::scheduler
