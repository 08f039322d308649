// What the scheduler knows and keeps in ZooKeeper: apps, instances, deployments, the framework id.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "tests/calibration/scheduler/app.h"
#include "tests/calibration/scheduler/instance.h"

namespace zq::scheduler {

// A change of one app on its way; while it lasts the app is locked.
struct Deployment {
  enum class Kind { kStart, kScale, kRestart, kStop };
  std::string id;
  std::string version;
  std::string app_id;
  Kind kind = Kind::kScale;
  nlohmann::json before;  // the app's definition, for a rollback; null if there was none
};

// As /v2/deployments and the deployment events show it.
[[nodiscard]] nlohmann::json to_json(const Deployment& deployment);

struct State {
  std::string framework_id;
  std::string version;              // of all apps together: every accepted update is a new one
  std::map<std::string, App> apps;  // by id
  std::map<std::string, Instance> instances;      // by id
  std::map<std::string, Deployment> deployments;  // by id

  [[nodiscard]] std::vector<Instance*> instances_of(const std::string& app_id);
  [[nodiscard]] std::vector<const Instance*> instances_of(const std::string& app_id) const;
  // The deployment that locks the app, or null.
  [[nodiscard]] const Deployment* lock_of(const std::string& app_id) const;
};

// Nodes below the state's root: "apps/a_b", "instances/ID", "deployments/ID", "framework-id",
// "root".
using Nodes = std::map<std::string, std::string>;
[[nodiscard]] Nodes to_nodes(const State& state);
// kInput names the node that cannot be read.
Result<State> parse_nodes(const Nodes& nodes);

// One step of a write: a node's new data, or its removal.
struct Change {
  std::string node;
  std::optional<std::string> data;
};
// What leads from one state to the other.
[[nodiscard]] std::vector<Change> changes(const Nodes& from, const Nodes& to);

// "2026-11-24T22:30:31.123Z", later than `previous` even within its millisecond.
[[nodiscard]] std::string next_version(std::int64_t wall_ns, const std::string& previous);

}  // namespace zq::scheduler
