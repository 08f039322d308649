#include "agent/dataplane/monitor.h"

#include <linux/rtnetlink.h>
#include <netlink/errno.h>
#include <netlink/handlers.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace zq {
namespace {

constexpr int kReceiveBuffer = 1 << 20;

struct Watch {
  const std::vector<Uplink>* uplinks = nullptr;
  bool changed = false;
};

bool is_ours(const Watch& watch, int index) {
  // Blocks of filters that several devices share have no device of their own.
  if (static_cast<unsigned>(index) == TCM_IFINDEX_MAGIC_BLOCK) return true;
  return std::ranges::find(*watch.uplinks, static_cast<unsigned>(index), &Uplink::index) !=
         watch.uplinks->end();
}

int on_notice(nl_msg* message, void* context) {
  auto* watch = static_cast<Watch*>(context);
  const nlmsghdr* header = nlmsg_hdr(message);
  switch (header->nlmsg_type) {
    case RTM_NEWTFILTER:
    case RTM_DELTFILTER:
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
      if (is_ours(*watch, static_cast<const ifinfomsg*>(nlmsg_data(header))->ifi_index)) {
        watch->changed = true;
      }
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
  return monitor;
}

int FilterMonitor::fd() const { return nl_socket_get_fd(socket_.get()); }

Result<bool> FilterMonitor::relevant_change() {
  Watch watch{&uplinks_, false};
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
