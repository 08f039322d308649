// The sockets of path probes on the node's own addresses, what they receive and when.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <span>

#include "agent/base/error.h"
#include "agent/base/ip.h"
#include "agent/base/socket_address.h"
#include "agent/base/unique_fd.h"

namespace zq {

struct PathSocket {
  enum class Kind {
    kUdp,   // to agents
    kEcho,  // raw ICMP, to agentless targets
  };
  UniqueFd fd;
  IpAddress own;
  Kind kind = Kind::kUdp;
};

// Bound to (own, port), non-blocking, with a large receive buffer, in the calling thread's network
// namespace. kRefused when the address is not this node's or the port is taken.
// IPv4 datagrams go out without a UDP checksum, so that damage on the way can be told from loss:
// they carry a check value of their own.
Result<PathSocket> open_path_socket(const IpAddress& own, std::uint16_t port);
// For ICMP echo requests; receives nothing but replies to `own`, also to those of others.
Result<PathSocket> open_echo_socket(const IpAddress& own);

// When the kernel took in the message, on CLOCK_MONOTONIC: a thread that runs late does not change
// it. `now_ns` where the kernel does not say.
[[nodiscard]] std::int64_t receive_time_ns(const msghdr& message, std::int64_t now_ns);
// Room for the kernel's control messages of one received message.
inline constexpr std::size_t kPathControlSize = 64;

// An ICMP echo request around a payload; `own` tells the family. `identifier` and `sequence` are
// the header's, of which the payload has longer ones. Returns how many bytes were written.
inline constexpr std::size_t kEchoHeaderSize = 8;
std::size_t encode_echo_request(const IpAddress& own, std::uint16_t identifier,
                                std::uint16_t sequence, std::span<const std::uint8_t> payload,
                                std::span<std::uint8_t> buffer);
// The payload of an echo reply as a raw socket receives it; empty for anything else.
[[nodiscard]] std::span<std::uint8_t> echo_reply_payload(const IpAddress& own,
                                                         std::span<std::uint8_t> message);

}  // namespace zq
