#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "controller/check/rules.h"
#include "experiments/system_kind.h"

namespace zq::rules {
namespace {

// Voters by system; where a system did not tell, its voters by the cluster file.
std::map<std::string, std::vector<NodeId>> voters_by_system(const CheckInput& input) {
  std::map<std::string, std::vector<NodeId>> systems;
  for (const VoterFacts& voter : input.facts.voters) systems[voter.system].push_back(voter.node);
  for (const SystemSpec& system : input.cluster.systems) {
    const auto voters = voters_of(input.cluster, system);
    if (!voters || voters->empty()) continue;
    auto& known = systems[system.name];
    // A voter that is down now is one all the same.
    for (const NodeId id : *voters) {
      if (std::find(known.begin(), known.end(), id) == known.end()) known.push_back(id);
    }
  }
  return systems;
}

std::size_t most_in_one_zone(const std::map<std::string, std::vector<std::string>>& zones) {
  std::size_t most = 0;
  for (const auto& [zone, names] : zones) most = std::max(most, names.size());
  return most;
}

void check_system(const CheckInput& input, CheckResult& result, const std::string& system,
                  const std::vector<NodeId>& voters) {
  const auto zones = by_zone(input.cluster, voters);
  const std::size_t n = voters.size();
  std::size_t quorum = n / 2 + 1;
  result.seen.push_back(
      fmt::format("{}: {} voters, quorum {} ({})", system, n, quorum, zones_text(zones)));
  for (const VoterFacts& voter : input.facts.voters) {
    if (voter.system != system || !voter.quorum || *voter.quorum == quorum) continue;
    blame(result, fmt::format("{}: {} is set to a quorum of {}, but of {} voters it is {}", system,
                              input.cluster.nodes[voter.node].name, *voter.quorum, n, quorum));
    quorum = std::max<std::size_t>(quorum, *voter.quorum);
  }
  if (n % 2 == 0) {
    blame(result, fmt::format("{}: {} voters are an even number: one of them adds no tolerance",
                              system, n));
  }
  for (const auto& [zone, names] : zones) {
    if (names.size() >= quorum) {
      blame(result, fmt::format("{}: zone {} alone holds a quorum ({})", system, zone,
                                fmt::join(names, " ")));
    }
    if (n - names.size() < quorum) {
      blame(result, fmt::format("{}: without zone {} {} of {} voters are left, fewer than {}",
                                system, zone, n - names.size(), n, quorum));
    }
  }
}

// Where the scheduler's own instances are. Frameworks whose place nobody knows are left out and
// said.
std::map<std::string, std::vector<const SchedulerFacts*>> schedulers(const CheckInput& input) {
  std::map<std::string, std::vector<const SchedulerFacts*>> named;
  for (const SchedulerFacts& one : input.facts.schedulers) named[one.name].push_back(&one);
  return named;
}

// Apps that are schedulers of a framework: the zones of their tasks.
std::map<std::string, std::set<std::string>> framework_zones(const CheckInput& input) {
  std::map<std::string, std::set<std::string>> frameworks;
  for (const AppFacts& app : input.facts.apps) {
    if (app.framework.empty()) continue;
    for (const MemberFacts& member : input.facts.members) {
      if (std::find(app.running_on.begin(), app.running_on.end(), member.id) ==
          app.running_on.end()) {
        continue;
      }
      const bool region = input.topology == Topology::kT3;
      frameworks[app.framework].insert(region ? region_of_member(input.cluster, member)
                                              : zone_of_member(input.cluster, member));
    }
  }
  return frameworks;
}

bool none_told(const CheckInput& input, CheckResult& result) {
  if (!input.facts.schedulers.empty()) return false;
  const bool any = std::any_of(input.cluster.systems.begin(), input.cluster.systems.end(),
                               [](const SystemSpec& system) { return runs_apps(system.kind); });
  if (any || !input.facts.missing.empty()) {
    result.unknown.push_back("no system told of its schedulers");
    copy_missing(input, result);
  } else {
    result.status = CheckStatus::kNotApplicable;
    result.seen.push_back("no system of this cluster schedules apps");
  }
  return true;
}

}  // namespace

void scheduler_place(const CheckInput& input, CheckResult& result) {
  if (none_told(input, result)) return;
  const bool region = input.topology == Topology::kT3;
  const char* const what = region ? "region" : "zone";
  std::set<std::string> home;
  for (const NodeId id : master_nodes(input.cluster)) {
    const Node& node = input.cluster.nodes[id];
    home.insert(region ? node.region : node.zone);
  }
  result.seen.push_back(fmt::format("the masters are in {} {}", what, fmt::join(home, ", ")));
  std::size_t inside = 0;
  for (const SchedulerFacts& one : input.facts.schedulers) {
    const std::string name = fmt::format("{} on {}", one.name, one.where);
    if (!one.node) {
      result.unknown.push_back(
          fmt::format("{} ({}): this is no node of the cluster file", name, one.system));
      continue;
    }
    const Node& node = input.cluster.nodes[*one.node];
    const std::string& place = region ? node.region : node.zone;
    if (home.contains(place)) {
      ++inside;
    } else {
      blame(result, fmt::format("{} ({}) is in {} {}", name, one.system, what, place));
    }
  }
  result.seen.push_back(fmt::format("{} schedulers are there too", inside));
  for (const auto& [framework, places] : framework_zones(input)) {
    for (const std::string& place : places) {
      if (!home.contains(place)) {
        blame(result, fmt::format("the scheduler of {} runs in {} {}", framework, what, place));
      }
    }
  }
}

void quorum_placement(const CheckInput& input, CheckResult& result) {
  const auto systems = voters_by_system(input);
  if (systems.empty()) {
    result.status = CheckStatus::kNotApplicable;
    result.seen.push_back("no system of this cluster has a quorum");
    return;
  }
  for (const auto& [system, voters] : systems) check_system(input, result, system, voters);
  for (const auto& [system, voters] : systems) {
    const bool told =
        std::any_of(input.facts.voters.begin(), input.facts.voters.end(),
                    [&name = system](const VoterFacts& voter) { return voter.system == name; });
    if (!told) result.unknown.push_back(system + " did not tell of its voters");
  }
}

void scheduler_quorum(const CheckInput& input, CheckResult& result) {
  if (none_told(input, result)) return;
  for (const auto& [name, all] : schedulers(input)) {
    std::vector<NodeId> nodes;
    bool is_registered_framework = false;
    for (const SchedulerFacts* one : all) {
      const SystemSpec* const system = input.cluster.find_system(one->system);
      // A master knows of the instance that is registered, not of those that wait to be.
      is_registered_framework =
          is_registered_framework || (system != nullptr && !runs_apps(system->kind));
      if (one->node) nodes.push_back(*one->node);
    }
    if (is_registered_framework) {
      result.seen.push_back(fmt::format(
          "{}: its master knows of the registered instance only; others are not seen", name));
      continue;
    }
    const auto zones = by_zone(input.cluster, nodes);
    result.seen.push_back(
        fmt::format("{}: {} instances ({})", name, nodes.size(), zones_text(zones)));
    if (nodes.size() < 2) {
      blame(result,
            fmt::format("{}: a single instance does not survive the loss of its zone", name));
    } else if (2 * most_in_one_zone(zones) > nodes.size()) {
      blame(result, fmt::format("{}: more than half of its instances are in one zone", name));
    }
  }
}

void masters_in_zones(const CheckInput& input, CheckResult& result) {
  const std::vector<NodeId> masters = master_nodes(input.cluster);
  const auto zones = by_zone(input.cluster, masters);
  const std::size_t quorum = masters.size() / 2 + 1;
  result.seen.push_back(
      fmt::format("{} masters in {} zones ({})", masters.size(), zones.size(), zones_text(zones)));
  for (const auto& [zone, names] : zones) {
    if (names.size() < quorum) continue;
    blame(result, fmt::format("zone {} alone holds a quorum of {} ({})", zone, quorum,
                              fmt::join(names, " ")));
  }
}

}  // namespace zq::rules
