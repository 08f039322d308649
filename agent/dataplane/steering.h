// The filters around a lane: one on each uplink's hook takes stamped packets to it, and one on its
// root gives them their class. Both are cls_bpf classifiers (a verdict of the program says whether
// it matches), not direct action: only a mirred action may hand packets to an ifb.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/dataplane/netlink.h"
#include "agent/dataplane/shaper.h"
#include "agent/dataplane/traffic_control.h"

namespace zq {

[[nodiscard]] bool is_steering_filter(const TcObject& filter);
// The gate's, the steering and the class filter, wherever they are.
[[nodiscard]] bool is_own_filter(const TcObject& filter);

// Adds the filter, or lets the one that is there lead to another device, without a gap.
Status set_steering_filter(NetlinkSocket& socket, const Uplink& uplink, FlowDirection direction,
                           int program_fd, unsigned lane);
// False = it was not there.
Result<bool> remove_steering_filter(NetlinkSocket& socket, const Uplink& uplink,
                                    FlowDirection direction);
Status add_class_filter(NetlinkSocket& socket, unsigned lane, int program_fd);

Result<std::uint32_t> program_id(int program_fd);

}  // namespace zq
