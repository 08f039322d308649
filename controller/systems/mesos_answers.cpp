#include "controller/systems/mesos_answers.h"

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>

#include "controller/systems/json.h"

namespace zq {
namespace {

using nlohmann::json;

std::optional<double> parse_decimal(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

const json* array_at(const json& root, std::initializer_list<std::string_view> path) {
  const json* const found = json_at(root, path);
  return found != nullptr && found->is_array() ? found : nullptr;
}

MesosDomain parse_domain(const json& root) {
  return {json_string(root, {"domain", "fault_domain", "zone", "name"}),
          json_string(root, {"domain", "fault_domain", "region", "name"})};
}

// How many numbers "[31000-32000, 8080-8080]" holds.
double count_of_ranges(std::string_view text) {
  double count = 0;
  while (true) {
    const auto first = text.find_first_of("0123456789");
    if (first == std::string_view::npos) return count;
    text.remove_prefix(first);
    const auto dash = text.find('-');
    if (dash == std::string_view::npos) return count;
    const auto end = text.find_first_of(",]", dash);
    const auto from = parse_decimal(text.substr(0, dash));
    const auto until =
        parse_decimal(text.substr(dash + 1, end == std::string_view::npos ? end : end - dash - 1));
    if (from && until && *until >= *from) count += *until - *from + 1;
    if (end == std::string_view::npos) return count;
    text.remove_prefix(end);
  }
}

std::optional<Resources> parse_resources(const json& root, std::string_view key) {
  const json* const found = json_at(root, {key});
  if (found == nullptr || !found->is_object()) return std::nullopt;
  Resources result;
  result.cpus = json_number(*found, {"cpus"}).value_or(0);
  result.memory_mib = json_number(*found, {"mem"}).value_or(0);
  result.disk_mib = json_number(*found, {"disk"}).value_or(0);
  result.gpus = json_number(*found, {"gpus"}).value_or(0);
  result.ports = count_of_ranges(json_string(*found, {"ports"}).value_or(""));
  return result;
}

// Where a role's reservation is in use, `used` holds it too: then this is too little, never too
// much.
std::optional<Resources> parse_unused(const json& agent) {
  auto rest = parse_resources(agent, "unreserved_resources");
  if (!rest) rest = parse_resources(agent, "resources");
  const auto used = parse_resources(agent, "used_resources");
  if (!rest || !used) return std::nullopt;
  for (const auto part : {&Resources::cpus, &Resources::memory_mib, &Resources::disk_mib,
                          &Resources::gpus, &Resources::ports}) {
    (*rest).*part = std::max(0.0, (*rest).*part - (*used).*part);
  }
  return rest;
}

std::map<std::string, std::string> parse_attributes(const json& agent) {
  std::map<std::string, std::string> result;
  const json* const found = json_at(agent, {"attributes"});
  if (found == nullptr || !found->is_object()) return result;
  for (const auto& [name, value] : found->items()) {
    if (value.is_string()) result[name] = value.get<std::string>();
    if (value.is_number()) result[name] = value.dump();
  }
  return result;
}

bool has_ended(std::string_view state) {
  constexpr std::array kEnded{
      "TASK_FINISHED", "TASK_FAILED",  "TASK_KILLED", "TASK_ERROR",
      "TASK_LOST",     "TASK_DROPPED", "TASK_GONE",   "TASK_GONE_BY_OPERATOR"};
  return std::ranges::find(kEnded, state) != kEnded.end();
}

bool add_agent_tasks(const json& framework, std::vector<MesosTask>& tasks) {
  const json* const executors = array_at(framework, {"executors"});
  if (executors == nullptr) return false;
  for (const json& executor : *executors) {
    const json* const list = array_at(executor, {"tasks"});
    if (list == nullptr) return false;
    for (const json& task : *list) {
      const auto id = json_string(task, {"id"});
      const auto state = json_string(task, {"state"});
      if (!id || !state) return false;
      if (has_ended(*state)) continue;
      tasks.push_back({json_string(framework, {"id"}).value_or(""), *id,
                       json_string(task, {"name"}).value_or(""),
                       json_string(task, {"slave_id"}).value_or(""), mesos_state_name(*state)});
    }
  }
  return true;
}

}  // namespace

std::optional<double> parse_mesos_duration(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, double>, 8> kUnits{{{"ns", 1e-9},
                                                                       {"us", 1e-6},
                                                                       {"ms", 1e-3},
                                                                       {"secs", 1},
                                                                       {"mins", 60},
                                                                       {"hrs", 3600},
                                                                       {"days", 86400},
                                                                       {"weeks", 604800}}};
  const auto unit = text.find_first_not_of("0123456789.");
  if (unit == std::string_view::npos) return std::nullopt;
  const auto value = parse_decimal(text.substr(0, unit));
  if (!value) return std::nullopt;
  for (const auto& [name, seconds] : kUnits) {
    if (text.substr(unit) == name) return *value * seconds;
  }
  return std::nullopt;
}

std::optional<double> parse_mesos_spacing(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto permits = parse_decimal(text.substr(0, slash));
  const auto duration = parse_mesos_duration(text.substr(slash + 1));
  if (!permits || *permits <= 0 || !duration) return std::nullopt;
  return *duration / *permits;
}

std::string host_of_address(std::string_view text) {
  if (const auto at = text.find('@'); at != std::string_view::npos) {
    text.remove_prefix(at + 1);
  } else if (const auto slashes = text.find("//"); slashes != std::string_view::npos) {
    text.remove_prefix(slashes + 2);
  }
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    return end == std::string_view::npos ? "" : std::string(text.substr(1, end - 1));
  }
  return std::string(text.substr(0, text.find_first_of(":/")));
}

std::string mesos_state_name(std::string_view state) {
  if (state.starts_with("TASK_")) state.remove_prefix(5);
  std::string name(state);
  for (char& letter : name) letter = static_cast<char>(std::tolower(letter));
  return name;
}

std::optional<MesosMaster> parse_mesos_master(const std::string& body) {
  const json root = parse_json(body);
  const json* const info = json_at(root, {"get_master", "master_info"});
  if (info == nullptr) return std::nullopt;
  const auto id = json_string(*info, {"id"});
  if (!id) return std::nullopt;
  MesosMaster master;
  master.id = *id;
  master.hostname = json_string(*info, {"hostname"}).value_or("");
  master.host = host_of_address(json_string(*info, {"pid"}).value_or(""));
  if (master.host.empty()) master.host = json_string(*info, {"address", "ip"}).value_or("");
  master.elected_time = json_number(root, {"get_master", "elected_time"}).value_or(0);
  master.domain = parse_domain(*info);
  return master;
}

std::optional<double> MesosFlags::seconds(std::initializer_list<const char*> names) const {
  for (const char* const name : names) {
    if (const auto found = all.find(name); found != all.end()) {
      return parse_mesos_duration(found->second);
    }
  }
  return std::nullopt;
}

std::optional<double> MesosFlags::number(std::initializer_list<const char*> names) const {
  for (const char* const name : names) {
    if (const auto found = all.find(name); found != all.end()) return parse_decimal(found->second);
  }
  return std::nullopt;
}

MesosDomain MesosFlags::domain() const {
  const auto found = all.find("domain");
  if (found == all.end()) return {};
  return parse_domain(json{{"domain", parse_json(found->second)}});
}

std::optional<MesosFlags> parse_mesos_flags(const std::string& body) {
  const json root = parse_json(body);
  const json* const found = json_at(root, {"flags"});
  if (found == nullptr || !found->is_object()) return std::nullopt;
  MesosFlags flags;
  for (const auto& [name, value] : found->items()) {
    if (value.is_string()) flags.all[name] = value.get<std::string>();
  }
  return flags;
}

std::optional<std::string> parse_mesos_version(const std::string& body) {
  return json_string(parse_json(body), {"version"});
}

std::optional<std::vector<MesosAgent>> parse_mesos_agents(const std::string& body) {
  const json root = parse_json(body);
  const json* const list = array_at(root, {"slaves"});
  if (list == nullptr) return std::nullopt;
  std::vector<MesosAgent> agents;
  for (const json& entry : *list) {
    const auto id = json_string(entry, {"id"});
    const auto active = json_bool(entry, {"active"});
    if (!id || !active) return std::nullopt;
    MesosAgent agent;
    agent.id = *id;
    agent.active = *active;
    agent.hostname = json_string(entry, {"hostname"}).value_or("");
    agent.host = host_of_address(json_string(entry, {"pid"}).value_or(""));
    agent.attributes = parse_attributes(entry);
    agent.domain = parse_domain(entry);
    agent.total = parse_resources(entry, "resources");
    agent.unused = parse_unused(entry);
    agents.push_back(std::move(agent));
  }
  // Since 1.2.
  if (const json* const recovered = array_at(root, {"recovered_slaves"})) {
    for (const json& entry : *recovered) {
      const auto id = json_string(entry, {"id"});
      if (!id) return std::nullopt;
      MesosAgent agent;
      agent.id = *id;
      agent.hostname = json_string(entry, {"hostname"}).value_or("");
      agent.active = false;
      agent.recovered = true;
      agents.push_back(std::move(agent));
    }
  }
  return agents;
}

std::optional<MesosRegistry> parse_mesos_registry(const std::string& body) {
  const json root = parse_json(body);
  // A registry that was recovered has its master; the lists are left out while they are empty.
  if (json_at(root, {"master"}) == nullptr) return std::nullopt;
  MesosRegistry registry;
  if (const json* const slaves = array_at(root, {"slaves", "slaves"})) {
    for (const json& slave : *slaves) {
      const auto id = json_string(slave, {"info", "id", "value"});
      if (!id) return std::nullopt;
      registry.admitted[*id] = json_string(slave, {"info", "hostname"}).value_or("");
    }
  }
  for (const auto& [key, ids] :
       {std::pair("unreachable", &registry.unreachable), std::pair("gone", &registry.gone)}) {
    const json* const list = array_at(root, {key, "slaves"});
    if (list == nullptr) continue;
    for (const json& slave : *list) {
      const auto id = json_string(slave, {"id", "value"});
      if (!id) return std::nullopt;
      ids->insert(*id);
    }
  }
  return registry;
}

std::optional<MesosAgentState> parse_mesos_agent_state(const std::string& body) {
  const json root = parse_json(body);
  const auto id = json_string(root, {"id"});
  const json* const frameworks = array_at(root, {"frameworks"});
  if (!id || frameworks == nullptr) return std::nullopt;
  MesosAgentState state;
  state.id = *id;
  state.hostname = json_string(root, {"hostname"}).value_or("");
  state.version = json_string(root, {"version"}).value_or("");
  for (const json& framework : *frameworks) {
    if (!add_agent_tasks(framework, state.tasks)) return std::nullopt;
  }
  return state;
}

std::optional<std::vector<MesosFramework>> parse_mesos_frameworks(const std::string& body) {
  const json root = parse_json(body);
  if (json_at(root, {"get_frameworks"}) == nullptr) return std::nullopt;
  std::vector<MesosFramework> frameworks;
  const json* const list = array_at(root, {"get_frameworks", "frameworks"});
  if (list == nullptr) return frameworks;  // none: protobuf's JSON may leave the list out
  for (const json& entry : *list) {
    const json* const info = json_at(entry, {"framework_info"});
    if (info == nullptr) return std::nullopt;
    MesosFramework framework;
    framework.id = json_string(*info, {"id", "value"}).value_or("");
    framework.name = json_string(*info, {"name"}).value_or("");
    framework.hostname = json_string(*info, {"hostname"}).value_or("");
    framework.host = host_of_address(json_string(*info, {"webui_url"}).value_or(""));
    framework.active = json_bool(entry, {"active"}).value_or(true);
    framework.checkpoint = json_bool(*info, {"checkpoint"}).value_or(false);
    framework.failover_timeout = json_number(*info, {"failover_timeout"}).value_or(0);
    if (const json* const capabilities = array_at(*info, {"capabilities"})) {
      for (const json& capability : *capabilities) {
        if (const auto type = json_string(capability, {"type"})) {
          framework.capabilities.insert(*type);
        }
      }
    }
    frameworks.push_back(std::move(framework));
  }
  return frameworks;
}

std::optional<std::map<std::string, double>> parse_mesos_metrics(const std::string& body) {
  const json root = parse_json(body);
  if (!root.is_object()) return std::nullopt;
  std::map<std::string, double> metrics;
  for (const auto& [name, value] : root.items()) {
    if (value.is_number()) metrics[name] = value.get<double>();
  }
  return metrics;
}

}  // namespace zq
