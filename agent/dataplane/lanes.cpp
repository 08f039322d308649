#include "agent/dataplane/lanes.h"

#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <cerrno>

#include "agent/dataplane/shaper.h"
#include "agent/dataplane/steering.h"
#include "agent/dataplane/traffic_control.h"

namespace zq {
namespace {

// An ifb keeps up to this many packets between its root qdisc and the place where they go on, and
// stops the qdisc meanwhile; its own 32 is less than one round of a softirq.
constexpr std::uint32_t kIfbQueueLength = 1000;

ifinfomsg link_header(unsigned index, unsigned flags = 0, unsigned change = 0) {
  ifinfomsg header{};
  header.ifi_family = AF_UNSPEC;
  header.ifi_index = static_cast<int>(index);
  header.ifi_flags = flags;
  header.ifi_change = change;
  return header;
}

}  // namespace

Result<unsigned> add_ifb(NetlinkSocket& socket, const std::string& name) {
  NetlinkMessage message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  // One queue each way: a second one would have its own root qdisc.
  message.header(link_header(0))
      .put_string(IFLA_IFNAME, name)
      .put(IFLA_TXQLEN, kIfbQueueLength)
      .put(IFLA_NUM_TX_QUEUES, std::uint32_t{1})
      .put(IFLA_NUM_RX_QUEUES, std::uint32_t{1})
      .nest(IFLA_LINKINFO, [](NetlinkMessage& info) { info.put_string(IFLA_INFO_KIND, "ifb"); });
  const NetlinkAnswer answer = socket.request(message);
  if (answer.error == EEXIST) {
    return fail(ErrorCode::kRefused,
                "a device named {} exists already: another agent serves this namespace, or one was "
                "killed (start an agent with its state directory once to clean up, or remove it "
                "with 'ip link del {}')",
                name, name);
  }
  if (!answer.ok()) return answer.as_error("adding ifb device " + name);
  ZQ_TRY(const auto links, list_links(socket));
  const auto found = std::ranges::find(links, name, &Link::name);
  if (found == links.end()) return fail(ErrorCode::kKernel, "ifb device {} is gone again", name);
  return found->index;
}

Status bring_up(NetlinkSocket& socket, unsigned index) {
  // First without an IPv6 address, which would send announcements through the queues; a kernel
  // without IPv6 refuses to hear about that.
  NetlinkMessage quiet(RTM_NEWLINK, 0);
  quiet.header(link_header(index)).nest(IFLA_AF_SPEC, [](NetlinkMessage& families) {
    families.nest(AF_INET6, [](NetlinkMessage& v6) {
      v6.put(IFLA_INET6_ADDR_GEN_MODE, std::uint8_t{IN6_ADDR_GEN_MODE_NONE});
    });
  });
  (void)socket.request(quiet);
  NetlinkMessage message(RTM_NEWLINK, 0);
  message.header(link_header(index, IFF_UP, IFF_UP));
  const NetlinkAnswer answer = socket.request(message);
  return answer.ok() ? Status() : answer.as_error("bringing a lane up");
}

Status bring_down(NetlinkSocket& socket, unsigned index) {
  NetlinkMessage message(RTM_NEWLINK, 0);
  message.header(link_header(index, 0, IFF_UP));
  const NetlinkAnswer answer = socket.request(message);
  if (answer.ok() || answer.error == ENODEV) return {};
  return answer.as_error("bringing a lane down");
}

Result<bool> remove_link(NetlinkSocket& socket, unsigned index) {
  NetlinkMessage message(RTM_DELLINK, 0);
  message.header(link_header(index));
  const NetlinkAnswer answer = socket.request(message);
  if (answer.ok()) return true;
  if (answer.error == ENODEV) return false;
  return answer.as_error(fmt::format("removing the lane with index {}", index));
}

bool is_lane(const Link& link) {
  if (link.name == kLineDevice) return link.kind == "tun";
  return std::ranges::find(kLaneDevice, link.name) != std::end(kLaneDevice) && link.kind == "ifb";
}

Result<std::uint64_t> lane_backlog(NetlinkSocket& socket, unsigned index) {
  // The queues first: what leaves them meanwhile is then seen in the device.
  ZQ_TRY(const auto qdiscs, list_qdiscs(socket));
  ZQ_TRY(const auto links, list_links(socket));
  const Link* link = find_link(links, index);
  if (link == nullptr) return std::uint64_t{0};
  std::uint64_t backlog = 0;
  for (const TcObject& qdisc : qdiscs) {
    if (qdisc.index == index && qdisc.parent == TC_H_ROOT) backlog += qdisc.counts.backlog_packets;
  }
  // An ifb receives what it is given to send, and sends what it lets go on.
  if (link->kind == "ifb") backlog += link->rx_packets - link->rx_dropped - link->tx_packets;
  return backlog;
}

Result<std::vector<std::string>> remove_leftover_lanes(const std::vector<Uplink>& uplinks) {
  ZQ_TRY(auto socket, NetlinkSocket::open());
  std::vector<std::string> removed;
  for (const Uplink& uplink : uplinks) {
    for (const FlowDirection direction : kHooks) {
      ZQ_TRY(const bool done, remove_steering_filter(socket, uplink, direction));
      if (!done) continue;
      removed.push_back(
          fmt::format("{} {}: the steering filter", uplink.device, hook_name(direction)));
    }
  }
  ZQ_TRY(const auto links, list_links(socket));
  for (const Link& link : links) {
    if (!is_lane(link)) continue;
    ZQ_TRY(const bool done, remove_link(socket, link.index));
    if (done) removed.push_back(fmt::format("device {}", link.name));
  }
  return removed;
}

}  // namespace zq
