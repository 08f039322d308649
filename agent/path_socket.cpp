#include "agent/path_socket.h"

#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <system_error>

namespace zq {
namespace {

// Bound to (own, port), non-blocking, with receive times and a large buffer.
Result<UniqueFd> open_socket(const IpAddress& own, int type, int protocol, std::uint16_t port,
                             const std::string& name) {
  const int family = own.is_v4() ? AF_INET : AF_INET6;
  UniqueFd fd(::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
  if (!fd) return fail_errno(errno, name);
  const int buffer = 4 << 20;
  // Without privilege the plain option still helps; a small buffer only costs echoes.
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer) != 0) {
    (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
  }
  // What waits in a queue of the node's counts as not yet sent: an impaired path must not hold up
  // the others.
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer) != 0) {
    (void)::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
  }
  const int on = 1;
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) != 0) {
    return fail_errno(errno, name + ": receive times");
  }
  const SocketAddress address = socket_address(own, port);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.length) == 0) {
    return fd;
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

std::int64_t clock_ns(clockid_t clock) {
  timespec now{};
  (void)::clock_gettime(clock, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// CLOCK_REALTIME minus CLOCK_MONOTONIC. The two run alike, but one can be set: asked each time. A
// thread that is held up between two readings would be wrong by that, so that it tries again.
std::int64_t realtime_ahead_ns() {
  constexpr std::int64_t kCloseNs = 2'000;
  std::int64_t best = 0;
  std::int64_t narrowest = INT64_MAX;
  for (int attempt = 0; attempt < 5 && narrowest > kCloseNs; ++attempt) {
    const std::int64_t before = clock_ns(CLOCK_MONOTONIC);
    const std::int64_t real = clock_ns(CLOCK_REALTIME);
    const std::int64_t after = clock_ns(CLOCK_MONOTONIC);
    if (after - before >= narrowest) continue;
    narrowest = after - before;
    best = real - before - (after - before) / 2;
  }
  return best;
}

// RFC 1071.
std::uint16_t internet_checksum(std::span<const std::uint8_t> bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    sum += i % 2 == 0 ? std::uint32_t{bytes[i]} << 8 : bytes[i];
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

}  // namespace

Result<PathSocket> open_path_socket(const IpAddress& own, std::uint16_t port) {
  const std::string name = fmt::format("path probe socket {} port {}", own.to_string(), port);
  ZQ_TRY(auto fd, open_socket(own, SOCK_DGRAM, 0, port, name));
  const int on = 1;
  if (own.is_v4() && ::setsockopt(fd.get(), SOL_SOCKET, SO_NO_CHECK, &on, sizeof on) != 0) {
    return fail_errno(errno, name);
  }
  return PathSocket{std::move(fd), own, PathSocket::Kind::kUdp};
}

Result<PathSocket> open_echo_socket(const IpAddress& own) {
  const std::string name = fmt::format("ICMP echo socket {}", own.to_string());
  ZQ_TRY(auto fd, open_socket(own, SOCK_RAW, own.is_v4() ? IPPROTO_ICMP : IPPROTO_ICMPV6, 0, name));
  int set = 0;
  if (own.is_v4()) {
    const icmp_filter filter{~(1U << ICMP_ECHOREPLY)};
    set = ::setsockopt(fd.get(), SOL_RAW, ICMP_FILTER, &filter, sizeof filter);
  } else {
    icmp6_filter filter{};
    ICMP6_FILTER_SETBLOCKALL(&filter);
    ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
    set = ::setsockopt(fd.get(), IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter);
  }
  if (set != 0) return fail_errno(errno, name);
  return PathSocket{std::move(fd), own, PathSocket::Kind::kEcho};
}

std::int64_t receive_time_ns(const msghdr& message, std::int64_t now_ns) {
  auto* const header = const_cast<msghdr*>(&message);  // CMSG_NXTHDR wants it so, and only reads
  for (cmsghdr* control = CMSG_FIRSTHDR(header); control != nullptr;
       control = CMSG_NXTHDR(header, control)) {
    if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SO_TIMESTAMPNS) continue;
    timespec stamp{};
    std::memcpy(&stamp, CMSG_DATA(control), sizeof stamp);
    const std::int64_t real_ns = std::int64_t{stamp.tv_sec} * 1'000'000'000 + stamp.tv_nsec;
    const std::int64_t at_ns = real_ns - realtime_ahead_ns();
    // The clock was set between the two.
    constexpr std::int64_t kLongestWaitNs = 10'000'000'000;
    return at_ns <= now_ns && at_ns > now_ns - kLongestWaitNs ? at_ns : now_ns;
  }
  return now_ns;
}

std::size_t encode_echo_request(const IpAddress& own, std::uint16_t identifier,
                                std::uint16_t sequence, std::span<const std::uint8_t> payload,
                                std::span<std::uint8_t> buffer) {
  std::uint8_t* const out = buffer.data();
  out[0] = own.is_v4() ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
  out[1] = out[2] = out[3] = 0;
  out[4] = static_cast<std::uint8_t>(identifier >> 8);
  out[5] = static_cast<std::uint8_t>(identifier);
  out[6] = static_cast<std::uint8_t>(sequence >> 8);
  out[7] = static_cast<std::uint8_t>(sequence);
  std::copy(payload.begin(), payload.end(), out + kEchoHeaderSize);
  const std::size_t size = kEchoHeaderSize + payload.size();
  if (own.is_v4()) {  // of ICMPv6 the kernel makes it, over addresses too
    const std::uint16_t sum = internet_checksum(buffer.first(size));
    out[2] = static_cast<std::uint8_t>(sum >> 8);
    out[3] = static_cast<std::uint8_t>(sum);
  }
  return size;
}

std::span<std::uint8_t> echo_reply_payload(const IpAddress& own, std::span<std::uint8_t> message) {
  if (own.is_v4()) {  // with the IP header in front
    const std::size_t header = message.empty() ? 0 : std::size_t{message[0] & 0x0fU} * 4;
    if (header < 20 || message.size() < header) return {};
    message = message.subspan(header);
  }
  if (message.size() < kEchoHeaderSize ||
      message[0] != (own.is_v4() ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY)) {
    return {};
  }
  return message.subspan(kEchoHeaderSize);
}

}  // namespace zq
