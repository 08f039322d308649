#include "agent/path_socket.h"

#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace zq {

Result<PathSocket> open_path_socket(const IpAddress& own, std::uint16_t port) {
  const int family = own.is_v4() ? AF_INET : AF_INET6;
  const std::string name = fmt::format("path probe socket {} port {}", own.to_string(), port);
  PathSocket result{UniqueFd(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)), own};
  if (!result.fd) return fail_errno(errno, name);
  const int buffer = 4 << 20;
  // Without privilege the plain option still helps; a small buffer only costs echoes.
  if (::setsockopt(result.fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer) != 0) {
    (void)::setsockopt(result.fd.get(), SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
  }
  const SocketAddress address = socket_address(own, port);
  if (::bind(result.fd.get(), reinterpret_cast<const sockaddr*>(&address.storage),
             address.length) == 0) {
    return result;
  }
  if (errno == EADDRNOTAVAIL) {
    return fail(ErrorCode::kRefused,
                "{}: the address is not this node's; correct the node's addresses in the cluster "
                "file",
                name);
  }
  if (errno == EADDRINUSE) {
    return fail(ErrorCode::kRefused,
                "{}: another process listens there; choose another port for path probes", name);
  }
  return fail_errno(errno, name);
}

SocketAddress socket_address(const IpAddress& address, std::uint16_t port) {
  SocketAddress result;
  if (address.is_v4()) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    const auto bytes = address.v4_bytes();
    std::memcpy(&v4.sin_addr, bytes.data(), bytes.size());
    std::memcpy(&result.storage, &v4, sizeof v4);
    result.length = sizeof v4;
  } else {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&v6.sin6_addr, address.bytes().data(), address.bytes().size());
    std::memcpy(&result.storage, &v6, sizeof v6);
    result.length = sizeof v6;
  }
  return result;
}

IpAddress address_of(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &storage, sizeof v4);
    return IpAddress::from_v4(ntohl(v4.sin_addr.s_addr));
  }
  std::array<std::uint8_t, 16> bytes{};
  if (storage.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &storage, sizeof v6);
    std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
  }
  return IpAddress::from_bytes(bytes);
}

}  // namespace zq
