// Network devices of a namespace, as far as the gate cares.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/dataplane/netlink.h"

namespace zq {

struct Link {
  unsigned index = 0;
  std::string name;
  unsigned flags = 0;  // IFF_*
  std::uint32_t mtu = 0;
  unsigned master = 0;  // 0 = none
  unsigned lower = 0;   // the device that this one sits on, 0 = none or in another namespace
  std::string kind;     // "" for physical ones and loopback
  std::vector<std::uint32_t> xdp_programs;  // ids, each once
  std::uint64_t rx_packets = 0, tx_packets = 0, rx_dropped = 0;
};

Result<std::vector<Link>> list_links(NetlinkSocket& socket);
[[nodiscard]] const Link* find_link(const std::vector<Link>& links, unsigned index);

}  // namespace zq
