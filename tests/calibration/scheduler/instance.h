// One instance of an app and what status updates make of it: Marathon's conditions
// (Condition.scala, TaskConditionMapping.scala, InstanceUpdater.scala).
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/time.h"
#include "tests/calibration/scheduler/app.h"
#include "tests/calibration/scheduler/constraint.h"

namespace zq::scheduler {

enum class Condition {
  kScheduled,    // waits for an offer
  kProvisioned,  // accepted an offer
  kStaging,
  kStarting,
  kRunning,
  kKilling,
  kUnreachable,
  kUnreachableInactive,
  kFinished,
  kFailed,
  kError,
  kKilled,
  kDropped,
  kGone,
  kUnknown,
};

[[nodiscard]] std::string_view name_of(Condition condition);  // "UnreachableInactive"
[[nodiscard]] bool is_terminal(Condition condition);
// Counts toward the app's target.
[[nodiscard]] bool is_active(Condition condition);
// Has been handed to Mesos.
[[nodiscard]] bool has_task(Condition condition);

// A status update of the v1 scheduler API.
struct TaskStatus {
  std::string task_id;
  std::string state;   // "TASK_RUNNING"
  std::string reason;  // "REASON_RECONCILIATION" or empty
  std::string message;
  std::string agent_id;
  std::string uuid;  // base64; empty: must not be acknowledged
  std::optional<std::int64_t> unreachable_wall_ns;
  std::vector<std::string> addresses;
};

// kInput when it is no status.
Result<TaskStatus> parse_status(const nlohmann::json& json);
[[nodiscard]] Condition condition_of(const TaskStatus& status);

struct Instance {
  std::string id;  // "a_b.instance-UUID"
  std::string app_id;
  std::string app_version;
  Condition condition = Condition::kScheduled;
  bool decommissioned = false;  // it is to end and not to be replaced
  int incarnation = 0;          // of its tasks; 0 = none yet
  std::string agent_id;
  Place place;
  std::vector<int> ports;
  std::vector<std::string> addresses;
  std::int64_t since_wall_ns = 0;  // of the condition
  std::int64_t staged_wall_ns = 0;
  std::optional<std::int64_t> started_wall_ns;
  std::optional<std::int64_t> unreachable_wall_ns;

  [[nodiscard]] std::string task_id() const;  // "a_b.instance-UUID._app.2"
};

// "a_b.instance-UUID" of a task id; empty when it is not one of ours.
[[nodiscard]] std::string instance_of_task(const std::string& task_id);

[[nodiscard]] nlohmann::json to_json(const Instance& instance);
Result<Instance> parse_instance(const nlohmann::json& json);
// As /v2/tasks shows it.
[[nodiscard]] nlohmann::json task_json(const Instance& instance);

// What became of the instance.
enum class Effect { kNone, kUpdated, kEnded, kForgotten };

// `status` is about the instance's own task. An unreachable instance becomes inactive here if its
// strategy says so and is kForgotten if it expires at once (both 0, as since 1.9.124). The age is
// that of the master's unreachable_time on our clock, as in Marathon.
Effect apply(Instance& instance, const TaskStatus& status, const UnreachableStrategy& strategy,
             std::int64_t wall_ns);
// Inactive for long enough to be forgotten by the periodic expunge.
[[nodiscard]] bool is_overdue(const Instance& instance, const UnreachableStrategy& strategy,
                              std::int64_t wall_ns);

}  // namespace zq::scheduler
