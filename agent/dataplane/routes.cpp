// Which devices the routes to the peers use.
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "agent/dataplane/gate.h"
#include "agent/dataplane/links.h"
#include "agent/dataplane/netlink.h"

namespace zq {
namespace {

struct Answer {
  int type = RTN_UNSPEC;
  std::set<unsigned> devices;
};

void collect_next_hops(nlattr* multipath, std::set<unsigned>& devices) {
  auto left = static_cast<std::size_t>(nla_len(multipath));
  const auto* hop = static_cast<const rtnexthop*>(nla_data(multipath));
  while (left >= sizeof *hop && hop->rtnh_len >= sizeof *hop && hop->rtnh_len <= left) {
    devices.insert(static_cast<unsigned>(hop->rtnh_ifindex));
    const std::size_t step = std::min<std::size_t>(RTNH_ALIGN(hop->rtnh_len), left);
    left -= step;
    hop = reinterpret_cast<const rtnexthop*>(reinterpret_cast<const char*>(hop) + step);
  }
}

Answer decode(const nlmsghdr* header) {
  const auto* route = static_cast<const rtmsg*>(nlmsg_data(header));
  const auto attributes = Attributes<RTA_MAX + 1>::of(header, sizeof(rtmsg));
  Answer answer;
  answer.type = route->rtm_type;
  if (const std::uint32_t device = attributes.u32(RTA_OIF); device != 0) {
    answer.devices.insert(device);
  }
  if (nlattr* multipath = attributes[RTA_MULTIPATH]; multipath != nullptr) {
    collect_next_hops(multipath, answer.devices);
  }
  return answer;
}

// Peers that no packet can reach need no device.
bool means_unreachable(int error) {
  return error == ENETUNREACH || error == EHOSTUNREACH || error == EACCES || error == EINVAL ||
         error == ENETDOWN;
}

Result<Answer> ask(NetlinkSocket& socket, const IpAddress& peer) {
  NetlinkMessage message(RTM_GETROUTE, 0);
  rtmsg header{};
  header.rtm_family = static_cast<unsigned char>(peer.is_v4() ? AF_INET : AF_INET6);
  header.rtm_dst_len = static_cast<unsigned char>(peer.is_v4() ? 32 : 128);
  // The route itself instead of one resolved path: a multipath route names all its devices.
  header.rtm_flags = RTM_F_FIB_MATCH;
  message.header(header);
  if (peer.is_v4()) {
    message.put(RTA_DST, peer.v4_bytes());
  } else {
    message.put(RTA_DST, peer.bytes());
  }
  Answer answer;
  const NetlinkAnswer done = socket.request(message, [&](const nlmsghdr* received) {
    if (received->nlmsg_type == RTM_NEWROUTE) answer = decode(received);
  });
  if (!done.ok() && !means_unreachable(done.error)) {
    return done.as_error(fmt::format("looking up the route to {}", peer.to_string()));
  }
  return answer;
}

// Devices whose packets pass through their lower device with the same addresses. Tunnels do not
// belong here: below them the addresses are others.
bool shares_packets_with_lower(const Link& link) {
  static constexpr std::string_view kKinds[] = {"vlan", "macvlan", "macvtap", "ipvlan", "ipvtap"};
  return link.lower != 0 && std::ranges::find(kKinds, link.kind) != std::end(kKinds);
}

bool stands_on_another(const std::vector<Link>& links, const std::set<unsigned>& devices,
                       unsigned index) {
  const Link* link = find_link(links, index);
  // Bounded by the number of devices, should links ever form a ring.
  for (std::size_t i = 0; i < links.size() && link != nullptr; ++i) {
    if (!shares_packets_with_lower(*link)) return false;
    if (devices.contains(link->lower)) return true;
    link = find_link(links, link->lower);
  }
  return false;
}

}  // namespace

Result<std::vector<Uplink>> resolve_uplinks(const std::vector<IpAddress>& peers) {
  ZQ_TRY(auto socket, NetlinkSocket::open());
  ZQ_TRY(const auto links, list_links(socket));
  std::set<unsigned> devices;
  for (const IpAddress& peer : std::set<IpAddress>(peers.begin(), peers.end())) {
    ZQ_TRY(const Answer answer, ask(socket, peer));
    if (answer.type == RTN_LOCAL) continue;  // one of our own addresses
    devices.insert(answer.devices.begin(), answer.devices.end());
  }
  std::vector<Uplink> uplinks;
  for (const unsigned index : devices) {
    const Link* link = find_link(links, index);
    if (link == nullptr || (link->flags & IFF_LOOPBACK) != 0) continue;
    if (stands_on_another(links, devices, index)) continue;
    uplinks.push_back({link->name, index});
  }
  return uplinks;
}

}  // namespace zq
