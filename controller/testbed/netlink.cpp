#include "controller/testbed/netlink.h"

#include <linux/if_addr.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/route.h>
#include <netlink/socket.h>
#include <sys/socket.h>

#include <cerrno>

namespace zq::testbed {
namespace {

template <class T, void (*Put)(T*)>
struct PutObject {
  void operator()(T* object) const { Put(object); }
};
using Link = std::unique_ptr<rtnl_link, PutObject<rtnl_link, rtnl_link_put>>;
using Address = std::unique_ptr<nl_addr, PutObject<nl_addr, nl_addr_put>>;
using InterfaceAddress = std::unique_ptr<rtnl_addr, PutObject<rtnl_addr, rtnl_addr_put>>;
using Route = std::unique_ptr<rtnl_route, PutObject<rtnl_route, rtnl_route_put>>;

Status check(int code, std::string_view what) {
  if (code >= 0) return {};
  return fail(ErrorCode::kKernel, "{}: {}", what, nl_geterror(code));
}

Result<int> index_of(const std::string& device) {
  const unsigned index = ::if_nametoindex(device.c_str());
  if (index != 0) return static_cast<int>(index);
  return fail_errno(errno, fmt::format("looking up network device {}", device));
}

Address to_nl(const IpAddress& address) {
  if (address.is_v4()) {
    const auto bytes = address.v4_bytes();
    return Address(nl_addr_build(AF_INET, bytes.data(), bytes.size()));
  }
  return Address(nl_addr_build(AF_INET6, address.bytes().data(), address.bytes().size()));
}

Result<Link> change_of(const std::string& device) {
  ZQ_TRY(const int index, index_of(device));
  Link link(rtnl_link_alloc());
  rtnl_link_set_ifindex(link.get(), index);
  return link;
}

}  // namespace

void Netlink::Close::operator()(nl_sock* socket) const { nl_socket_free(socket); }

Result<Netlink> Netlink::connect() {
  std::unique_ptr<nl_sock, Close> socket(nl_socket_alloc());
  if (!socket) return fail(ErrorCode::kKernel, "no memory for a netlink socket");
  ZQ_CHECK(check(nl_connect(socket.get(), NETLINK_ROUTE), "opening a netlink socket"));
  return Netlink(std::move(socket));
}

Status Netlink::add_bridge(const std::string& name) {
  const Link link(rtnl_link_alloc());
  rtnl_link_set_name(link.get(), name.c_str());
  ZQ_CHECK(check(rtnl_link_set_type(link.get(), "bridge"), "preparing a bridge"));
  return check(rtnl_link_add(socket_.get(), link.get(), NLM_F_CREATE | NLM_F_EXCL),
               fmt::format("creating bridge {}", name));
}

Status Netlink::add_veth(const std::string& name, const std::string& peer, int peer_netns) {
  const Link link(rtnl_link_veth_alloc());
  if (!link) return fail(ErrorCode::kKernel, "no memory for a veth request");
  rtnl_link_set_name(link.get(), name.c_str());
  const Link other(rtnl_link_veth_get_peer(link.get()));
  rtnl_link_set_name(other.get(), peer.c_str());
  rtnl_link_set_ns_fd(other.get(), peer_netns);
  return check(rtnl_link_add(socket_.get(), link.get(), NLM_F_CREATE | NLM_F_EXCL),
               fmt::format("creating veth pair {} and {}", name, peer));
}

Status Netlink::set_up(const std::string& device) {
  ZQ_TRY(const Link change, change_of(device));
  rtnl_link_set_flags(change.get(), IFF_UP);
  return check(rtnl_link_change(socket_.get(), change.get(), change.get(), 0),
               fmt::format("bringing {} up", device));
}

Status Netlink::set_master(const std::string& device, const std::string& bridge) {
  ZQ_TRY(const int master, index_of(bridge));
  ZQ_TRY(const Link change, change_of(device));
  rtnl_link_set_master(change.get(), master);
  rtnl_link_set_flags(change.get(), IFF_UP);
  return check(rtnl_link_change(socket_.get(), change.get(), change.get(), 0),
               fmt::format("adding {} to bridge {}", device, bridge));
}

Status Netlink::add_address(const std::string& device, const IpAddress& address,
                            unsigned prefix_length) {
  ZQ_TRY(const int index, index_of(device));
  const Address local = to_nl(address);
  nl_addr_set_prefixlen(local.get(), static_cast<int>(prefix_length));
  const InterfaceAddress request(rtnl_addr_alloc());
  rtnl_addr_set_ifindex(request.get(), index);
  const std::string what = fmt::format("adding {} to {}", address.to_string(), device);
  ZQ_CHECK(check(rtnl_addr_set_local(request.get(), local.get()), what));
  // Duplicate address detection would keep an IPv6 address unusable for a second.
  if (!address.is_v4()) rtnl_addr_set_flags(request.get(), IFA_F_NODAD);
  return check(rtnl_addr_add(socket_.get(), request.get(), 0), what);
}

Status Netlink::add_default_route(const std::string& device, const IpAddress& gateway) {
  ZQ_TRY(const int index, index_of(device));
  const int family = gateway.is_v4() ? AF_INET : AF_INET6;
  const Address any(nl_addr_alloc(16));
  nl_addr_set_family(any.get(), family);
  const Address via = to_nl(gateway);

  const Route route(rtnl_route_alloc());
  rtnl_route_set_family(route.get(), static_cast<std::uint8_t>(family));
  rtnl_route_set_table(route.get(), RT_TABLE_MAIN);
  rtnl_route_set_scope(route.get(), RT_SCOPE_UNIVERSE);
  rtnl_route_set_protocol(route.get(), RTPROT_STATIC);
  const std::string what =
      fmt::format("adding the default route via {} on {}", gateway.to_string(), device);
  ZQ_CHECK(check(rtnl_route_set_dst(route.get(), any.get()), what));
  rtnl_nexthop* hop = rtnl_route_nh_alloc();  // the route takes it over
  rtnl_route_nh_set_ifindex(hop, index);
  rtnl_route_nh_set_gateway(hop, via.get());
  rtnl_route_add_nexthop(route.get(), hop);
  return check(rtnl_route_add(socket_.get(), route.get(), NLM_F_CREATE | NLM_F_EXCL), what);
}

}  // namespace zq::testbed
