#include "controller/plan/faults.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace zq {

namespace {

Result<NodeSet> resolve_side(const PlanInput& input, const Selector& selector,
                             const std::map<std::string, NodeSet>& selections,
                             const Position& fault) {
  if (selector.empty()) {
    return fail(ErrorCode::kInput, "{}: the fault names no nodes on one of its sides",
                fault.to_string());
  }
  ZQ_TRY(NodeSet nodes, selector.resolve(input.cluster, selections, input.live));
  if (nodes.empty()) {
    return fail(ErrorCode::kInput, "{}: '{}' selects no node of cluster {}; a fault needs some",
                selector.position().to_string(), selector.text(), input.cluster.name);
  }
  if (*nodes.rbegin() >= input.cluster.nodes.size()) {
    return fail(ErrorCode::kInternal, "{}: '{}' selects node {} of {}",
                selector.position().to_string(), selector.text(), *nodes.rbegin(),
                input.cluster.nodes.size());
  }
  return nodes;
}

}  // namespace

Result<std::map<std::string, NodeSet>> resolve_selections(const PlanInput& input) {
  std::map<std::string, NodeSet> selections;
  for (const NamedSelector& named : input.experiment.select) {
    ZQ_TRY(NodeSet nodes, named.selector.resolve(input.cluster, selections, input.live));
    if (nodes.empty()) {
      return fail(ErrorCode::kInput,
                  "{}: the selection '{}' = '{}' is empty in cluster {}; choose one that holds a "
                  "node, or remove it",
                  named.selector.position().to_string(), named.name, named.selector.text(),
                  input.cluster.name);
    }
    selections.insert_or_assign(named.name, std::move(nodes));
  }
  return selections;
}

Result<std::vector<ResolvedFault>> resolve_faults(
    const PlanInput& input, const std::map<std::string, NodeSet>& selections) {
  std::vector<ResolvedFault> faults;
  for (std::size_t phase = 0; phase < input.experiment.phases.size(); ++phase) {
    for (const Fault& fault : input.experiment.phases[phase].faults) {
      const bool plain = fault.kind == FaultKind::kPartition || fault.kind == FaultKind::kOneWay ||
                         fault.kind == FaultKind::kKill;
      if (!plain || !fault.more.empty() || fault.reject || !fault.scope.everything() ||
          fault.period > Nanos{0} || fault.lasts || !fault.through.empty()) {
        return fail(ErrorCode::kInput, "{}: faults of this form cannot be planned yet",
                    fault.position.to_string());
      }
      ResolvedFault resolved{.phase = phase, .fault = &fault, .a = {}, .b = {}};
      ZQ_TRY(resolved.a, resolve_side(input, fault.a, selections, fault.position));
      if (fault.kind != FaultKind::kKill) {
        ZQ_TRY(resolved.b, resolve_side(input, fault.b, selections, fault.position));
        std::vector<NodeId> both;
        std::set_intersection(resolved.a.begin(), resolved.a.end(), resolved.b.begin(),
                              resolved.b.end(), std::back_inserter(both));
        if (!both.empty()) {
          return fail(ErrorCode::kInput,
                      "{}: the sides '{}' and '{}' share {}; a fault needs two sides without a "
                      "common node",
                      fault.position.to_string(), fault.a.text(), fault.b.text(),
                      list_nodes(input.cluster, both, 5));
        }
      }
      faults.push_back(std::move(resolved));
    }
  }
  return faults;
}

std::string list_nodes(const Cluster& cluster, const std::vector<NodeId>& nodes,
                       std::size_t limit) {
  std::string text;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (i == limit) return text + fmt::format(" and {} more", nodes.size() - limit);
    if (i > 0) text += ", ";
    text += cluster.nodes[nodes[i]].name;
  }
  return text;
}

}  // namespace zq
