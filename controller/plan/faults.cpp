#include "controller/plan/faults.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "experiments/process_target.h"

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

Status check_apart(const PlanInput& input, const Fault& fault, const Selector& one,
                   const NodeSet& nodes, const Selector& other, const NodeSet& other_nodes) {
  std::vector<NodeId> both;
  std::set_intersection(nodes.begin(), nodes.end(), other_nodes.begin(), other_nodes.end(),
                        std::back_inserter(both));
  if (both.empty()) return {};
  return fail(ErrorCode::kInput,
              "{}: the sides '{}' and '{}' share {}; a fault needs two sides without a common node",
              fault.position.to_string(), one.text(), other.text(),
              list_nodes(input.cluster, both, 5));
}

Result<std::vector<NodeSet>> resolve_sides(const PlanInput& input, const Fault& fault,
                                           const std::map<std::string, NodeSet>& selections) {
  std::vector<const Selector*> selectors{&fault.a};
  if (!fault.of_processes()) selectors.push_back(&fault.b);
  for (const Selector& more : fault.more) selectors.push_back(&more);
  std::vector<NodeSet> sides;
  for (const Selector* selector : selectors) {
    ZQ_TRY(NodeSet nodes, resolve_side(input, *selector, selections, fault.position));
    for (std::size_t i = 0; i < sides.size(); ++i) {
      ZQ_CHECK(check_apart(input, fault, *selectors[i], sides[i], *selector, nodes));
    }
    sides.push_back(std::move(nodes));
  }
  if (!fault.of_processes()) return sides;
  auto chosen = process_nodes(input.cluster, fault, sides[0]);
  if (!chosen) {
    return tl::unexpected(std::move(chosen).error().with_context(fault.position.to_string()));
  }
  return std::vector<NodeSet>{*std::move(chosen)};
}

Result<Window> window_of(const Fault& fault, std::size_t index,
                         const std::vector<PlannedPhase>& phases) {
  const PlannedPhase& phase = phases[index];
  if (fault.after >= phase.until - phase.from) {
    return fail(ErrorCode::kInput,
                "{}: the fault begins {} after the start of phase '{}', which lasts only {}; "
                "shorten 'after' or lengthen the phase",
                fault.position.to_string(), format_duration(fault.after), phase.name,
                format_duration(phase.until - phase.from));
  }
  Window window{phase.from + fault.after, phase.until};
  if (fault.kind == FaultKind::kRestart) {
    window.until = window.from;
  } else if (fault.lasts) {
    window.until = window.from + *fault.lasts;
    if (window.until > phase.until) {
      return fail(
          ErrorCode::kInput,
          "{}: the fault lasts {}, but phase '{}' ends {} after its start; shorten 'lasts', "
          "or say through = \"LATER-PHASE\" in its place",
          fault.position.to_string(), format_duration(*fault.lasts), phase.name,
          format_duration(phase.until - window.from));
    }
  } else if (!fault.through.empty()) {
    const auto last = std::find_if(
        phases.begin() + static_cast<std::ptrdiff_t>(index), phases.end(),
        [&](const PlannedPhase& candidate) { return candidate.name == fault.through; });
    if (last == phases.end()) {
      return fail(ErrorCode::kInput, "{}: there is no later phase '{}'", fault.position.to_string(),
                  fault.through);
    }
    window.until = last->until;
  }
  return window;
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
    const PlanInput& input, const std::vector<PlannedPhase>& phases,
    const std::map<std::string, NodeSet>& selections) {
  std::vector<ResolvedFault> faults;
  for (std::size_t phase = 0; phase < phases.size(); ++phase) {
    for (const Fault& fault : input.experiment.phases[phase].faults) {
      ResolvedFault resolved{.phase = phase, .fault = &fault, .sides = {}, .window = {}};
      ZQ_TRY(resolved.sides, resolve_sides(input, fault, selections));
      ZQ_TRY(resolved.window, window_of(fault, phase, phases));
      faults.push_back(std::move(resolved));
    }
  }
  return faults;
}

void for_each_direction(
    const ResolvedFault& fault,
    const std::function<void(const NodeSet& from, const NodeSet& to, bool reversed)>& visit) {
  if (fault.fault->of_processes()) return;
  if (fault.fault->kind == FaultKind::kOneWay || fault.fault->one_way) {
    return visit(fault.sides[0], fault.sides[1], false);
  }
  for (std::size_t from = 0; from < fault.sides.size(); ++from) {
    for (std::size_t to = 0; to < fault.sides.size(); ++to) {
      if (from != to) visit(fault.sides[from], fault.sides[to], from > to);
    }
  }
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
