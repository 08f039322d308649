// The devices of the queues: making, finding and removing them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/dataplane/links.h"
#include "agent/dataplane/netlink.h"

namespace zq {

// Makes an ifb device without root qdisc, down, and returns its index.
Result<unsigned> add_ifb(NetlinkSocket& socket, const std::string& name);
// Brings a device up, without addresses of its own.
Status bring_up(NetlinkSocket& socket, unsigned index);
// What its queues hold is dropped.
Status bring_down(NetlinkSocket& socket, unsigned index);
// False = it was not there.
Result<bool> remove_link(NetlinkSocket& socket, unsigned index);

// By name and kind.
[[nodiscard]] bool is_lane(const Link& link);

// Packets in the device's queues and inside an ifb itself; 0 when it is gone.
Result<std::uint64_t> lane_backlog(NetlinkSocket& socket, unsigned index);

}  // namespace zq
