// Qdiscs, classes and filters of a device, and the two things that the gate changes there: clsact
// and its own filters. (What the shaper makes is in htb.h, netem.h and steering.h.)
#pragma once

#include <linux/rtnetlink.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/dataplane/gate.h"
#include "agent/dataplane/netlink.h"

namespace zq {

// The gate's place on each hook, and how its filters are recognised.
inline constexpr std::uint32_t kGatePriority = 1;
inline constexpr std::uint32_t kGateHandle = 0x7a71;
inline constexpr const char* kGateFilterName = "zonequake_gate";

// What a qdisc or class has done. Packets are those on the wire: an offloaded unit counts as its
// segments, except among the dropped.
struct TcCounts {
  std::uint64_t packets = 0, bytes = 0;
  std::uint64_t dropped = 0;
  std::uint64_t backlog_packets = 0;
};

// A qdisc, class or filter as the kernel lists it.
struct TcObject {
  unsigned index = 0;  // of the device
  std::uint32_t handle = 0;
  std::uint32_t parent = 0;
  std::uint32_t info = 0;  // filters: priority << 16 | protocol (as the wire has it)
  std::uint32_t chain = 0;
  std::string kind;
  std::vector<std::uint8_t> options;  // TCA_OPTIONS
  TcCounts counts;                    // all 0 for filters

  [[nodiscard]] std::uint32_t priority() const { return info >> 16; }
};
// The head of a request about one.
[[nodiscard]] tcmsg tc_header(unsigned index, std::uint32_t parent = 0, std::uint32_t handle = 0,
                              std::uint32_t info = 0);
// From any message that has a tcmsg: an answer to a dump, or a notice.
[[nodiscard]] TcObject decode_tc_object(const nlmsghdr* header);

// What cls_bpf says about a filter.
struct BpfFilter {
  std::string name;
  std::uint32_t program_id = 0;
};
[[nodiscard]] std::optional<BpfFilter> as_bpf_filter(const TcObject& filter);
[[nodiscard]] bool is_gate_filter(const TcObject& filter);
// "filter pref 1 bpf handle 0x1 'NAME'".
[[nodiscard]] std::string describe_filter(const TcObject& filter);
// Whether a filter that is not the gate's sees packets before it. Other chains are reached from
// chain 0 only; within one priority the newest filter runs first.
[[nodiscard]] bool is_ahead_of_gate(const TcObject& filter);

// The parent under which a hook of clsact has its filters.
[[nodiscard]] std::uint32_t hook_parent(FlowDirection direction);
[[nodiscard]] const char* hook_name(FlowDirection direction);
inline constexpr FlowDirection kHooks[] = {FlowDirection::kEgress, FlowDirection::kIngress};

// Of all devices.
Result<std::vector<TcObject>> list_qdiscs(NetlinkSocket& socket);
// Empty where there is no such device or parent.
Result<std::vector<TcObject>> list_classes(NetlinkSocket& socket, unsigned index);
// In the order of their priorities; those of one priority in the order in which they run.
Result<std::vector<TcObject>> list_filters(NetlinkSocket& socket, unsigned index,
                                           std::uint32_t parent);

// The kind of qdisc at a device's ingress/clsact place, "" if there is none.
Result<std::string> ingress_qdisc(NetlinkSocket& socket, unsigned index);
// True = made, false = there was one already.
Result<bool> add_clsact(NetlinkSocket& socket, const Uplink& uplink);
// Removes clsact if no filter is left on it. False = it was not there, or is in use.
Result<bool> remove_clsact_if_empty(NetlinkSocket& socket, const Uplink& uplink);

// Adds the gate's filter; its place must be free.
Status add_gate_filter(NetlinkSocket& socket, const Uplink& uplink, FlowDirection direction,
                       int program_fd);
// Removes the gate's filter. False = it was not there.
Result<bool> remove_gate_filter(NetlinkSocket& socket, const Uplink& uplink,
                                FlowDirection direction);

}  // namespace zq
