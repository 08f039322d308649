#include "controller/plan/groups.h"

#include <algorithm>
#include <array>
#include <limits>
#include <unordered_map>

namespace zq {

namespace {

// Splits every class into what is inside `side` and what is not.
void refine(std::vector<std::uint32_t>& class_of, const NodeSet& side, std::uint32_t& next_class) {
  std::unordered_map<std::uint32_t, std::uint32_t> inside;
  for (const NodeId node : side) {
    const auto [it, added] = inside.try_emplace(class_of[node], next_class);
    if (added) ++next_class;
    class_of[node] = it->second;
  }
}

// Members of a group that a node can probe, by the families that the node has.
struct Reachable {
  // [0] none, [1] IPv4, [2] IPv6, [3] any; indexed by the prober's families.
  std::array<std::vector<NodeId>, 4> by_family;
};

std::size_t families(const Node& node) {
  return (node.host(true) ? 1U : 0U) | (node.host(false) ? 2U : 0U);
}

}  // namespace

std::vector<GroupId> partition_nodes(const Cluster& cluster,
                                     const std::vector<ResolvedFault>& faults) {
  std::vector<std::uint32_t> class_of(cluster.nodes.size(), 0);
  std::uint32_t next_class = 1;
  NodeSet without_agent;
  for (NodeId node = 0; node < cluster.nodes.size(); ++node) {
    if (!cluster.nodes[node].has_agent()) without_agent.insert(node);
  }
  refine(class_of, without_agent, next_class);
  for (const ResolvedFault& fault : faults) {
    for (const NodeSet& side : fault.sides) refine(class_of, side, next_class);
  }
  std::unordered_map<std::uint32_t, GroupId> numbers;
  std::vector<GroupId> result;
  result.reserve(class_of.size());
  for (const std::uint32_t id : class_of) {
    result.push_back(numbers.try_emplace(id, static_cast<GroupId>(numbers.size())).first->second);
  }
  return result;
}

Result<std::vector<AddressBookEntry>> make_address_book(const Cluster& cluster,
                                                        const std::vector<GroupId>& group_of) {
  struct Owned {
    IpPrefix prefix;
    NodeId node;
    auto operator<=>(const Owned&) const = default;
  };
  std::vector<Owned> all;
  for (NodeId node = 0; node < cluster.nodes.size(); ++node) {
    for (const IpPrefix& prefix : cluster.nodes[node].addresses) all.push_back({prefix, node});
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());

  // In this order a prefix comes after all that contain it, which are then on the stack.
  std::vector<const Owned*> open;
  std::vector<AddressBookEntry> book;
  book.reserve(all.size());
  for (const Owned& entry : all) {
    while (!open.empty() && !open.back()->prefix.overlaps(entry.prefix)) open.pop_back();
    if (!open.empty() && open.back()->node != entry.node) {
      const Node& first = cluster.nodes[open.back()->node];
      const Node& second = cluster.nodes[entry.node];
      return fail(ErrorCode::kInput,
                  "{}: {} of node {} overlaps {} of node {}; every address belongs to one node",
                  second.position.to_string(), entry.prefix.to_string(), second.name,
                  open.back()->prefix.to_string(), first.name);
    }
    open.push_back(&entry);
    book.push_back({entry.prefix, group_of[entry.node]});
  }
  return book;
}

std::vector<std::vector<NodeId>> choose_path_targets(
    const Cluster& cluster, const std::vector<std::vector<NodeId>>& groups) {
  std::vector<std::size_t> family_of(cluster.nodes.size());
  for (NodeId node = 0; node < cluster.nodes.size(); ++node) {
    family_of[node] = families(cluster.nodes[node]);
  }
  std::vector<Reachable> reachable(groups.size());
  for (std::size_t group = 0; group < groups.size(); ++group) {
    for (const NodeId node : groups[group]) {
      for (std::size_t prober = 1; prober < 4; ++prober) {
        if ((family_of[node] & prober) != 0) reachable[group].by_family[prober].push_back(node);
      }
    }
  }
  std::vector<std::vector<NodeId>> targets(cluster.nodes.size());
  for (std::size_t group = 0; group < groups.size(); ++group) {
    for (std::size_t index = 0; index < groups[group].size(); ++index) {
      const NodeId node = groups[group][index];
      if (!cluster.nodes[node].has_agent()) continue;
      for (std::size_t other = 0; other < groups.size(); ++other) {
        const std::vector<NodeId>& peers = reachable[other].by_family[family_of[node]];
        if (peers.empty()) continue;
        if (other == group) {
          // The next one in the ring, so that every node is probed by one of its own.
          const auto self = std::lower_bound(peers.begin(), peers.end(), node);
          const auto next = std::next(self) == peers.end() ? peers.begin() : std::next(self);
          if (*next != node) targets[node].push_back(*next);
          continue;
        }
        const std::size_t first = index % peers.size();
        const std::size_t second = (index + peers.size() / 2) % peers.size();
        targets[node].push_back(peers[first]);
        if (second != first) targets[node].push_back(peers[second]);
      }
    }
  }
  return targets;
}

}  // namespace zq
