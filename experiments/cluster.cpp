#include "experiments/cluster.h"

#include <algorithm>
#include <filesystem>

#include "experiments/hint.h"
#include "experiments/system_kind.h"
#include "experiments/toml_document.h"

namespace zq {

bool Node::has_role(const std::string& role) const {
  return std::find(roles.begin(), roles.end(), role) != roles.end();
}

std::optional<IpAddress> Node::host(bool v4) const {
  for (const IpPrefix& prefix : addresses) {
    if (prefix.is_host() && prefix.is_v4() == v4) return prefix.address();
  }
  return std::nullopt;
}

const Node* Cluster::find_node(const std::string& node) const {
  const auto found = std::find_if(nodes.begin(), nodes.end(),
                                  [&](const Node& candidate) { return candidate.name == node; });
  return found == nodes.end() ? nullptr : &*found;
}

const SystemSpec* Cluster::find_system(const std::string& system) const {
  const auto found = std::find_if(systems.begin(), systems.end(), [&](const SystemSpec& candidate) {
    return candidate.name == system;
  });
  return found == systems.end() ? nullptr : &*found;
}

Result<const SystemSpec*> find_system_by(const Cluster& cluster, const std::string& name_or_kind) {
  if (const SystemSpec* named = cluster.find_system(name_or_kind)) return named;
  const SystemSpec* only = nullptr;
  std::vector<std::string> known;
  for (const SystemSpec& system : cluster.systems) {
    known.push_back(system.name);
    if (!answers_need(system.kind, name_or_kind)) continue;
    if (only != nullptr) {
      return fail(
          ErrorCode::kInput,
          "cluster '{}' has several systems of kind '{}'; use the name of one, '{}' or '{}'",
          cluster.name, name_or_kind, only->name, system.name);
    }
    only = &system;
  }
  if (only != nullptr) return only;
  for (const SystemSpec& system : cluster.systems) {
    if (std::find(known.begin(), known.end(), system.kind) == known.end()) {
      known.push_back(system.kind);
    }
  }
  return fail(ErrorCode::kInput, "cluster '{}' has no system '{}'{}", cluster.name, name_or_kind,
              nearest_hint(name_or_kind, known, "it has"));
}

Result<NodeSet> voters_of(const Cluster& cluster, const SystemSpec& system) {
  ZQ_TRY(const NodeSet nodes, system.nodes.resolve(cluster, {}, nullptr));
  const Voters voters = voters_of_kind(system.kind);
  if (voters == Voters::kAll) return nodes;
  if (voters == Voters::kNobody) return NodeSet{};
  NodeSet masters = nodes;
  std::erase_if(masters, [&](NodeId id) { return !cluster.nodes[id].has_role("master"); });
  return masters.empty() ? nodes : masters;
}

Result<Cluster> load_cluster(const std::string& path) {
  ZQ_TRY(std::string text, read_text_file(path));
  ZQ_TRY(Cluster cluster, parse_cluster(std::move(text), path));
  std::error_code error;
  if (cluster.testbed && !std::filesystem::is_regular_file(cluster.testbed->recipe, error)) {
    return fail(ErrorCode::kInput,
                "{}: there is no recipe file {}; 'recipe' is relative to the "
                "cluster file",
                cluster.testbed->position.to_string(), cluster.testbed->recipe);
  }
  return cluster;
}

}  // namespace zq
