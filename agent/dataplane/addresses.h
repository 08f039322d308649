// The addresses of a node's uplinks, and those of them that the address book does not know.
#pragma once

#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/dataplane/gate.h"

namespace zq {

// Addresses on the uplinks that the book does not map to the node's own group, a sentence each:
// between two such addresses the gate sees no peer, so that a fault would not reach their traffic.
// Loopback and link-local addresses do not count. In the calling thread's namespace.
Result<std::vector<std::string>> unlisted_addresses(const GateConfig& config);

}  // namespace zq
