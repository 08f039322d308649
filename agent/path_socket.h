// A UDP socket on one of the node's own addresses, and socket addresses from ours and back.
#pragma once

#include <sys/socket.h>

#include "agent/base/error.h"
#include "agent/base/ip.h"
#include "agent/base/unique_fd.h"

namespace zq {

struct PathSocket {
  UniqueFd fd;
  IpAddress own;
};

// Bound to (own, port), non-blocking, with a large receive buffer, in the calling thread's network
// namespace. kRefused when the address is not this node's or the port is taken.
Result<PathSocket> open_path_socket(const IpAddress& own, std::uint16_t port);

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
};
[[nodiscard]] SocketAddress socket_address(const IpAddress& address, std::uint16_t port);
// IPv4 mapped where it is IPv4; the unspecified address for other families.
[[nodiscard]] IpAddress address_of(const sockaddr_storage& storage);

}  // namespace zq
