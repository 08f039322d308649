// Socket addresses from ours and back.
#pragma once

#include <sys/socket.h>

#include <cstdint>

#include "agent/base/ip.h"

namespace zq {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
};
[[nodiscard]] SocketAddress socket_address(const IpAddress& address, std::uint16_t port);
// IPv4 mapped where it is IPv4; the unspecified address for other families.
[[nodiscard]] IpAddress address_of(const sockaddr_storage& storage);

}  // namespace zq
