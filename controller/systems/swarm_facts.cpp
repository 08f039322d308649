#include "controller/systems/swarm_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "controller/systems/json.h"
#include "controller/systems/swarm_answers.h"

namespace zq {
namespace {

using nlohmann::json;

constexpr double kNano = 1e9;
constexpr double kMebibyte = 1024.0 * 1024.0;
constexpr std::string_view kLabel = "node.labels.";
constexpr const char* kIoLabel = "ZONEQUAKE_IO_INTENSIVE";

Resources resources_of(const json* spec) {
  Resources resources;
  if (spec == nullptr) return resources;
  resources.cpus = json_number(*spec, {"NanoCPUs"}).value_or(0) / kNano;
  resources.memory_mib = json_number(*spec, {"MemoryBytes"}).value_or(0) / kMebibyte;
  return resources;
}

std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(" \t") - first + 1));
}

// "node.labels.zone == a"; labels are members' attributes without their prefix.
std::optional<PlacementConstraint> read_constraint(const std::string& text) {
  const auto at = text.find("!=") != std::string::npos ? text.find("!=") : text.find("==");
  if (at == std::string::npos) return std::nullopt;
  PlacementConstraint one;
  one.field = trimmed(std::string_view(text).substr(0, at));
  one.op = text[at] == '!' ? "IS_NOT" : "IS";
  one.value = trimmed(std::string_view(text).substr(at + 2));
  if (one.field.starts_with(kLabel)) one.field.erase(0, kLabel.size());
  return one;
}

// Tasks that swarmkit counts as taking their node's resources: it wants them to run, and they have
// not ended.
bool holds_resources(const std::string& state) {
  static const std::set<std::string> kEnded{"complete", "shutdown", "failed",
                                            "rejected", "remove",   "orphaned"};
  return !kEnded.contains(state);
}

class Reader {
 public:
  Reader(std::string system, Facts& facts) : system_(std::move(system)), facts_(facts) {}

  void members(const json& nodes, const FindSwarmNode& node_of) {
    const auto parsed = parse_swarm_nodes(nodes.dump());
    if (!parsed || parsed->size() != nodes.size()) return;
    for (std::size_t i = 0; i < nodes.size(); ++i) member(nodes[i], (*parsed)[i], node_of);
  }

  void services(const json& list) {
    for (const json& service : list) read_service(service);
  }

  // After members and services.
  void tasks(const json& list) {
    for (const json& task : list) read_task(task);
    for (AppFacts& app : apps_) {
      if (global_.contains(app.id)) {
        app.instances = static_cast<unsigned>(app.running_on.size());
        app.reschedules = false;  // each node has its own; none goes elsewhere
      }
      facts_.apps.push_back(std::move(app));
    }
  }

 private:
  void member(const json& node, const SwarmMember& known, const FindSwarmNode& node_of) {
    MemberFacts member;
    member.system = system_;
    member.id = known.id;
    member.hostname = known.hostname;
    member.node = node_of(known.hostname, known.addresses);
    const json* const labels = json_at(node, {"Spec", "Labels"});
    if (labels != nullptr && labels->is_object()) {
      for (const auto& [key, value] : labels->items()) {
        if (value.is_string()) member.attributes[key] = value.get<std::string>();
      }
    }
    member.attributes["node.id"] = known.id;
    member.attributes["node.hostname"] = known.hostname;
    member.attributes["node.role"] = json_string(node, {"Spec", "Role"}).value_or("");
    member.attributes["node.platform.os"] =
        json_string(node, {"Description", "Platform", "OS"}).value_or("");
    member.attributes["node.platform.arch"] =
        json_string(node, {"Description", "Platform", "Architecture"}).value_or("");
    member.active =
        known.healthy == true && json_string(node, {"Spec", "Availability"}) == "active";
    member.advertised = known.addresses;
    std::sort(member.advertised.begin(), member.advertised.end());
    member.advertised.erase(std::unique(member.advertised.begin(), member.advertised.end()),
                            member.advertised.end());
    // A manager that listens on all of its addresses says 0.0.0.0.
    std::erase(member.advertised, IpAddress::from_v4(0));
    if (const json* const total = json_at(node, {"Description", "Resources"})) {
      member.total = member.unused = resources_of(total);
    }
    if (json_at(node, {"ManagerStatus"}) != nullptr && member.node) manager(member, known.leader);
    facts_.members.push_back(std::move(member));
  }

  void manager(const MemberFacts& member, bool leads) {
    VoterFacts voter;
    voter.system = system_;
    voter.node = *member.node;
    facts_.voters.push_back(voter);
    SchedulerFacts scheduler;
    scheduler.system = scheduler.name = system_;
    scheduler.where = member.hostname;
    scheduler.node = member.node;
    scheduler.leads = leads;
    facts_.schedulers.push_back(std::move(scheduler));
  }

  void read_service(const json& service) {
    const auto id = json_string(service, {"ID"});
    const auto name = json_string(service, {"Spec", "Name"});
    const json* const task = json_at(service, {"Spec", "TaskTemplate"});
    if (!id || !name || task == nullptr) return;
    AppFacts app;
    app.system = system_;
    app.id = *name;
    app.bound_to_volumes = false;
    app.instances = static_cast<unsigned>(
        json_number(service, {"Spec", "Mode", "Replicated", "Replicas"}).value_or(0));
    app.each = resources_of(json_at(*task, {"Resources", "Reservations"}));
    app.reschedules = json_string(*task, {"RestartPolicy", "Condition"}) != "none";
    app.io_intensive = json_string(service, {"Spec", "Labels", kIoLabel}) == "true";
    if (const json* const list = json_at(*task, {"Placement", "Constraints"})) {
      for (const json& one : *list) {
        if (!one.is_string()) continue;
        if (auto constraint = read_constraint(one.get<std::string>())) {
          app.constraints.push_back(std::move(*constraint));
        }
      }
    }
    const auto most = json_number(*task, {"Placement", "MaxReplicas"});
    if (most && *most > 0) {
      app.constraints.push_back({"node.id", "MAX_PER", fmt::format("{:.0f}", *most)});
    }
    // What is only read is no state.
    if (const json* const mounts = json_at(*task, {"ContainerSpec", "Mounts"})) {
      for (const json& mount : *mounts) {
        const auto type = json_string(mount, {"Type"});
        const bool reads = json_bool(mount, {"ReadOnly"}).value_or(false);
        if ((type == "bind" || type == "volume") && !reads) app.local_volumes = true;
      }
    }
    if (json_at(service, {"Spec", "Mode", "Global"}) != nullptr) global_.insert(app.id);
    by_service_[*id] = apps_.size();
    apps_.push_back(std::move(app));
  }

  void read_task(const json& task) {
    const auto service = by_service_.find(json_string(task, {"ServiceID"}).value_or(""));
    const auto node = json_string(task, {"NodeID"}).value_or("");
    const auto state = json_string(task, {"Status", "State"}).value_or("");
    if (service == by_service_.end() || node.empty() || !holds_resources(state)) return;
    AppFacts& app = apps_[service->second];
    app.running_on.push_back(node);
    for (MemberFacts& member : facts_.members) {
      if (member.system != system_ || member.id != node || !member.unused) continue;
      member.unused->cpus -= app.each.cpus;
      member.unused->memory_mib -= app.each.memory_mib;
    }
    const json* const networks = json_at(task, {"NetworksAttachments"});
    if (networks == nullptr || !networks->is_array()) return;
    for (const json& network : *networks) {
      const json* const addresses = json_at(network, {"Addresses"});
      // Of the node itself where the task uses its network.
      if (addresses == nullptr || json_string(network, {"Network", "Spec", "Name"}) == "host") {
        continue;
      }
      for (const json& address : *addresses) {
        const std::string text = address.is_string() ? address.get<std::string>() : "";
        if (const auto parsed = IpAddress::parse(text.substr(0, text.find('/')))) {
          app.addresses.push_back(*parsed);
        }
      }
    }
  }

  std::string system_;
  Facts& facts_;
  std::vector<AppFacts> apps_;
  std::map<std::string, std::size_t> by_service_;
  std::set<std::string> global_;
};

}  // namespace

void add_swarm_facts(const std::string& system, const SwarmBodies& bodies,
                     const FindSwarmNode& node_of, Facts& facts) {
  Reader reader(system, facts);
  const json nodes = parse_json(bodies.nodes), services = parse_json(bodies.services),
             tasks = parse_json(bodies.tasks);
  if (!nodes.is_array()) {
    facts.missing.push_back(system + ": no manager told of its nodes");
    return;
  }
  reader.members(nodes, node_of);
  if (!services.is_array() || !tasks.is_array()) {
    facts.missing.push_back(system + ": no manager told of its services and tasks");
    return;
  }
  reader.services(services);
  reader.tasks(tasks);
}

}  // namespace zq
