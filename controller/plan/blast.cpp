#include "controller/plan/blast.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "controller/plan/quorum.h"

namespace zq {

namespace {

std::set<std::string> zones_of(const Cluster& cluster, const NodeSet& nodes) {
  std::set<std::string> zones;
  for (const NodeId node : nodes) zones.insert(cluster.nodes[node].zone);
  return zones;
}

std::vector<std::string> zones_cut(const Cluster& cluster,
                                   const std::vector<ResolvedFault>& faults) {
  std::set<std::string> cut;
  for (const ResolvedFault& fault : faults) {
    if (fault.fault->kind == FaultKind::kImpair) continue;
    // All sides but the largest; of equal ones the last.
    std::size_t largest = fault.fault->of_processes() ? fault.sides.size() : 0;
    std::vector<std::pair<std::size_t, std::size_t>> sizes;
    for (const NodeSet& side : fault.sides) {
      sizes.emplace_back(zones_of(cluster, side).size(), side.size());
    }
    for (std::size_t i = 0; i < sizes.size() && largest < sizes.size(); ++i) {
      if (sizes[i] >= sizes[largest]) largest = i;
    }
    for (std::size_t i = 0; i < fault.sides.size(); ++i) {
      if (i != largest) cut.merge(zones_of(cluster, fault.sides[i]));
    }
  }
  std::vector<std::string> ordered;
  for (const Zone& zone : cluster.zones) {
    if (cut.erase(zone.name) > 0) ordered.push_back(zone.name);
  }
  return ordered;
}

}  // namespace

Result<BlastRadius> measure_blast(const PlanInput& input, const Plan& plan,
                                  const std::vector<ResolvedFault>& faults, const Asks& asks,
                                  const std::vector<GroupId>& group_of) {
  BlastRadius blast;
  blast.zones_cut = zones_cut(input.cluster, faults);

  std::vector<bool> impaired(plan.groups.size(), false);
  for (const auto& [pair, list] : asks) {
    impaired[pair.first] = impaired[pair.second] = true;
    const std::size_t receivers = plan.groups[pair.second].size();
    blast.pairs_impaired +=
        plan.groups[pair.first].size() * (pair.first == pair.second ? receivers - 1 : receivers);
  }
  for (const ProcessStep& step : plan.processes) {
    for (const NodeId node : step.nodes) impaired[group_of[node]] = true;
  }
  for (NodeId node = 0; node < group_of.size(); ++node) {
    if (impaired[group_of[node]]) blast.nodes_impaired.push_back(node);
  }
  if (!group_of.empty()) blast.pairs_total = group_of.size() * (group_of.size() - 1);

  for (const SystemSpec& system : input.cluster.systems) {
    ZQ_TRY(const NodeSet voters, voters_of(input.cluster, system));
    if (!voters.empty() &&
        loses_quorum(system, {voters.begin(), voters.end()}, plan, asks, group_of)) {
      blast.quorum_at_risk.push_back(system.name);
    }
  }
  return blast;
}

Status check_limits(const PlanInput& input, const BlastRadius& blast) {
  const Experiment& experiment = input.experiment;
  const Limits& limits = experiment.limits;
  if (limits.max_zones_cut && blast.zones_cut.size() > *limits.max_zones_cut) {
    return fail(ErrorCode::kRefused,
                "{}: the faults cut {} zones ({}), but [limits] max_zones_cut allows {}; cut fewer "
                "zones, or set max_zones_cut = {} if that is meant",
                experiment.path, blast.zones_cut.size(), fmt::join(blast.zones_cut, ", "),
                *limits.max_zones_cut, blast.zones_cut.size());
  }
  if (!limits.quorum_loss && !blast.quorum_at_risk.empty()) {
    return fail(
        ErrorCode::kRefused,
        "{}: the faults leave no majority of {} alive and connected; cut, stop or kill fewer "
        "voters, or set quorum_loss = true in [limits] if the loss is meant",
        experiment.path, fmt::join(blast.quorum_at_risk, ", "));
  }
  return {};
}

}  // namespace zq
