// An app's definition as Marathon's REST interface takes and shows it.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/time.h"
#include "tests/calibration/scheduler/constraint.h"

namespace zq::scheduler {

// When an unreachable instance is replaced and when it is forgotten; "disabled" is never. The
// default of Marathon 1.5.1 and later is 0/0: both at once.
struct UnreachableStrategy {
  bool enabled = true;
  Nanos inactive_after{};
  Nanos expunge_after{};
  bool operator==(const UnreachableStrategy&) const = default;
};

enum class KillSelection { kYoungestFirst, kOldestFirst };

struct PortDefinition {
  int port = 0;
  nlohmann::json json;  // as given
  bool operator==(const PortDefinition&) const = default;
};

// Defaults are Marathon's (docs/docs/rest-api/public/api/v2/types/app.raml).
struct App {
  std::string id;  // "/a" or "/a/b"
  std::optional<std::string> cmd;
  std::vector<std::string> args;
  double cpus = 1;
  double mem = 128;
  double disk = 0;
  double gpus = 0;
  int instances = 1;
  std::map<std::string, std::string> env;
  std::map<std::string, std::string> labels;
  std::vector<Constraint> constraints;
  std::vector<PortDefinition> ports;
  bool require_ports = false;
  UnreachableStrategy unreachable;
  KillSelection kill_selection = KillSelection::kYoungestFirst;
  double backoff_seconds = 1;
  double backoff_factor = 1.15;
  double max_launch_delay_seconds = 300;
  double minimum_health_capacity = 1;
  double maximum_over_capacity = 1;
  std::optional<double> kill_grace_seconds;
  // Keys that this scheduler shows but does not act on: container, healthChecks, fetch ...
  nlohmann::json other = nlohmann::json::object();

  // Instants in Marathon's form, which sorts as text.
  std::string version;
  std::string last_scaling_at;
  std::string last_config_change_at;

  // "a_b" of "/a/b": the start of instance ids. "b.a": the task's name.
  [[nodiscard]] std::string id_prefix() const;
  [[nodiscard]] std::string task_name() const;
};

// "/a/b" of "a/b" and "/a/b/"; kInput when it is none.
Result<std::string> parse_app_id(const std::string& text);

// What a request says, over `base` if it changes an app. kInput: "PATH: what is wrong".
Result<App> parse_app(const nlohmann::json& json, const App* base);
// Without counts, tasks and deployments, which the state knows.
[[nodiscard]] nlohmann::json to_json(const App& app);

// They differ in more than the number of instances and what versions say.
[[nodiscard]] bool configuration_differs(const App& a, const App& b);

}  // namespace zq::scheduler
