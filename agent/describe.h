// What this node is and can do, as the agent finds it.
#pragma once

#include <string>
#include <vector>

#include "agent.pb.h"
#include "agent/base/error.h"
#include "agent/base/ip.h"
#include "agent/dataplane/capability_report.h"
#include "agent/dataplane/gate.h"

namespace zq {

struct NodeDescription {
  std::string kernel;   // "Linux 6.1.0-28-amd64"
  std::string boot_id;  // another one = the node has started again since
  std::vector<Uplink> uplinks;
  std::vector<Capability> capabilities;
  std::vector<std::string> missing;  // pieces of the kernel, each with what follows
  std::vector<std::string> ahead;    // what stands ahead of the gate
  std::string dump;                  // dump_network() of the uplinks
};

// Uplinks are those that lead to the peers; none without peers. In the calling thread's network
// namespace.
Result<NodeDescription> describe_node(const std::vector<IpAddress>& peers);
// Without what only a serving agent knows: protocol, node, holder.
[[nodiscard]] zonequake::DescribeReply to_wire(const NodeDescription& description);

}  // namespace zq
