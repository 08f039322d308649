#include "tests/calibration/scheduler/app.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <regex>

namespace zq::scheduler {

using nlohmann::json;

namespace {

constexpr const char* kYoungest = "YOUNGEST_FIRST";
constexpr const char* kOldest = "OLDEST_FIRST";

// What parse_app() reads; the rest is kept as it came.
constexpr std::array<std::string_view, 28> kKnown{
    "id", "cmd", "args", "cpus", "mem", "disk", "gpus", "instances", "env", "labels", "constraints",
    "ports", "portDefinitions", "requirePorts", "unreachableStrategy", "killSelection",
    "backoffSeconds", "backoffFactor", "maxLaunchDelaySeconds", "upgradeStrategy",
    "taskKillGracePeriodSeconds", "version", "versionInfo",
    // Answers of GET, which users send back.
    "tasks", "deployments", "lastTaskFailure", "tasksStats", "uris"};

// Reads the fields of one object and remembers the first that is wrong.
class Reader {
 public:
  explicit Reader(const json& object) : object_(object) {}

  [[nodiscard]] const json* find(const char* key) const {
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  template <class T>
  void number(const char* key, T& value, double least) {
    const json* const found = find(key);
    if (found == nullptr) return;
    if (!found->is_number() || found->get<double>() < least) {
      wrong(key, fmt::format("a number of at least {} is needed", least));
    } else {
      value = found->get<T>();
    }
  }
  void flag(const char* key, bool& value) {
    const json* const found = find(key);
    if (found == nullptr) return;
    if (!found->is_boolean()) return wrong(key, "true or false is needed");
    value = found->get<bool>();
  }
  void texts(const char* key, std::map<std::string, std::string>& values) {
    const json* const found = find(key);
    if (found == nullptr) return;
    if (!found->is_object()) return wrong(key, "an object is needed");
    values.clear();
    for (const auto& [name, value] : found->items()) {
      if (!value.is_string()) return wrong(key, "a value is not a string");
      values[name] = value.get<std::string>();
    }
  }
  void wrong(const std::string& key, const std::string& what) {
    if (ok_) ok_ = fail(ErrorCode::kInput, "/{}: {}", key, what);
  }
  [[nodiscard]] Status status() const { return ok_; }

 private:
  const json& object_;
  Status ok_;
};

void read_command(Reader& reader, App& app) {
  if (const json* const cmd = reader.find("cmd")) {
    if (!cmd->is_string()) return reader.wrong("cmd", "a string is needed");
    app.cmd = cmd->get<std::string>();
    app.args.clear();
  }
  if (const json* const args = reader.find("args"); args != nullptr && !args->empty()) {
    if (!args->is_array()) return reader.wrong("args", "a list of strings is needed");
    if (reader.find("cmd") != nullptr)
      return reader.wrong("args", "cmd and args exclude each other");
    app.cmd.reset();
    app.args.clear();
    for (const auto& arg : *args) {
      if (!arg.is_string()) return reader.wrong("args", "a list of strings is needed");
      app.args.push_back(arg.get<std::string>());
    }
  }
}

void read_constraints(Reader& reader, App& app) {
  const json* const list = reader.find("constraints");
  if (list == nullptr) return;
  if (!list->is_array()) return reader.wrong("constraints", "a list is needed");
  app.constraints.clear();
  for (const auto& item : *list) {
    auto constraint = Constraint::parse(item);
    if (!constraint) return reader.wrong("constraints", constraint.error().message);
    app.constraints.push_back(std::move(*constraint));
  }
}

void read_ports(Reader& reader, App& app) {
  if (const json* const list = reader.find("portDefinitions")) {
    if (!list->is_array()) return reader.wrong("portDefinitions", "a list is needed");
    app.ports.clear();
    for (const auto& item : *list) {
      if (!item.is_object()) return reader.wrong("portDefinitions", "a list of objects is needed");
      app.ports.push_back(
          {item.value("port", json(0)).is_number() ? item.value("port", 0) : 0, item});
    }
  } else if (const json* const numbers = reader.find("ports")) {
    if (!numbers->is_array()) return reader.wrong("ports", "a list of numbers is needed");
    app.ports.clear();
    for (const auto& item : *numbers) {
      if (!item.is_number_integer()) return reader.wrong("ports", "a list of numbers is needed");
      const int port = item.get<int>();
      app.ports.push_back({port, {{"port", port}, {"protocol", "tcp"}}});
    }
  }
  reader.flag("requirePorts", app.require_ports);
}

void read_strategies(Reader& reader, App& app) {
  if (const json* const found = reader.find("unreachableStrategy")) {
    if (found->is_string() && *found == "disabled") {
      app.unreachable = {false, {}, {}};
    } else if (found->is_object()) {
      double inactive = 0;
      double expunge = 0;
      Reader inner(*found);
      inner.number("inactiveAfterSeconds", inactive, 0);
      inner.number("expungeAfterSeconds", expunge, 0);
      if (const auto status = inner.status(); !status) {
        return reader.wrong("unreachableStrategy", status.error().message);
      }
      if (expunge < inactive) {
        return reader.wrong(
            "unreachableStrategy",
            "inactiveAfterSeconds must be less than or equal to expungeAfterSeconds");
      }
      app.unreachable = {true, from_seconds(inactive), from_seconds(expunge)};
    } else {
      return reader.wrong("unreachableStrategy", "an object or \"disabled\" is needed");
    }
  } else if (reader.find("residency") != nullptr) {
    app.unreachable = {false, {}, {}};  // Marathon's default for apps with persistent volumes
  }
  if (const json* const found = reader.find("killSelection")) {
    if (*found != kYoungest && *found != kOldest) {
      return reader.wrong("killSelection", "YOUNGEST_FIRST or OLDEST_FIRST is needed");
    }
    app.kill_selection =
        *found == kOldest ? KillSelection::kOldestFirst : KillSelection::kYoungestFirst;
  }
  if (const json* const found = reader.find("upgradeStrategy")) {
    if (!found->is_object()) return reader.wrong("upgradeStrategy", "an object is needed");
    Reader inner(*found);
    inner.number("minimumHealthCapacity", app.minimum_health_capacity, 0);
    inner.number("maximumOverCapacity", app.maximum_over_capacity, 0);
    if (const auto status = inner.status(); !status) {
      reader.wrong("upgradeStrategy", status.error().message);
    }
  }
}

std::vector<std::string> parts_of(const std::string& id) {
  std::vector<std::string> parts;
  std::size_t begin = 1;
  while (begin < id.size()) {
    const auto end = std::min(id.find('/', begin), id.size());
    parts.push_back(id.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

}  // namespace

std::string App::id_prefix() const {
  std::string prefix = id.substr(1);
  std::replace(prefix.begin(), prefix.end(), '/', '_');
  return prefix;
}

std::string App::task_name() const {
  auto parts = parts_of(id);
  std::reverse(parts.begin(), parts.end());
  return fmt::format("{}", fmt::join(parts, "."));
}

Result<std::string> parse_app_id(const std::string& text) {
  std::string id = text;
  if (id.empty() || id.front() != '/') id.insert(id.begin(), '/');
  while (id.size() > 1 && id.back() == '/') id.pop_back();
  static const std::regex kForm("(/[a-z0-9]([-a-z0-9.]*[a-z0-9])?)+");
  if (!std::regex_match(id, kForm)) {
    return fail(ErrorCode::kInput,
                "/id: '{}' is not an app id; use lower-case letters, digits, '-' and '.' between "
                "slashes",
                text);
  }
  return id;
}

Result<App> parse_app(const json& object, const App* base) {
  if (!object.is_object()) return fail(ErrorCode::kInput, "/: an object is needed");
  App app = base == nullptr ? App{} : *base;
  Reader reader(object);
  if (base == nullptr) {
    app.ports = {{0, {{"port", 0}, {"protocol", "tcp"}}}};
    const json* const id = reader.find("id");
    if (id == nullptr || !id->is_string()) {
      return fail(ErrorCode::kInput, "/id: an app needs an id");
    }
    ZQ_TRY(app.id, parse_app_id(id->get<std::string>()));
  }
  read_command(reader, app);
  reader.number("cpus", app.cpus, 0);
  reader.number("mem", app.mem, 0);
  reader.number("disk", app.disk, 0);
  reader.number("gpus", app.gpus, 0);
  reader.number("instances", app.instances, 0);
  reader.texts("env", app.env);
  reader.texts("labels", app.labels);
  read_constraints(reader, app);
  read_ports(reader, app);
  read_strategies(reader, app);
  reader.number("backoffSeconds", app.backoff_seconds, 0);
  reader.number("backoffFactor", app.backoff_factor, 1);
  reader.number("maxLaunchDelaySeconds", app.max_launch_delay_seconds, 0);
  if (reader.find("taskKillGracePeriodSeconds") != nullptr) {
    double grace = 0;
    reader.number("taskKillGracePeriodSeconds", grace, 0);
    app.kill_grace_seconds = grace;
  }
  for (const auto& [key, value] : object.items()) {
    const bool shown_only = key.rfind("tasks", 0) == 0;
    if (shown_only || std::find(kKnown.begin(), kKnown.end(), key) != kKnown.end()) continue;
    app.other[key] = value;
  }
  ZQ_CHECK(reader.status());
  if (!app.cmd && app.args.empty() && !app.other.contains("container")) {
    return fail(ErrorCode::kInput,
                "/: AppDefinition must either contain one of 'cmd' or 'args', "
                "and/or a 'container'");
  }
  return app;
}

json to_json(const App& app) {
  json result = app.other;
  result.update({{"id", app.id},
                 {"cpus", app.cpus},
                 {"mem", app.mem},
                 {"disk", app.disk},
                 {"gpus", app.gpus},
                 {"instances", app.instances},
                 {"env", app.env},
                 {"labels", app.labels},
                 {"requirePorts", app.require_ports},
                 {"backoffSeconds", app.backoff_seconds},
                 {"backoffFactor", app.backoff_factor},
                 {"maxLaunchDelaySeconds", app.max_launch_delay_seconds},
                 {"version", app.version},
                 {"executor", ""}});
  for (const char* const list : {"healthChecks", "fetch", "dependencies"}) {
    if (!result.contains(list)) result[list] = json::array();
  }
  if (!result.contains("acceptedResourceRoles")) result["acceptedResourceRoles"] = {"*"};
  if (!result.contains("networks")) result["networks"] = {{{"mode", "host"}}};
  if (app.cmd) result["cmd"] = *app.cmd;
  if (!app.args.empty()) result["args"] = app.args;
  result["constraints"] = json::array();
  for (const auto& constraint : app.constraints) {
    result["constraints"].push_back(constraint.to_json());
  }
  result["ports"] = json::array();
  result["portDefinitions"] = json::array();
  for (const auto& definition : app.ports) {
    result["ports"].push_back(definition.port);
    result["portDefinitions"].push_back(definition.json);
  }
  if (app.unreachable.enabled) {
    result["unreachableStrategy"] = {
        {"inactiveAfterSeconds", static_cast<long>(to_seconds(app.unreachable.inactive_after))},
        {"expungeAfterSeconds", static_cast<long>(to_seconds(app.unreachable.expunge_after))}};
  } else {
    result["unreachableStrategy"] = "disabled";
  }
  result["killSelection"] = app.kill_selection == KillSelection::kOldestFirst ? kOldest : kYoungest;
  result["upgradeStrategy"] = {{"minimumHealthCapacity", app.minimum_health_capacity},
                               {"maximumOverCapacity", app.maximum_over_capacity}};
  if (app.kill_grace_seconds) result["taskKillGracePeriodSeconds"] = *app.kill_grace_seconds;
  result["versionInfo"] = {{"lastScalingAt", app.last_scaling_at},
                           {"lastConfigChangeAt", app.last_config_change_at}};
  return result;
}

bool configuration_differs(const App& a, const App& b) {
  auto first = to_json(a);
  auto second = to_json(b);
  for (json* const shown : {&first, &second}) {
    for (const char* const key : {"instances", "version", "versionInfo"}) shown->erase(key);
  }
  return first != second;
}

}  // namespace zq::scheduler
