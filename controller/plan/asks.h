// What the faults ask of the packets from one group of nodes to another, before it is put in order.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "controller/plan/faults.h"
#include "controller/plan/plan.h"

namespace zq {

struct Ask {
  const Fault* fault = nullptr;
  Window window;
  Nanos begin{};  // of the fault, from which its flapping counts
  Scope scope;    // as the packets from the first group to the second have it
  Treatment treatment = Treatment::kDrop;
  Impairment impairment;  // kImpair; its rate is that of one node
};

// (sender's group, receiver's group) -> asks in order of the faults. Size is at most groups
// squared, whatever the number of nodes.
using Asks = std::map<std::pair<GroupId, GroupId>, std::vector<Ask>>;

// kInput: no agent on either side of a border could do it, or a share of a cross section is below
// what a kernel can do.
Result<Asks> collect_asks(const Cluster& cluster, const std::vector<ResolvedFault>& faults,
                          const std::vector<std::vector<NodeId>>& groups,
                          const std::vector<GroupId>& group_of);

// Whether systems can lose their connections over the border: something drops, rejects or loses all
// packets of some port at the instant. A flapping fault counts all the time.
[[nodiscard]] bool cuts_connections(const Asks& asks, GroupId from, GroupId to, Nanos at);

}  // namespace zq
