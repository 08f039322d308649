#include "controller/systems/swarm_answers.h"

#include "controller/systems/json.h"

namespace zq {
namespace {

using nlohmann::json;

// Applies `read` to every element of a JSON array; one unreadable element spoils the whole.
template <class T, class Read>
std::optional<std::vector<T>> read_list(const std::string& body, Read read) {
  const json root = parse_json(body);
  if (!root.is_array()) return std::nullopt;
  std::vector<T> list;
  for (const json& element : root) {
    std::optional<T> value = read(element);
    if (!value) return std::nullopt;
    list.push_back(std::move(*value));
  }
  return list;
}

std::optional<double> nanoseconds(const json& root, std::initializer_list<std::string_view> path) {
  const auto value = json_number(root, path);
  if (!value || *value < 0) return std::nullopt;
  return *value / 1e9;
}

void add_address(std::vector<IpAddress>& addresses, std::string text) {
  // "10.66.1.1", "10.66.1.1:2377", "[fd66::1]:2377"
  if (text.starts_with('[')) {
    text = text.substr(1, text.find(']') == std::string::npos ? 0 : text.find(']') - 1);
  } else if (text.find(':') != std::string::npos && text.find(':') == text.rfind(':')) {
    text = text.substr(0, text.find(':'));
  }
  if (const auto address = IpAddress::parse(text)) addresses.push_back(*address);
}

std::optional<SwarmMember> read_member(const json& node) {
  const auto id = json_string(node, {"ID"});
  const auto state = json_string(node, {"Status", "State"});
  if (!id || !state) return std::nullopt;
  SwarmMember member;
  member.id = *id;
  member.hostname = json_string(node, {"Description", "Hostname"}).value_or("");
  add_address(member.addresses, json_string(node, {"ManagerStatus", "Addr"}).value_or(""));
  add_address(member.addresses, json_string(node, {"Status", "Addr"}).value_or(""));
  if (*state == "ready") member.healthy = true;
  if (*state == "down" || *state == "disconnected") member.healthy = false;
  member.leader = json_bool(node, {"ManagerStatus", "Leader"}).value_or(false);
  return member;
}

std::optional<SwarmTask> read_task(const json& task) {
  const auto service = json_string(task, {"ServiceID"});
  const auto state = json_string(task, {"Status", "State"});
  if (!service || !state) return std::nullopt;
  return SwarmTask{*service, json_string(task, {"NodeID"}).value_or(""), *state};
}

std::optional<SwarmService> read_service(const json& service) {
  const auto id = json_string(service, {"ID"});
  const auto name = json_string(service, {"Spec", "Name"});
  if (!id || !name) return std::nullopt;
  return SwarmService{
      *id, *name, nanoseconds(service, {"Spec", "TaskTemplate", "RestartPolicy", "Delay"}),
      nanoseconds(service, {"Spec", "TaskTemplate", "ContainerSpec", "StopGracePeriod"})};
}

std::optional<SwarmContainer> read_container(const json& container) {
  const auto state = json_string(container, {"State"});
  if (!state) return std::nullopt;
  return SwarmContainer{
      json_string(container, {"Labels", "com.docker.swarm.service.name"}).value_or(""), *state};
}

}  // namespace

std::optional<std::vector<SwarmMember>> parse_swarm_nodes(const std::string& body) {
  return read_list<SwarmMember>(body, read_member);
}

std::optional<std::vector<SwarmTask>> parse_swarm_tasks(const std::string& body) {
  return read_list<SwarmTask>(body, read_task);
}

std::optional<std::vector<SwarmService>> parse_swarm_services(const std::string& body) {
  return read_list<SwarmService>(body, read_service);
}

std::optional<SwarmInfo> parse_swarm_info(const std::string& body) {
  const json root = parse_json(body);
  const auto version = json_string(root, {"ServerVersion"});
  if (!version) return std::nullopt;
  SwarmInfo info{*version, std::nullopt};
  const auto error = json_string(root, {"Swarm", "Error"});
  const json* const spec = json_at(root, {"Swarm", "Cluster", "Spec"});
  if (error.value_or("").empty() && spec != nullptr && spec->is_object()) {
    info.spec = SwarmInfo::Spec{nanoseconds(*spec, {"Dispatcher", "HeartbeatPeriod"}),
                                json_number(*spec, {"Raft", "ElectionTick"})};
  }
  return info;
}

std::optional<std::vector<SwarmContainer>> parse_swarm_containers(const std::string& body) {
  return read_list<SwarmContainer>(body, read_container);
}

}  // namespace zq
