// What this node can do, of all parts of the agent.
#pragma once

#include <string>
#include <vector>

#include "agent/dataplane/capability_report.h"

namespace zq {

struct NodeCapabilities {
  std::vector<Capability> all;       // every name of agent/base/capability.h, in its order
  std::vector<std::string> missing;  // missing_capabilities()
};

// The data plane's part is tried once, and again later only where something was missing, because a
// kernel module may have been loaded since. Any thread may call.
[[nodiscard]] NodeCapabilities node_capabilities();

}  // namespace zq
