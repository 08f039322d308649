#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "agent/wan/config.h"
#include "controller/plan/describe_faults.h"
#include "controller/plan/faults.h"
#include "controller/plan/plan.h"
#include "experiments/bulk.h"

namespace zq {

namespace {

constexpr std::size_t kNamesShown = 8;

std::string count_of(std::size_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string zones_of_group(const Cluster& cluster, const std::vector<NodeId>& nodes) {
  std::vector<std::string> zones;
  for (const NodeId node : nodes) {
    const std::string& zone = cluster.nodes[node].zone;
    if (std::find(zones.begin(), zones.end(), zone) == zones.end()) zones.push_back(zone);
  }
  return fmt::format("{} {}", zones.size() == 1 ? "zone" : "zones", fmt::join(zones, ", "));
}

std::string describe_phases(const Plan& plan, const Cluster& cluster) {
  std::size_t name_width = 0;
  for (const PlannedPhase& phase : plan.phases)
    name_width = std::max(name_width, phase.name.size());
  std::string text;
  for (const PlannedPhase& phase : plan.phases) {
    text +=
        fmt::format("  {:<{}}  {} to {}, {}", phase.name, name_width, describe_instant(phase.from),
                    describe_instant(phase.until), format_duration(phase.until - phase.from));
    if (!phase.down.empty()) {
      text += fmt::format(", dead: {}", list_nodes(cluster, phase.down, kNamesShown));
      if (phase.kill_after > Nanos{0}) {
        text += fmt::format(" (killed {} into it)", format_duration(phase.kill_after));
      }
    }
    text += '\n';
  }
  return text;
}

std::string describe_bulk(const Cluster& cluster, const Experiment& experiment) {
  std::string text;
  const auto flows = bulk_flows(cluster, experiment);
  if (!flows) return text;
  for (const BulkFlow& flow : *flows) {
    text += fmt::format(
        "  {} -> {} ({}), {}, {}\n", cluster.nodes[flow.from].name, cluster.nodes[flow.to].name,
        flow.to_address.to_string(), count_of(flow.streams, "stream"),
        flow.rate_bps == 0 ? "as much as goes through" : "at most " + format_rate(flow.rate_bps));
  }
  return text;
}

std::string join_or_none(const std::vector<std::string>& names) {
  return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

std::string describe_plan(const Plan& plan, const Cluster& cluster, const Experiment& experiment) {
  std::string text = fmt::format("{}{} on cluster {}\n\n",
                                 experiment.caveat.empty() ? "" : experiment.caveat + ": ",
                                 experiment.title, cluster.name);
  text += fmt::format("Groups of nodes that all faults treat alike: {}\n", plan.groups.size());
  for (std::size_t group = 0; group < plan.groups.size(); ++group) {
    const std::vector<NodeId>& nodes = plan.groups[group];
    text += fmt::format("  group {}: {} of {}: {}{}\n", group, count_of(nodes.size(), "node"),
                        zones_of_group(cluster, nodes), list_nodes(cluster, nodes, kNamesShown),
                        cluster.nodes[nodes.front()].has_agent() ? "" : " (without an agent)");
  }
  if (!plan.selections.empty()) {
    text += "\nSelections\n";
    for (const auto& [name, nodes] : plan.selections) {
      text += fmt::format("  {} = {}\n", name,
                          list_nodes(cluster, {nodes.begin(), nodes.end()}, kNamesShown));
    }
  }
  if (cluster.testbed && !cluster.testbed->links.empty()) {
    text += "\nBetween the zones of the testbed all the time, faults or not\n";
    for (const TestbedLink& link : cluster.testbed->links) {
      text += fmt::format("  {}\n", describe_link(link.a, link.b, link.impairment));
    }
  }
  text += "\nPackets, relative to the fault's instant T\n" + describe_borders(plan);
  if (!plan.processes.empty()) text += "\nProcesses\n" + describe_processes(plan, cluster);
  if (const std::string bulk = describe_bulk(cluster, experiment); !bulk.empty())
    text += "\nBulk data from arming to disarming\n" + bulk;
  text += "\nPhases\n" + describe_phases(plan, cluster);

  const BlastRadius& blast = plan.blast;
  text += "\nBlast radius\n";
  text += fmt::format("  zones cut: {}\n", join_or_none(blast.zones_cut));
  text += fmt::format("  nodes impaired: {} of {}\n", blast.nodes_impaired.size(),
                      cluster.nodes.size());
  text += fmt::format("  ordered pairs of nodes impaired: {} of {}\n", blast.pairs_impaired,
                      blast.pairs_total);
  text += fmt::format("  systems without a majority at some instant: {}\n",
                      join_or_none(blast.quorum_at_risk));
  text += fmt::format("  every fault ends by {}\n", describe_instant(plan.fault_end()));
  return text;
}

}  // namespace zq
