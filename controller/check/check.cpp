#include "controller/check/check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "controller/check/rules.h"
#include "experiments/hint.h"

namespace zq {
namespace {

using enum Topology;

struct Entry {
  const char* id;
  const char* title;
  const char* recommendation;
  std::set<Topology> topologies;
  rules::Rule rule;
  const char* to_do;
};

constexpr const char* kNotRecommended =
    "This setup is typically not recommended because of how difficult it is to guarantee the "
    "latency "
    "and addressing requirements.";

const std::vector<Entry>& entries() {
  static const std::vector<Entry> kEntries{
      {"P-01",
       "zone tags",
       "All agents within a zone should be tagged with an attribute (e.g., `zone:us-east-1a`) to "
       "easily constrain apps and services to specific zones.",
       {kT1},
       rules::zone_tags,
       "give each agent the attribute or label `zone` of its own zone; where agents carry a fault "
       "domain, give the masters one too"},
      {"P-02",
       "schedulers next to the masters",
       "Any DC/OS service schedulers should be scheduled to the same zone as masters (e.g., by "
       "using "
       "constraints). / DC/OS service schedulers should be constrained to the region which "
       "contains "
       "the masters.",
       {kT1, kT3},
       rules::scheduler_place,
       "constrain the schedulers named above to the masters' zone (T1) or region (T3)"},
      {"P-03",
       "zone-level resources",
       "For ease of failover of apps between zones, ensure that apps do not depend on zone level "
       "resources or that those resources are properly replicated and migrated on failover.",
       {kT1, kT2},
       rules::zone_level_resources,
       "loosen the constraints or move the volumes of the apps named above, or accept that they "
       "are "
       "down while their zone is"},
      {"P-04",
       "spare capacity",
       "Also ensure there is enough spare capacity in each zone to handle failover workload.",
       {kT1, kT2},
       rules::spare_capacity,
       "add agents, or lower the reservations, until nothing waits for the loss of any zone"},
      {"P-05",
       "quorum of masters",
       "Quorum size and placement of masters should tolerate zone failure. For example, for a "
       "quorum "
       "size of two, place each of the three masters in a separate zone. Do not place a quorum of "
       "masters into a single zone.",
       {kT2},
       rules::quorum_placement,
       "place an odd number of voters so that no zone holds a quorum of them, and set the quorum "
       "to "
       "half their number plus one"},
      {"P-06",
       "quorum of schedulers",
       "Quorum size and placement of masters should tolerate zone failure for DC/OS service "
       "schedulers. This can be achieved using constraints.",
       {kT2},
       rules::scheduler_quorum,
       "run at least two instances of each scheduler, in different zones"},
      {"P-07",
       "masters in different zones",
       "Masters within the region should be placed in different zones to tolerate zone failures.",
       {kT3},
       rules::masters_in_zones,
       "spread the masters over at least three zones of their region"},
      {"P-08",
       "latency",
       "DC/OS master nodes should be connected to each other via highly available and low latency "
       "network links. / For this to be effective, service schedulers should be connected to the "
       "ZooKeeper ensemble via a highly available, low-latency network link.",
       {kT1, kT2, kT3, kT4},
       rules::latency,
       "look at the links named above; the page expects up to 1 ms in a zone, 10 ms in a region, "
       "500 "
       "ms between regions"},
      {"P-09",
       "addresses",
       "DC/OS networking requires a unique address space. Cluster entities cannot share the same "
       "IP "
       "address. For example, apps and DC/OS agents must have unique IP addresses. / All IP "
       "addresses "
       "should be routable within the cluster.",
       {kT1, kT2, kT3, kT4},
       rules::addresses,
       "renumber what shares an address; open routes and firewalls for what does not connect"},
      {"P-10",
       "bandwidth",
       "The total cross-sectional bandwidth between zones is limited. This means that performance "
       "can "
       "be degraded for data (I/O) intensive DC/OS services if deployed across zones. / We do not "
       "recommend deploying single data (I/O) intensive DC/OS services across multiple regions",
       {kT1, kT2, kT3},
       rules::bandwidth,
       "keep each data-intensive service in one zone (label ZONEQUAKE_IO_INTENSIVE=true marks "
       "them); measure "
       "with --throughput"},
      {"P-11",
       "timers",
       "This is required because some of the coordinating components running on these nodes use "
       "quorum writes for high availability. For example, Mesos masters, Marathon schedulers, and "
       "ZooKeeper use quorum writes.",
       {kT1, kT2, kT3, kT4},
       rules::timers,
       "set the timers so that sessions expire before agents are given up, and synchronise the "
       "clocks"},
      {"P-12",
       "dedicated links",
       "This setup should only be considered if dedicated private connections between regions is "
       "available. For example, AWS Direct Connect or Azure Express Route.",
       {kT3, kT4},
       rules::dedicated_links,
       "declare the links on the nodes of each region (labels = { link = \"dedicated\" }), and "
       "give "
       "all masters the same region in their fault domain, or none"},
  };
  return kEntries;
}

void settle(const Entry& entry, CheckResult& result) {
  if (!result.wrong.empty()) {
    result.status = CheckStatus::kFailed;
  } else if (!result.unknown.empty()) {
    result.status = CheckStatus::kCannotTell;
  }
  if (result.status == CheckStatus::kFailed) result.to_do = entry.to_do;
  if (result.status == CheckStatus::kCannotTell) {
    result.to_do = "see to it that the systems and agents named above answer, and check again";
  }
}

std::vector<std::string> warnings_for(Topology topology) {
  std::vector<std::string> warnings;
  if (topology == kT3 || topology == kT4) {
    warnings.push_back(fmt::format("{}: \"{}\"", to_string(topology), kNotRecommended));
  }
  if (topology == kT4) {
    warnings.push_back(
        "T4: \"This setup should only be considered if dedicated private connections between "
        "regions is available.\"");
  }
  return warnings;
}

}  // namespace

std::string to_string(Topology topology) {
  constexpr std::array kNames{"T1", "T2", "T3", "T4"};
  return kNames.at(static_cast<std::size_t>(topology));
}

std::string describe(Topology topology) {
  constexpr std::array kHeadings{"Single-zone masters and cross-zone agents within a region",
                                 "Cross-zone masters and cross-zone agents within a region",
                                 "Single region masters and cross-region agents",
                                 "Cross-region masters and cross-region agents"};
  return kHeadings.at(static_cast<std::size_t>(topology));
}

Result<Topology> parse_topology(const std::string& text) {
  for (const Topology topology : {kT1, kT2, kT3, kT4}) {
    const std::string name = to_string(topology);
    if (text == name || (text.size() == 2 && text[0] == 't' && text[1] == name[1])) return topology;
  }
  return fail(ErrorCode::kInput, "unknown topology '{}'; known are T1, T2, T3 and T4", text);
}

Result<Topology> detect_topology(const Cluster& cluster) {
  const std::vector<NodeId> masters = rules::master_nodes(cluster);
  if (masters.empty()) {
    return fail(ErrorCode::kInput,
                "{}: no node has the role master or coordinator, so that the topology cannot be "
                "told; give the roles, or say --topology",
                cluster.path);
  }
  std::set<std::string> zones, regions, all_regions;
  for (const NodeId id : masters) {
    zones.insert(cluster.nodes[id].zone);
    regions.insert(cluster.nodes[id].region);
  }
  for (const Node& node : cluster.nodes) all_regions.insert(node.region);
  if (regions.size() > 1) return kT4;
  if (all_regions.size() > 1) return kT3;
  return zones.size() > 1 ? kT2 : kT1;
}

std::string to_string(CheckStatus status) {
  constexpr std::array kNames{"passed", "failed", "cannot tell", "not applicable"};
  return kNames.at(static_cast<std::size_t>(status));
}

std::vector<std::string> check_ids() {
  std::vector<std::string> ids;
  for (const Entry& entry : entries()) ids.emplace_back(entry.id);
  return ids;
}

Result<CheckReport> run_checks(const CheckInput& input, const std::set<std::string>& only) {
  for (const std::string& id : only) {
    const auto known = check_ids();
    if (std::find(known.begin(), known.end(), id) != known.end()) continue;
    return fail(ErrorCode::kInput, "there is no check '{}'{}", id,
                nearest_hint(id, known, "known checks"));
  }
  CheckReport report;
  report.topology = input.topology;
  report.warnings = warnings_for(input.topology);
  report.losses = predict_losses(input.cluster, input.facts);
  for (const Entry& entry : entries()) {
    if (!only.empty() && !only.contains(entry.id)) continue;
    CheckResult& result = report.checks.emplace_back();
    result.id = entry.id;
    result.title = entry.title;
    result.recommendation = entry.recommendation;
    result.topologies = entry.topologies;
    if (!entry.topologies.contains(input.topology)) {
      result.status = CheckStatus::kNotApplicable;
      std::vector<std::string> names;
      for (const Topology one : entry.topologies) names.push_back(to_string(one));
      result.seen.push_back(fmt::format("the page says so of {}; this is {}: {}",
                                        fmt::join(names, " and "), to_string(input.topology),
                                        describe(input.topology)));
      continue;
    }
    entry.rule(input, result);
    // A rule that found nothing it is about says so.
    if (result.status != CheckStatus::kNotApplicable) settle(entry, result);
  }
  return report;
}

std::vector<ZonePrediction> predict_losses(const Cluster& cluster, const Facts& facts) {
  std::vector<ZonePrediction> losses;
  if (facts.apps.empty()) return losses;
  for (const Zone& zone : cluster.zones) {
    const bool has_members = std::any_of(
        facts.members.begin(), facts.members.end(),
        [&](const MemberFacts& member) { return zone_of_member(cluster, member) == zone.name; });
    if (has_members) losses.push_back({zone.name, predict_loss(cluster, facts, {zone.name})});
  }
  return losses;
}

namespace rules {

std::map<std::string, std::vector<std::string>> by_zone(const Cluster& cluster,
                                                        const std::vector<NodeId>& nodes) {
  std::map<std::string, std::vector<std::string>> zones;
  for (const NodeId id : nodes) zones[cluster.nodes[id].zone].push_back(cluster.nodes[id].name);
  return zones;
}

std::string zones_text(const std::map<std::string, std::vector<std::string>>& zones) {
  std::string text;
  for (const auto& [zone, names] : zones) {
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", zone, fmt::join(names, " "));
  }
  return text;
}

std::vector<NodeId> master_nodes(const Cluster& cluster) {
  for (const char* role : {"master", "coordinator"}) {
    std::vector<NodeId> nodes;
    for (std::size_t i = 0; i < cluster.nodes.size(); ++i) {
      if (cluster.nodes[i].has_role(role)) nodes.push_back(static_cast<NodeId>(i));
    }
    if (!nodes.empty()) return nodes;
  }
  return {};
}

void blame(CheckResult& result, const std::string& line) {
  result.seen.push_back(line);
  result.wrong.push_back(line);
}

void copy_missing(const CheckInput& input, CheckResult& result) {
  for (const std::string& line : input.facts.missing) result.unknown.push_back(line);
}

}  // namespace rules
}  // namespace zq
