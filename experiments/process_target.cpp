#include "experiments/process_target.h"

#include <algorithm>
#include <iterator>

#include "experiments/fault_parse.h"
#include "experiments/hint.h"

namespace zq {

namespace {

Status check_hook(const Cluster& cluster, const std::string& hook) {
  std::vector<std::string> known;
  for (const HookSpec& spec : cluster.hooks) known.push_back(spec.name);
  if (std::find(known.begin(), known.end(), hook) != known.end()) return {};
  return fail(ErrorCode::kInput, "cluster '{}' has no [[hook]] '{}'{}", cluster.name, hook,
              nearest_hint(hook, known, "it has"));
}

Status check_controllable(const Fault& fault, const Node& node,
                          const std::vector<const SystemSpec*>& systems) {
  if (!node.has_agent()) {
    return fail(ErrorCode::kInput,
                "node '{}' has no agent, so that nobody could act on its processes; use a hook",
                node.name);
  }
  if (systems.empty()) {
    return fail(ErrorCode::kInput,
                "no [[system]] runs on node '{}', so that there is nothing to {}", node.name,
                to_string(fault.kind));
  }
  for (const SystemSpec* system : systems) {
    if (!system->unit.empty()) continue;
    if (system->cgroup.empty()) {
      return fail(ErrorCode::kInput,
                  "which processes of node '{}' belong to system '{}' is not known; say 'unit' or "
                  "'cgroup' in its [[system]]",
                  node.name, system->name);
    }
    if (fault.kind == FaultKind::kPause) continue;
    return fail(ErrorCode::kInput,
                "system '{}' is known by its cgroup, whose processes can be paused, but nobody "
                "could start them again; say its 'unit', or use a hook",
                system->name);
  }
  return {};
}

}  // namespace

Result<NodeSet> process_nodes(const Cluster& cluster, const Fault& fault, const NodeSet& nodes) {
  if (fault.kind == FaultKind::kHook) {
    ZQ_CHECK(check_hook(cluster, fault.hook));
    return nodes;
  }
  std::vector<std::pair<const SystemSpec*, NodeSet>> systems;
  for (const SystemSpec& system : cluster.systems) {
    ZQ_TRY(NodeSet where, system.nodes.resolve(cluster, {}, nullptr));
    systems.emplace_back(&system, std::move(where));
  }
  NodeSet chosen = nodes;
  if (!fault.system.empty()) {
    ZQ_TRY(const SystemSpec* only, find_system_by(cluster, fault.system));
    std::erase_if(systems, [&](const auto& entry) { return entry.first != only; });
    std::erase_if(chosen, [&](NodeId node) { return !systems.front().second.contains(node); });
    if (chosen.empty()) {
      return fail(ErrorCode::kInput, "system '{}' runs on none of the nodes of '{}'", only->name,
                  fault.a.text());
    }
  }
  if (cluster.testbed) return chosen;
  for (const NodeId node : chosen) {
    std::vector<const SystemSpec*> here;
    for (const auto& [system, where] : systems) {
      if (where.contains(node)) here.push_back(system);
    }
    ZQ_CHECK(check_controllable(fault, cluster.nodes[node], here));
  }
  return chosen;
}

}  // namespace zq
