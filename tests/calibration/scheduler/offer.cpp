#include "tests/calibration/scheduler/offer.h"

#include <algorithm>
#include <array>

#include "controller/systems/json.h"

namespace zq::scheduler {

using nlohmann::json;

namespace {

// Sums of doubles: a share of a thousandth is below what Mesos itself tells apart.
constexpr double kTolerance = 0.0005;

bool is_plain(const json& resource) {
  const auto role = json_string(resource, {"role"}).value_or("*");
  const json* const reservations = json_at(resource, {"reservations"});
  const bool reserved = reservations != nullptr && !reservations->empty();
  return role == "*" && !reserved && json_at(resource, {"revocable"}) == nullptr &&
         json_at(resource, {"disk", "persistence"}) == nullptr;
}

void add(Resources& resources, const json& resource) {
  const auto name = json_string(resource, {"name"}).value_or("");
  const double amount = json_number(resource, {"scalar", "value"}).value_or(0);
  if (name == "cpus") resources.cpus += amount;
  if (name == "mem") resources.mem += amount;
  if (name == "disk") resources.disk += amount;
  if (name == "gpus") resources.gpus += amount;
  const json* const ranges = json_at(resource, {"ranges", "range"});
  if (name != "ports" || ranges == nullptr || !ranges->is_array()) return;
  for (const auto& range : *ranges) {
    const auto begin = json_number(range, {"begin"});
    const auto end = json_number(range, {"end"});
    if (begin && end)
      resources.ports.emplace_back(static_cast<int>(*begin), static_cast<int>(*end));
  }
}

std::optional<std::string> attribute_text(const json& attribute) {
  if (const auto text = json_string(attribute, {"text", "value"})) return text;
  if (const auto number = json_number(attribute, {"scalar", "value"})) {
    return fmt::format("{}", *number);
  }
  return std::nullopt;
}

std::size_t port_count(const Resources& resources) {
  std::size_t count = 0;
  for (const auto& [begin, end] : resources.ports) {
    count += static_cast<std::size_t>(end - begin + 1);
  }
  return count;
}

bool holds_port(const Resources& resources, int port) {
  return std::any_of(resources.ports.begin(), resources.ports.end(), [&](const auto& range) {
    return range.first <= port && port <= range.second;
  });
}

void remove_port(Resources& resources, int port) {
  std::vector<std::pair<int, int>> rest;
  for (const auto& [begin, end] : resources.ports) {
    if (port < begin || port > end) {
      rest.emplace_back(begin, end);
      continue;
    }
    if (begin < port) rest.emplace_back(begin, port - 1);
    if (port < end) rest.emplace_back(port + 1, end);
  }
  resources.ports = std::move(rest);
}

int nth_port(const Resources& resources, std::size_t n) {
  for (const auto& [begin, end] : resources.ports) {
    const auto size = static_cast<std::size_t>(end - begin + 1);
    if (n < size) return begin + static_cast<int>(n);
    n -= size;
  }
  return 0;
}

bool ports_fit(const Offer& offer, const App& app) {
  if (app.require_ports) {
    return std::all_of(app.ports.begin(), app.ports.end(), [&](const PortDefinition& definition) {
      return definition.port == 0 || holds_port(offer.left, definition.port);
    });
  }
  return port_count(offer.left) >= app.ports.size();
}

json with_role(json resource, const Offer& offer) {
  resource["role"] = "*";
  if (!offer.role.empty()) resource["allocation_info"] = {{"role", offer.role}};
  return resource;
}

json scalar(const char* name, double value, const Offer& offer) {
  return with_role({{"name", name}, {"type", "SCALAR"}, {"scalar", {{"value", value}}}}, offer);
}

json command_of(const App& app, const Instance& instance, const std::vector<int>& ports) {
  json variables = json::array();
  const auto set = [&](const std::string& name, const std::string& value) {
    variables.push_back({{"name", name}, {"value", value}});
  };
  set("MARATHON_APP_ID", app.id);
  set("MARATHON_APP_VERSION", app.version);
  set("MESOS_TASK_ID", instance.task_id());
  set("HOST", instance.place.host);
  std::string all;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const auto port = std::to_string(ports[i]);
    set("PORT" + std::to_string(i), port);
    all += (i == 0 ? "" : ",") + port;
  }
  if (!ports.empty()) {
    set("PORT", std::to_string(ports.front()));
    set("PORTS", all);
  }
  for (const auto& [name, value] : app.env) set(name, value);
  json command = {{"environment", {{"variables", variables}}}};
  if (app.cmd) {
    command["shell"] = true;
    command["value"] = *app.cmd;
  } else {
    command["shell"] = false;
    if (!app.args.empty()) command["value"] = app.args.front();
    command["arguments"] = app.args;
  }
  return command;
}

}  // namespace

Result<Offer> parse_offer(const json& root) {
  const auto id = json_string(root, {"id", "value"});
  const auto agent = json_string(root, {"agent_id", "value"});
  const auto host = json_string(root, {"hostname"});
  if (!id || !agent || !host) {
    return fail(ErrorCode::kInput, "an offer has no id, no agent_id or no hostname");
  }
  Offer offer;
  offer.id = *id;
  offer.agent_id = *agent;
  offer.role = json_string(root, {"allocation_info", "role"}).value_or("");
  offer.place.host = *host;
  offer.place.region = json_string(root, {"domain", "fault_domain", "region", "name"});
  offer.place.zone = json_string(root, {"domain", "fault_domain", "zone", "name"});
  if (const json* const attributes = json_at(root, {"attributes"});
      attributes != nullptr && attributes->is_array()) {
    for (const auto& attribute : *attributes) {
      const auto name = json_string(attribute, {"name"});
      const auto value = attribute_text(attribute);
      if (name && value) offer.place.attributes[*name] = *value;
    }
  }
  if (const json* const resources = json_at(root, {"resources"});
      resources != nullptr && resources->is_array()) {
    for (const auto& resource : *resources) {
      if (is_plain(resource)) add(offer.left, resource);
    }
  }
  return offer;
}

std::string_view name_of(Refusal refusal) {
  static constexpr std::array<std::string_view, kRefusals> kNames{
      "UnfulfilledRole",        "UnfulfilledConstraint", "NoCorrespondingReservationFound",
      "AgentMaintenance",       "InsufficientCpus",      "InsufficientMemory",
      "InsufficientDisk",       "InsufficientGpus",      "InsufficientPorts",
      "DeclinedScarceResources"};
  return kNames.at(static_cast<std::size_t>(refusal));
}

std::optional<Refusal> refuses(const Offer& offer, const App& app, const std::vector<Place>& placed,
                               const std::optional<std::string>& home_region,
                               const MatchRules& rules) {
  if (const json* const roles = json_at(app.other, {"acceptedResourceRoles"});
      roles != nullptr && !roles->empty() &&
      std::find(roles->begin(), roles->end(), "*") == roles->end()) {
    return Refusal::kRole;
  }
  if (!rules.ignore_constraints) {
    const bool away = home_region && offer.place.region && *offer.place.region != *home_region;
    if (away && !rules.ignore_home_region && !constrains_fault_domain(app.constraints)) {
      return Refusal::kConstraint;
    }
    for (const auto& constraint : app.constraints) {
      if (!constraint.allows(offer.place, placed)) return Refusal::kConstraint;
    }
  }
  if (rules.ignore_capacity) return std::nullopt;
  if (offer.left.cpus + kTolerance < app.cpus) return Refusal::kCpus;
  if (offer.left.mem + kTolerance < app.mem) return Refusal::kMemory;
  if (offer.left.disk + kTolerance < app.disk) return Refusal::kDisk;
  if (offer.left.gpus + kTolerance < app.gpus) return Refusal::kGpus;
  if (!ports_fit(offer, app)) return Refusal::kPorts;
  return std::nullopt;
}

json take(Offer& offer, const App& app, Instance& instance, std::uint32_t entropy,
          const MatchRules& rules) {
  instance.agent_id = offer.agent_id;
  instance.place = offer.place;
  instance.ports.clear();
  json resources = json::array();
  const auto share = [&](const char* name, double wanted, double& left) {
    // Whoever ignores the capacity understates what is used, or the master would refuse it.
    const double taken = rules.ignore_capacity ? std::min(wanted, left) / 10 : wanted;
    left -= taken;
    if (taken > 0) resources.push_back(scalar(name, taken, offer));
  };
  share("cpus", app.cpus, offer.left.cpus);
  share("mem", app.mem, offer.left.mem);
  share("disk", app.disk, offer.left.disk);
  share("gpus", app.gpus, offer.left.gpus);
  json ranges = json::array();
  for (const auto& definition : app.ports) {
    const auto count = port_count(offer.left);
    if (count == 0) break;
    const bool fixed = app.require_ports && definition.port != 0;
    const int port = fixed ? definition.port : nth_port(offer.left, entropy % count);
    remove_port(offer.left, port);
    instance.ports.push_back(port);
    ranges.push_back({{"begin", port}, {"end", port}});
  }
  if (!ranges.empty()) {
    resources.push_back(
        with_role({{"name", "ports"}, {"type", "RANGES"}, {"ranges", {{"range", ranges}}}}, offer));
  }
  json labels = json::array();
  for (const auto& [key, value] : app.labels) labels.push_back({{"key", key}, {"value", value}});
  json task = {{"name", app.task_name()},
               {"task_id", {{"value", instance.task_id()}}},
               {"agent_id", {{"value", offer.agent_id}}},
               {"resources", resources},
               {"command", command_of(app, instance, instance.ports)},
               {"labels", {{"labels", labels}}}};
  if (app.kill_grace_seconds) {
    task["kill_policy"]["grace_period"]["nanoseconds"] =
        from_seconds(*app.kill_grace_seconds).count();
  }
  return task;
}

}  // namespace zq::scheduler
