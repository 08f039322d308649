// What runs on a device's hooks besides us.
#pragma once

#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/dataplane/gate.h"
#include "agent/dataplane/links.h"
#include "agent/dataplane/netlink.h"

namespace zq {

// Everything foreign that sees packets before the gate's place on the uplinks, by name. tcx
// programs are looked up in the calling thread's namespace, the rest in the socket's.
Result<std::vector<std::string>> list_ahead(NetlinkSocket& socket,
                                            const std::vector<Uplink>& uplinks);

// Foreign filters that share the uplinks' hooks with the gate and do not stand ahead of it: they
// see what it lets through, and may keep stamped packets from the steering filter.
Result<std::vector<std::string>> filters_behind(NetlinkSocket& socket,
                                                const std::vector<Uplink>& uplinks);

// tcx programs of one hook as "tcx program ID 'NAME'"; empty on kernels without tcx.
Result<std::vector<std::string>> tcx_programs(unsigned index, FlowDirection direction);

// "program ID 'NAME'", or "program ID" if the kernel does not tell its name.
[[nodiscard]] std::string describe_program(unsigned id);

}  // namespace zq
