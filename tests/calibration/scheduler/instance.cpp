#include "tests/calibration/scheduler/instance.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "controller/systems/json.h"

namespace zq::scheduler {

using nlohmann::json;

namespace {

constexpr std::array<std::pair<Condition, std::string_view>, 15> kConditions{{
    {Condition::kScheduled, "Scheduled"},
    {Condition::kProvisioned, "Provisioned"},
    {Condition::kStaging, "Staging"},
    {Condition::kStarting, "Starting"},
    {Condition::kRunning, "Running"},
    {Condition::kKilling, "Killing"},
    {Condition::kUnreachable, "Unreachable"},
    {Condition::kUnreachableInactive, "UnreachableInactive"},
    {Condition::kFinished, "Finished"},
    {Condition::kFailed, "Failed"},
    {Condition::kError, "Error"},
    {Condition::kKilled, "Killed"},
    {Condition::kDropped, "Dropped"},
    {Condition::kGone, "Gone"},
    {Condition::kUnknown, "Unknown"},
}};

constexpr std::string_view kTaskMark = "._app.";

// protobuf's JSON has 64-bit integers as strings, Mesos' own as numbers.
std::optional<std::int64_t> integer(const json& root,
                                    std::initializer_list<std::string_view> path) {
  const json* const value = json_at(root, path);
  if (value == nullptr) return std::nullopt;
  if (value->is_number()) return value->get<std::int64_t>();
  if (!value->is_string()) return std::nullopt;
  const auto text = value->get<std::string>();
  char* end = nullptr;
  const auto number = std::strtoll(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0') return std::nullopt;
  return number;
}

std::string mesos_state(Condition condition) {
  switch (condition) {
    case Condition::kScheduled:
    case Condition::kProvisioned:
    case Condition::kStaging:
      return "TASK_STAGING";
    case Condition::kUnreachable:
    case Condition::kUnreachableInactive:
      return "TASK_UNREACHABLE";
    default: {
      std::string name(name_of(condition));
      std::transform(name.begin(), name.end(), name.begin(),
                     [](unsigned char letter) { return static_cast<char>(std::toupper(letter)); });
      return "TASK_" + name;
    }
  }
}

bool expires(std::int64_t since, Nanos after, std::int64_t now) {
  return now - since >= after.count();
}

}  // namespace

std::string_view name_of(Condition condition) {
  for (const auto& [value, name] : kConditions) {
    if (value == condition) return name;
  }
  return {};
}

bool is_terminal(Condition condition) { return condition >= Condition::kFinished; }

bool is_active(Condition condition) {
  return !is_terminal(condition) && condition != Condition::kUnreachableInactive;
}

bool has_task(Condition condition) {
  return condition != Condition::kScheduled && !is_terminal(condition);
}

Result<TaskStatus> parse_status(const json& root) {
  const auto task = json_string(root, {"task_id", "value"});
  const auto state = json_string(root, {"state"});
  if (!task || !state) return fail(ErrorCode::kInput, "a status update has no task_id or no state");
  TaskStatus status;
  status.task_id = *task;
  status.state = *state;
  status.reason = json_string(root, {"reason"}).value_or("");
  status.message = json_string(root, {"message"}).value_or("");
  status.agent_id = json_string(root, {"agent_id", "value"}).value_or("");
  status.uuid = json_string(root, {"uuid"}).value_or("");
  status.unreachable_wall_ns = integer(root, {"unreachable_time", "nanoseconds"});
  const json* const networks = json_at(root, {"container_status", "network_infos"});
  if (networks == nullptr || !networks->is_array()) return status;
  for (const auto& network : *networks) {
    const json* const addresses = json_at(network, {"ip_addresses"});
    if (addresses == nullptr || !addresses->is_array()) continue;
    for (const auto& address : *addresses) {
      if (const auto ip = json_string(address, {"ip_address"})) status.addresses.push_back(*ip);
    }
  }
  return status;
}

Condition condition_of(const TaskStatus& status) {
  static constexpr std::array<std::pair<std::string_view, Condition>, 13> kStates{{
      {"TASK_STAGING", Condition::kStaging},
      {"TASK_STARTING", Condition::kStarting},
      {"TASK_RUNNING", Condition::kRunning},
      {"TASK_KILLING", Condition::kKilling},
      {"TASK_FINISHED", Condition::kFinished},
      {"TASK_FAILED", Condition::kFailed},
      {"TASK_KILLED", Condition::kKilled},
      {"TASK_ERROR", Condition::kError},
      {"TASK_UNREACHABLE", Condition::kUnreachable},
      {"TASK_DROPPED", Condition::kDropped},
      {"TASK_GONE", Condition::kGone},
      {"TASK_GONE_BY_OPERATOR", Condition::kGone},
      {"TASK_UNKNOWN", Condition::kUnknown},
  }};
  for (const auto& [state, condition] : kStates) {
    if (state == status.state) return condition;
  }
  // TASK_LOST of frameworks or masters without partition awareness (TaskConditionMapping.scala).
  static constexpr std::array<std::string_view, 5> kMayReturn{
      "REASON_RECONCILIATION", "REASON_AGENT_DISCONNECTED", "REASON_SLAVE_DISCONNECTED",
      "REASON_AGENT_REMOVED", "REASON_SLAVE_REMOVED"};
  if (status.reason == "REASON_TASK_UNKNOWN") return Condition::kUnknown;
  return std::find(kMayReturn.begin(), kMayReturn.end(), status.reason) != kMayReturn.end()
             ? Condition::kUnreachable
             : Condition::kGone;
}

std::string Instance::task_id() const { return fmt::format("{}{}{}", id, kTaskMark, incarnation); }

std::string instance_of_task(const std::string& task_id) {
  const auto mark = task_id.find(kTaskMark);
  return mark == std::string::npos ? std::string() : task_id.substr(0, mark);
}

json to_json(const Instance& instance) {
  json result = {{"id", instance.id},
                 {"app", instance.app_id},
                 {"version", instance.app_version},
                 {"condition", name_of(instance.condition)},
                 {"decommissioned", instance.decommissioned},
                 {"incarnation", instance.incarnation},
                 {"agent", instance.agent_id},
                 {"host", instance.place.host},
                 {"attributes", instance.place.attributes},
                 {"ports", instance.ports},
                 {"addresses", instance.addresses},
                 {"since", instance.since_wall_ns},
                 {"staged", instance.staged_wall_ns}};
  if (instance.place.region) result["region"] = *instance.place.region;
  if (instance.place.zone) result["zone"] = *instance.place.zone;
  if (instance.started_wall_ns) result["started"] = *instance.started_wall_ns;
  if (instance.unreachable_wall_ns) result["unreachable"] = *instance.unreachable_wall_ns;
  return result;
}

Result<Instance> parse_instance(const json& root) {
  try {
    Instance instance;
    instance.id = root.at("id").get<std::string>();
    instance.app_id = root.at("app").get<std::string>();
    instance.app_version = root.at("version").get<std::string>();
    const auto condition = root.at("condition").get<std::string>();
    const auto* found = std::find_if(kConditions.begin(), kConditions.end(),
                                     [&](const auto& entry) { return entry.second == condition; });
    if (found == kConditions.end()) return fail(ErrorCode::kInput, "no condition {}", condition);
    instance.condition = found->first;
    instance.decommissioned = root.at("decommissioned").get<bool>();
    instance.incarnation = root.at("incarnation").get<int>();
    instance.agent_id = root.at("agent").get<std::string>();
    instance.place.host = root.at("host").get<std::string>();
    instance.place.region = json_string(root, {"region"});
    instance.place.zone = json_string(root, {"zone"});
    instance.place.attributes = root.at("attributes").get<std::map<std::string, std::string>>();
    instance.ports = root.at("ports").get<std::vector<int>>();
    instance.addresses = root.at("addresses").get<std::vector<std::string>>();
    instance.since_wall_ns = root.at("since").get<std::int64_t>();
    instance.staged_wall_ns = root.at("staged").get<std::int64_t>();
    instance.started_wall_ns = integer(root, {"started"});
    instance.unreachable_wall_ns = integer(root, {"unreachable"});
    return instance;
  } catch (const json::exception& error) {
    return fail(ErrorCode::kInput, "a stored instance cannot be read: {}", error.what());
  }
}

json task_json(const Instance& instance) {
  json result = {{"id", instance.task_id()},
                 {"appId", instance.app_id},
                 {"host", instance.place.host},
                 {"slaveId", instance.agent_id},
                 {"state", mesos_state(instance.condition)},
                 {"stagedAt", format_wall(instance.staged_wall_ns)},
                 {"version", instance.app_version},
                 {"ports", instance.ports},
                 {"servicePorts", json::array()},
                 {"localVolumes", json::array()},
                 {"healthCheckResults", json::array()},
                 {"ipAddresses", json::array()},
                 {"role", "*"}};
  for (const auto& address : instance.addresses) {
    result["ipAddresses"].push_back(
        {{"ipAddress", address},
         {"protocol", address.find(':') == std::string::npos ? "IPv4" : "IPv6"}});
  }
  if (instance.started_wall_ns) result["startedAt"] = format_wall(*instance.started_wall_ns);
  if (instance.place.region) result["region"] = *instance.place.region;
  if (instance.place.zone) result["zone"] = *instance.place.zone;
  return result;
}

Effect apply(Instance& instance, const TaskStatus& status, const UnreachableStrategy& strategy,
             std::int64_t wall_ns) {
  Condition next = condition_of(status);
  if (is_terminal(next)) {
    instance.condition = next;
    instance.since_wall_ns = wall_ns;
    return Effect::kEnded;
  }
  if (next == Condition::kUnreachable) {
    if (instance.decommissioned) return Effect::kForgotten;
    if (!instance.unreachable_wall_ns) {
      instance.unreachable_wall_ns = status.unreachable_wall_ns.value_or(wall_ns);
    }
    if (strategy.enabled &&
        expires(*instance.unreachable_wall_ns, strategy.inactive_after, wall_ns)) {
      next = Condition::kUnreachableInactive;
    }
  } else {
    instance.unreachable_wall_ns.reset();
    // What is being killed goes on being killed, whatever it says until it has ended.
    if (instance.decommissioned || instance.condition == Condition::kKilling) {
      next = Condition::kKilling;
    }
    if (next == Condition::kRunning && !instance.started_wall_ns)
      instance.started_wall_ns = wall_ns;
    if (!status.addresses.empty()) instance.addresses = status.addresses;
  }
  const bool changed = next != instance.condition;
  if (changed) {
    instance.condition = next;
    instance.since_wall_ns = wall_ns;
  }
  if (next == Condition::kUnreachableInactive && strategy.expunge_after == Nanos{0}) {
    return Effect::kForgotten;
  }
  return changed ? Effect::kUpdated : Effect::kNone;
}

bool is_overdue(const Instance& instance, const UnreachableStrategy& strategy,
                std::int64_t wall_ns) {
  return instance.condition == Condition::kUnreachableInactive && strategy.enabled &&
         instance.unreachable_wall_ns &&
         expires(*instance.unreachable_wall_ns, strategy.expunge_after, wall_ns);
}

}  // namespace zq::scheduler
