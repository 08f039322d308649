#include "agent/dataplane/links.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cstring>

namespace zq {
namespace {

Link decode(const nlmsghdr* header) {
  const auto* info = static_cast<const ifinfomsg*>(nlmsg_data(header));
  const auto attributes = Attributes<IFLA_MAX + 1>::of(header, sizeof(ifinfomsg));
  Link link;
  link.index = static_cast<unsigned>(info->ifi_index);
  link.flags = info->ifi_flags;
  link.name = attributes.string(IFLA_IFNAME);
  link.mtu = attributes.u32(IFLA_MTU);
  link.master = attributes.u32(IFLA_MASTER);
  if (attributes[IFLA_LINK_NETNSID] == nullptr) link.lower = attributes.u32(IFLA_LINK);
  if (nlattr* nest = attributes[IFLA_LINKINFO]; nest != nullptr) {
    link.kind = Attributes<IFLA_INFO_MAX + 1>::nested(nest).string(IFLA_INFO_KIND);
  }
  if (nlattr* counts = attributes[IFLA_STATS64]; counts != nullptr) {
    rtnl_link_stats64 stats{};
    std::memcpy(&stats, nla_data(counts),
                std::min(sizeof stats, static_cast<std::size_t>(nla_len(counts))));
    link.rx_packets = stats.rx_packets;
    link.tx_packets = stats.tx_packets;
    link.rx_dropped = stats.rx_dropped;
  }
  if (nlattr* nest = attributes[IFLA_XDP]; nest != nullptr) {
    const auto xdp = Attributes<IFLA_XDP_MAX + 1>::nested(nest);
    for (const int type :
         {IFLA_XDP_PROG_ID, IFLA_XDP_DRV_PROG_ID, IFLA_XDP_SKB_PROG_ID, IFLA_XDP_HW_PROG_ID}) {
      const std::uint32_t id = xdp.u32(type);
      if (id != 0 && std::ranges::find(link.xdp_programs, id) == link.xdp_programs.end()) {
        link.xdp_programs.push_back(id);
      }
    }
  }
  return link;
}

}  // namespace

Result<std::vector<Link>> list_links(NetlinkSocket& socket) {
  NetlinkMessage message(RTM_GETLINK, 0);
  message.header(ifinfomsg{});
  std::vector<Link> links;
  const NetlinkAnswer answer = socket.dump(
      message, [&] { links.clear(); },
      [&](const nlmsghdr* header) {
        if (header->nlmsg_type == RTM_NEWLINK) links.push_back(decode(header));
      });
  if (!answer.ok()) return answer.as_error("listing network devices");
  std::ranges::sort(links, {}, &Link::index);
  return links;
}

const Link* find_link(const std::vector<Link>& links, unsigned index) {
  const auto found = std::ranges::find(links, index, &Link::index);
  return found == links.end() ? nullptr : &*found;
}

}  // namespace zq
