#include "tests/calibration/scheduler/state.h"

#include <array>

namespace zq::scheduler {

using nlohmann::json;

namespace {

constexpr std::array<const char*, 4> kKinds{"start", "scale", "restart", "stop"};
constexpr const char* kFrameworkNode = "framework-id";
constexpr const char* kVersionNode = "root";

json stored(const Deployment& deployment) {
  return {{"id", deployment.id},
          {"version", deployment.version},
          {"app", deployment.app_id},
          {"kind", kKinds.at(static_cast<std::size_t>(deployment.kind))},
          {"before", deployment.before}};
}

Result<Deployment> parse_deployment(const json& root) {
  try {
    Deployment deployment;
    deployment.id = root.at("id").get<std::string>();
    deployment.version = root.at("version").get<std::string>();
    deployment.app_id = root.at("app").get<std::string>();
    deployment.before = root.at("before");
    const auto kind = root.at("kind").get<std::string>();
    for (std::size_t i = 0; i < kKinds.size(); ++i) {
      if (kind == kKinds.at(i)) deployment.kind = static_cast<Deployment::Kind>(i);
    }
    return deployment;
  } catch (const json::exception& error) {
    return fail(ErrorCode::kInput, "a stored deployment cannot be read: {}", error.what());
  }
}

Result<App> parse_stored_app(const json& root) {
  ZQ_TRY(App app, parse_app(root, nullptr));
  app.version = root.value("version", "");
  if (const auto info = root.find("versionInfo"); info != root.end() && info->is_object()) {
    app.last_scaling_at = info->value("lastScalingAt", app.version);
    app.last_config_change_at = info->value("lastConfigChangeAt", app.version);
  }
  return app;
}

Status parse_node(State& state, const std::string& node, const std::string& data) {
  if (node == kFrameworkNode) {
    state.framework_id = data;
    return {};
  }
  if (node == kVersionNode) {
    state.version = data;
    return {};
  }
  const json root = json::parse(data, nullptr, false);
  if (root.is_discarded()) return fail(ErrorCode::kInput, "{} holds no JSON", node);
  if (node.rfind("apps/", 0) == 0) {
    ZQ_TRY(App app, parse_stored_app(root));
    state.apps[app.id] = std::move(app);
  } else if (node.rfind("instances/", 0) == 0) {
    ZQ_TRY(Instance instance, parse_instance(root));
    state.instances[instance.id] = std::move(instance);
  } else if (node.rfind("deployments/", 0) == 0) {
    ZQ_TRY(Deployment deployment, parse_deployment(root));
    state.deployments[deployment.id] = std::move(deployment);
  }
  return {};
}

}  // namespace

json to_json(const Deployment& deployment) {
  static constexpr std::array<const char*, 4> kActions{"ScaleApplication", "ScaleApplication",
                                                       "RestartApplication", "StopApplication"};
  const char* const action = kActions.at(static_cast<std::size_t>(deployment.kind));
  const int steps = deployment.kind == Deployment::Kind::kStart ? 2 : 1;
  const json current = {{"action", action}, {"app", deployment.app_id}};
  json all = json::array();
  if (steps == 2) {
    const json start = {{"action", "StartApplication"}, {"app", deployment.app_id}};
    all.push_back({{"actions", json::array({start})}});
  }
  all.push_back({{"actions", json::array({current})}});
  return {{"id", deployment.id},
          {"version", deployment.version},
          {"affectedApps", json::array({deployment.app_id})},
          {"affectedPods", json::array()},
          {"steps", all},
          {"currentActions", json::array({current})},
          {"currentStep", steps},
          {"totalSteps", steps}};
}

std::vector<Instance*> State::instances_of(const std::string& app_id) {
  std::vector<Instance*> found;
  for (auto& [id, instance] : instances) {
    if (instance.app_id == app_id) found.push_back(&instance);
  }
  return found;
}

std::vector<const Instance*> State::instances_of(const std::string& app_id) const {
  std::vector<const Instance*> found;
  for (const auto& [id, instance] : instances) {
    if (instance.app_id == app_id) found.push_back(&instance);
  }
  return found;
}

const Deployment* State::lock_of(const std::string& app_id) const {
  for (const auto& [id, deployment] : deployments) {
    if (deployment.app_id == app_id) return &deployment;
  }
  return nullptr;
}

Nodes to_nodes(const State& state) {
  Nodes nodes;
  if (!state.framework_id.empty()) nodes[kFrameworkNode] = state.framework_id;
  if (!state.version.empty()) nodes[kVersionNode] = state.version;
  for (const auto& [id, app] : state.apps) nodes["apps/" + app.id_prefix()] = to_json(app).dump();
  for (const auto& [id, instance] : state.instances) {
    nodes["instances/" + id] = to_json(instance).dump();
  }
  for (const auto& [id, deployment] : state.deployments) {
    nodes["deployments/" + id] = stored(deployment).dump();
  }
  return nodes;
}

Result<State> parse_nodes(const Nodes& nodes) {
  State state;
  for (const auto& [node, data] : nodes) {
    if (auto status = parse_node(state, node, data); !status) {
      return tl::unexpected<Error>(std::move(status).error().with_context(node));
    }
  }
  return state;
}

std::vector<Change> changes(const Nodes& from, const Nodes& to) {
  std::vector<Change> steps;
  for (const auto& [node, data] : to) {
    const auto before = from.find(node);
    if (before == from.end() || before->second != data) steps.push_back({node, data});
  }
  for (const auto& [node, data] : from) {
    if (!to.contains(node)) steps.push_back({node, std::nullopt});
  }
  return steps;
}

std::string next_version(std::int64_t wall_ns, const std::string& previous) {
  constexpr std::int64_t kMillisecond = 1'000'000;
  auto version = format_wall(wall_ns);
  while (version <= previous) version = format_wall(wall_ns += kMillisecond);
  return version;
}

}  // namespace zq::scheduler
