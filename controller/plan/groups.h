// Groups of nodes that every fault treats alike, the address book over them, and path targets.
#pragma once

#include <vector>

#include "controller/plan/faults.h"
#include "controller/plan/plan.h"

namespace zq {

// NodeId -> group. Two nodes share a group exactly when they are in the same sets of every fault
// side, and both or none have an agent. Groups are numbered in the order of their first node.
[[nodiscard]] std::vector<GroupId> partition_nodes(const Cluster& cluster,
                                                   const std::vector<ResolvedFault>& faults);

// Ordered, without duplicates. kInput: addresses of two nodes overlap.
Result<std::vector<AddressBookEntry>> make_address_book(const Cluster& cluster,
                                                        const std::vector<GroupId>& group_of);

// NodeId -> nodes that it probes: two of every other group and one of its own, spread so that the
// nodes of a group choose different ones. Only nodes that share an address family are chosen. Nodes
// without an agent are chosen, but choose none.
[[nodiscard]] std::vector<std::vector<NodeId>> choose_path_targets(
    const Cluster& cluster, const std::vector<std::vector<NodeId>>& groups);

}  // namespace zq
