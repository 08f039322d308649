// Canonical lines of what stands on one device.
#pragma once

#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/dataplane/netlink.h"
#include "agent/dataplane/traffic_control.h"

namespace zq {

// Its qdiscs, classes and filters; `qdiscs` are those of all devices. In no particular order.
Result<std::vector<std::string>> queue_lines(NetlinkSocket& socket, unsigned index,
                                             const std::string& device,
                                             const std::vector<TcObject>& qdiscs);

}  // namespace zq
