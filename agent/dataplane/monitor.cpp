#include "agent/dataplane/monitor.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/errno.h>
#include <netlink/handlers.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <iterator>

#include "agent/dataplane/shaper.h"
#include "agent/dataplane/steering.h"
#include "agent/dataplane/traffic_control.h"

namespace zq {
namespace {

constexpr int kReceiveBuffer = 1 << 20;
constexpr std::size_t kMaxViolations = 64;  // more of them say nothing new

struct Watch {
  const std::vector<Uplink>* uplinks = nullptr;
  std::vector<std::string>* violations = nullptr;
  MonitorMemory* memory = nullptr;
  bool changed = false;
};

const Uplink* find_uplink(const Watch& watch, int index) {
  const auto found =
      std::ranges::find(*watch.uplinks, static_cast<unsigned>(index), &Uplink::index);
  return found == watch.uplinks->end() ? nullptr : &*found;
}

bool is_ours(const Watch& watch, int index) {
  // Blocks of filters that several devices share have no device of their own.
  return static_cast<unsigned>(index) == TCM_IFINDEX_MAGIC_BLOCK ||
         watch.memory->lanes.contains(static_cast<unsigned>(index)) ||
         find_uplink(watch, index) != nullptr;
}

// The shaper adds its filters after the monitor is opened, and may point them to another lane. It
// takes none away while there is a monitor.
std::string judge_steering(Watch& watch, const TcObject& filter, FlowDirection direction,
                           bool gone) {
  const auto place = std::pair(filter.index, direction);
  if (gone) {
    watch.memory->steering.erase(place);
    return ": the steering filter is gone";
  }
  const auto bpf = as_bpf_filter(filter);
  const std::uint32_t program = bpf ? bpf->program_id : 0;
  const auto [known, first] = watch.memory->steering.try_emplace(place, program);
  if (first || known->second == program) return "";
  known->second = program;
  return ": the steering filter was replaced";
}

// What a notice about a filter on a hook of ours means; "" = nothing.
std::string judge_filter(Watch& watch, const TcObject& filter, FlowDirection direction, bool gone) {
  // A whole priority, or all of them, removed at once: the notice names no filter.
  const bool all = gone && filter.handle == 0 && filter.options.empty();
  const bool steers = all && filter.chain == 0 && filter.priority() == kSteerPriority &&
                      watch.memory->steering.contains({filter.index, direction});
  if (steers || is_steering_filter(filter)) return judge_steering(watch, filter, direction, gone);
  if (is_gate_filter(filter) || (all && filter.chain == 0 && filter.priority() == kGatePriority)) {
    return gone ? ": the gate's filter is gone" : ": the gate's filter was replaced";
  }
  if (!is_ahead_of_gate(filter)) return "";
  return fmt::format(
      ": {} {}", describe_filter(filter),
      gone ? "stood ahead of the gate and was removed again" : "stands ahead of the gate");
}

void take_filter(Watch& watch, const nlmsghdr* header) {
  const TcObject filter = decode_tc_object(header);
  const Uplink* uplink = find_uplink(watch, static_cast<int>(filter.index));
  if (uplink == nullptr) return;
  for (const FlowDirection direction : kHooks) {
    if (filter.parent != hook_parent(direction)) continue;
    std::string found =
        judge_filter(watch, filter, direction, header->nlmsg_type == RTM_DELTFILTER);
    if (found.empty() || watch.violations->size() >= kMaxViolations) continue;
    found.insert(0, fmt::format("{} {}", uplink->device, hook_name(direction)));
    if (std::ranges::find(*watch.violations, found) == watch.violations->end()) {
      watch.violations->push_back(std::move(found));
    }
  }
}

// Lanes come and go while the monitor is open; indexes are not used twice soon.
void take_link(Watch& watch, const nlmsghdr* header) {
  const auto* info = static_cast<const ifinfomsg*>(nlmsg_data(header));
  const std::string name =
      Attributes<IFLA_MAX + 1>::of(header, sizeof(ifinfomsg)).string(IFLA_IFNAME);
  if (name == kLineDevice || std::ranges::find(kLaneDevice, name) != std::end(kLaneDevice)) {
    watch.memory->lanes.insert(static_cast<unsigned>(info->ifi_index));
  }
  if (is_ours(watch, info->ifi_index)) watch.changed = true;
}

int on_notice(nl_msg* message, void* context) {
  auto* watch = static_cast<Watch*>(context);
  const nlmsghdr* header = nlmsg_hdr(message);
  switch (header->nlmsg_type) {
    case RTM_NEWTFILTER:
    case RTM_DELTFILTER:
      take_filter(*watch, header);
      [[fallthrough]];
    case RTM_NEWQDISC:
    case RTM_DELQDISC:
    case RTM_NEWCHAIN:
    case RTM_DELCHAIN:
      if (is_ours(*watch, static_cast<const tcmsg*>(nlmsg_data(header))->tcm_ifindex)) {
        watch->changed = true;
      }
      break;
    case RTM_NEWLINK:
    case RTM_DELLINK:
      take_link(*watch, header);
      break;
    default:
      break;
  }
  return NL_OK;
}

struct FreeCallbacks {
  void operator()(nl_cb* callbacks) const { nl_cb_put(callbacks); }
};

}  // namespace

void FilterMonitor::Free::operator()(nl_sock* socket) const { nl_socket_free(socket); }

FilterMonitor::FilterMonitor(nl_sock* socket, const std::vector<Uplink>& uplinks)
    : socket_(socket), uplinks_(uplinks) {}

Result<FilterMonitor> FilterMonitor::open(const std::vector<Uplink>& uplinks) {
  FilterMonitor monitor(nl_socket_alloc(), uplinks);
  nl_sock* socket = monitor.socket_.get();
  if (socket == nullptr) return fail(ErrorCode::kKernel, "netlink monitor: out of memory");
  nl_socket_disable_seq_check(socket);
  int rc = nl_connect(socket, NETLINK_ROUTE);
  if (rc >= 0) rc = nl_socket_add_memberships(socket, RTNLGRP_TC, RTNLGRP_LINK, 0);
  if (rc >= 0) rc = nl_socket_set_nonblocking(socket);
  if (rc >= 0) rc = nl_socket_set_buffer_size(socket, kReceiveBuffer, 0);
  if (rc < 0) return fail(ErrorCode::kKernel, "netlink monitor: {}", nl_geterror(rc));
  // The plain option stops at a limit of the system, which a burst of notices may exceed.
  (void)::setsockopt(monitor.fd(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer,
                     sizeof kReceiveBuffer);
  return monitor;
}

int FilterMonitor::fd() const { return nl_socket_get_fd(socket_.get()); }

Result<bool> FilterMonitor::relevant_change() {
  Watch watch{&uplinks_, &violations_, &memory_, false};
  const std::unique_ptr<nl_cb, FreeCallbacks> callbacks(nl_cb_alloc(NL_CB_DEFAULT));
  if (!callbacks) return fail(ErrorCode::kKernel, "netlink monitor: out of memory");
  nl_cb_set(callbacks.get(), NL_CB_VALID, NL_CB_CUSTOM, on_notice, &watch);
  nl_cb_set(
      callbacks.get(), NL_CB_SEQ_CHECK, NL_CB_CUSTOM, [](nl_msg*, void*) -> int { return NL_OK; },
      nullptr);
  for (;;) {
    errno = 0;
    const int rc = nl_recvmsgs(socket_.get(), callbacks.get());
    if (rc == -NLE_AGAIN) return watch.changed;
    if (rc >= 0) continue;
    // ENOBUFS, which libnl calls out of memory: notices were lost, so anything may have changed.
    if (rc == -NLE_NOMEM || errno == ENOBUFS) {
      watch.changed = true;
      continue;
    }
    if (rc == -NLE_INTR) continue;
    return fail(ErrorCode::kKernel, "netlink monitor: {}", nl_geterror(rc));
  }
}

}  // namespace zq
