#include "controller/systems/marathon_answers.h"

#include "controller/systems/json.h"
#include "controller/systems/mesos_answers.h"

namespace zq {
namespace {

using nlohmann::json;

std::optional<double> milliseconds_at(const json& root,
                                      std::initializer_list<std::string_view> path) {
  const auto value = json_number(root, path);
  return value ? std::optional<double>(*value / 1000) : std::nullopt;
}

const json* array_in(const json& root, std::string_view key) {
  const json* const found = json_at(root, {key});
  return found != nullptr && found->is_array() ? found : nullptr;
}

std::optional<std::vector<MarathonTask>> parse_tasks(const json& app) {
  std::vector<MarathonTask> tasks;
  const json* const list = array_in(app, "tasks");
  if (list == nullptr) return tasks;
  for (const json& entry : *list) {
    const auto id = json_string(entry, {"id"});
    const auto state = json_string(entry, {"state"});
    if (!id || !state) return std::nullopt;
    MarathonTask task{*id,
                      json_string(entry, {"host"}).value_or(""),
                      json_string(entry, {"slaveId"}).value_or(""),
                      mesos_state_name(*state),
                      {}};
    if (const json* const addresses = array_in(entry, "ipAddresses")) {
      for (const json& address : *addresses) {
        const auto parsed = IpAddress::parse(json_string(address, {"ipAddress"}).value_or(""));
        if (parsed) task.addresses.push_back(*parsed);
      }
    }
    tasks.push_back(std::move(task));
  }
  return tasks;
}

std::vector<PlacementConstraint> parse_constraints(const json& app) {
  std::vector<PlacementConstraint> result;
  const json* const list = array_in(app, "constraints");
  if (list == nullptr) return result;
  for (const json& words : *list) {
    if (!words.is_array() || words.size() < 2 || !words[0].is_string() || !words[1].is_string()) {
      continue;
    }
    const bool has_value = words.size() > 2 && words[2].is_string();
    result.push_back({words[0].get<std::string>(), words[1].get<std::string>(),
                      has_value ? words[2].get<std::string>() : ""});
  }
  return result;
}

// A volume of the node's own: persistent, or a path of the host. External ones move with the app.
bool has_local_volumes(const json& app) {
  const json* const residency = json_at(app, {"residency"});
  if (residency != nullptr && residency->is_object()) return true;
  const json* const container = json_at(app, {"container"});
  const json* const volumes = container == nullptr ? nullptr : array_in(*container, "volumes");
  if (volumes == nullptr) return false;
  for (const json& volume : *volumes) {
    if (json_at(volume, {"persistent"}) != nullptr) return true;
    if (json_string(volume, {"hostPath"}).value_or("").starts_with('/')) return true;
  }
  return false;
}

double ports_of(const json& app) {
  for (const char* const key : {"portDefinitions", "ports"}) {
    if (const json* const list = array_in(app, key)) return static_cast<double>(list->size());
  }
  return 0;
}

std::map<std::string, std::string> parse_labels(const json& app) {
  std::map<std::string, std::string> labels;
  const json* const found = json_at(app, {"labels"});
  if (found == nullptr || !found->is_object()) return labels;
  for (const auto& [name, value] : found->items()) {
    if (value.is_string()) labels[name] = value.get<std::string>();
  }
  return labels;
}

std::optional<MarathonApp> parse_app(const json& entry) {
  const auto path = json_string(entry, {"id"});
  const auto instances = json_number(entry, {"instances"});
  auto tasks = parse_tasks(entry);
  if (!path || !instances || *instances < 0 || *instances > 1e6 || !tasks) return std::nullopt;
  MarathonApp app;
  app.path = path->starts_with('/') ? *path : "/" + *path;
  app.instances = static_cast<unsigned>(*instances);
  app.each = {json_number(entry, {"cpus"}).value_or(0), json_number(entry, {"mem"}).value_or(0),
              json_number(entry, {"disk"}).value_or(0), json_number(entry, {"gpus"}).value_or(0),
              ports_of(entry)};
  // Absent before 1.4, which replaced at once.
  const json* const strategy = json_at(entry, {"unreachableStrategy"});
  if (strategy == nullptr || !strategy->is_string()) {
    app.unreachable = MarathonApp::Unreachable{
        json_number(entry, {"unreachableStrategy", "inactiveAfterSeconds"}).value_or(0),
        json_number(entry, {"unreachableStrategy", "expungeAfterSeconds"}).value_or(0)};
  }
  app.kill_grace = json_number(entry, {"taskKillGracePeriodSeconds"});
  app.constraints = parse_constraints(entry);
  app.local_volumes = has_local_volumes(entry);
  app.labels = parse_labels(entry);
  app.tasks = std::move(*tasks);
  return app;
}

}  // namespace

std::optional<std::string> parse_marathon_leader(const std::string& body) {
  return json_string(parse_json(body), {"leader"});
}

std::optional<MarathonInfo> parse_marathon_info(const std::string& body) {
  const json root = parse_json(body);
  const auto version = json_string(root, {"version"});
  if (!version) return std::nullopt;
  MarathonInfo info;
  info.version = *version;
  info.framework = json_string(root, {"frameworkId"}).value_or("");
  info.checkpoint = json_bool(root, {"marathon_config", "checkpoint"});
  info.failover_timeout = json_number(root, {"marathon_config", "failover_timeout"});
  info.reconciliation = milliseconds_at(root, {"marathon_config", "reconciliation_interval"});
  info.scale_apps = milliseconds_at(root, {"marathon_config", "scale_apps_interval"});
  info.zk_session = milliseconds_at(root, {"zookeeper_config", "zk_session_timeout"});
  return info;
}

std::optional<MarathonApp> parse_marathon_app(const std::string& body) {
  const json root = parse_json(body);
  const json* const app = json_at(root, {"app"});
  return app == nullptr ? std::nullopt : parse_app(*app);
}

std::optional<std::vector<MarathonApp>> parse_marathon_apps(const std::string& body) {
  const json root = parse_json(body);
  const json* const list = array_in(root, "apps");
  if (list == nullptr) return std::nullopt;
  std::vector<MarathonApp> apps;
  for (const json& entry : *list) {
    auto app = parse_app(entry);
    if (!app) return std::nullopt;
    apps.push_back(std::move(*app));
  }
  return apps;
}

std::optional<std::set<std::string>> parse_marathon_deployments(const std::string& body) {
  const json root = parse_json(body);
  if (!root.is_array()) return std::nullopt;
  std::set<std::string> paths;
  for (const json& deployment : root) {
    const json* const apps = array_in(deployment, "affectedApps");
    if (apps == nullptr) continue;  // of pods only
    for (const json& app : *apps) {
      if (app.is_string()) paths.insert(app.get<std::string>());
    }
  }
  return paths;
}

std::optional<std::map<std::string, double>> parse_marathon_queue(const std::string& body) {
  const json root = parse_json(body);
  const json* const list = array_in(root, "queue");
  if (list == nullptr) return std::nullopt;
  std::map<std::string, double> waiting;
  for (const json& entry : *list) {
    const auto count = json_number(entry, {"count"});
    auto path = json_string(entry, {"app", "id"});
    if (!path) path = json_string(entry, {"pod", "id"});
    if (!count || *count < 0 || !path) return std::nullopt;
    waiting[path->starts_with('/') ? *path : "/" + *path] += *count;
  }
  return waiting;
}

std::optional<MarathonEvent> parse_marathon_event(const std::string& body) {
  const json root = parse_json(body);
  const auto type = json_string(root, {"event"});
  const auto text = json_string(root, {"data"});
  if (!type || !text) return std::nullopt;
  const json data = parse_json(*text);
  MarathonEvent event;
  event.type = *type;
  event.instance = json_string(data, {"instanceId"}).value_or("");
  event.app = json_string(data, {"runSpecId"}).value_or("");
  event.host = json_string(data, {"host"}).value_or("");
  event.condition = json_string(data, {"condition"}).value_or("");
  return event;
}

}  // namespace zq
