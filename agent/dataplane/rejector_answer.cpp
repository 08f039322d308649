// The packets that refuse a packet (RFC 792, 4443, 9293).
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "agent/dataplane/rejector.h"

namespace zq {
namespace {

constexpr std::uint8_t kTtl = 64;
constexpr std::size_t kMaxQuoted = 128;  // of the packet, in an ICMP answer
constexpr int kMaxExtensions = 6;

using Bytes = std::span<const std::uint8_t>;

struct Packet {
  bool v4 = false;
  Bytes source, destination;  // addresses
  std::uint8_t protocol = 0;
  Bytes payload;                   // what there is of it
  std::uint32_t payload_size = 0;  // what it was
};

std::uint16_t read16(Bytes bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}
std::uint32_t read32(Bytes bytes, std::size_t at) {
  return std::uint32_t{read16(bytes, at)} << 16 | read16(bytes, at + 2);
}
void write16(std::vector<std::uint8_t>& to, std::size_t at, std::uint32_t value) {
  to[at] = static_cast<std::uint8_t>(value >> 8);
  to[at + 1] = static_cast<std::uint8_t>(value);
}
void write32(std::vector<std::uint8_t>& to, std::size_t at, std::uint32_t value) {
  write16(to, at, value >> 16);
  write16(to, at + 2, value);
}

bool is_zero(Bytes address) {
  return std::ranges::all_of(address, [](std::uint8_t byte) { return byte == 0; });
}

std::optional<Packet> read_v4(Bytes bytes) {
  const std::size_t header = std::size_t{bytes[0] & 0x0fU} * 4;
  if (header < sizeof(iphdr) || bytes.size() < header) return std::nullopt;
  if ((read16(bytes, 6) & 0x1fff) != 0) return std::nullopt;  // a later fragment
  const std::uint8_t first = bytes[16];
  if (first >= 224) return std::nullopt;  // multicast, broadcast
  Packet packet;
  packet.v4 = true;
  packet.source = bytes.subspan(12, 4);
  packet.destination = bytes.subspan(16, 4);
  packet.protocol = bytes[9];
  packet.payload = bytes.subspan(header);
  const std::uint32_t total = read16(bytes, 2);
  packet.payload_size = total > header ? total - static_cast<std::uint32_t>(header) : 0;
  return packet;
}

std::optional<Packet> read_v6(Bytes bytes) {
  if (bytes.size() < sizeof(ip6_hdr) || bytes[24] == 0xff) return std::nullopt;
  Packet packet;
  packet.source = bytes.subspan(8, 16);
  packet.destination = bytes.subspan(24, 16);
  packet.protocol = bytes[6];
  packet.payload = bytes.subspan(sizeof(ip6_hdr));
  packet.payload_size = read16(bytes, 4);
  for (int i = 0; i < kMaxExtensions; ++i) {
    std::size_t size = 0;
    switch (packet.protocol) {
      case IPPROTO_HOPOPTS:
      case IPPROTO_ROUTING:
      case IPPROTO_DSTOPTS:
        if (packet.payload.size() < 8) return std::nullopt;
        size = (packet.payload[1] + std::size_t{1}) * 8;
        break;
      case IPPROTO_FRAGMENT:
        if (packet.payload.size() < 8) return std::nullopt;
        if ((read16(packet.payload, 2) & 0xfff8) != 0) return std::nullopt;
        size = 8;
        break;
      case IPPROTO_AH:
        if (packet.payload.size() < 8) return std::nullopt;
        size = (packet.payload[1] + std::size_t{2}) * 4;
        break;
      default:
        return packet;
    }
    if (packet.payload.size() < size) return std::nullopt;
    packet.protocol = packet.payload[0];
    packet.payload = packet.payload.subspan(size);
    packet.payload_size -= std::min(packet.payload_size, static_cast<std::uint32_t>(size));
  }
  return std::nullopt;
}

std::uint32_t sum16(Bytes bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) sum += read16(bytes, i);
  if (bytes.size() % 2 != 0) sum += std::uint32_t{bytes.back()} << 8;
  return sum;
}

std::uint16_t fold(std::uint32_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

// An IP header with what it carries, back to where the packet came from. The kernel fills in IPv4's
// length and checksum.
std::vector<std::uint8_t> address_back(const Packet& packet, std::uint8_t protocol,
                                       const std::vector<std::uint8_t>& carried) {
  std::vector<std::uint8_t> answer(packet.v4 ? sizeof(iphdr) : sizeof(ip6_hdr));
  if (packet.v4) {
    answer[0] = 0x45;
    write16(answer, 2, static_cast<std::uint32_t>(answer.size() + carried.size()));
    answer[8] = kTtl;
    answer[9] = protocol;
    std::ranges::copy(packet.destination, answer.begin() + 12);
    std::ranges::copy(packet.source, answer.begin() + 16);
    write16(answer, 10, fold(sum16(answer)));
  } else {
    answer[0] = 0x60;
    write16(answer, 4, static_cast<std::uint32_t>(carried.size()));
    answer[6] = protocol;
    answer[7] = kTtl;
    std::ranges::copy(packet.destination, answer.begin() + 8);
    std::ranges::copy(packet.source, answer.begin() + 24);
  }
  answer.insert(answer.end(), carried.begin(), carried.end());
  return answer;
}

std::uint32_t pseudo_header(const Packet& packet, std::uint8_t protocol, std::size_t size) {
  return sum16(packet.source) + sum16(packet.destination) + protocol +
         static_cast<std::uint32_t>(size);
}

// RFC 9293 3.5.2: a reset that the sender of the segment must believe.
std::optional<std::vector<std::uint8_t>> reset(const Packet& packet) {
  const Bytes segment = packet.payload;
  if (segment.size() < sizeof(tcphdr)) return std::nullopt;
  constexpr std::uint8_t kFin = 0x01, kSyn = 0x02, kRst = 0x04, kAck = 0x10;
  const std::uint8_t flags = segment[13];
  if ((flags & kRst) != 0) return std::nullopt;
  std::vector<std::uint8_t> answer(sizeof(tcphdr));
  write16(answer, 0, read16(segment, 2));
  write16(answer, 2, read16(segment, 0));
  answer[12] = sizeof(tcphdr) / 4 << 4;
  if ((flags & kAck) != 0) {
    write32(answer, 4, read32(segment, 8));
    answer[13] = kRst;
  } else {
    const std::uint32_t header = (segment[12] >> 4) * 4U;
    const std::uint32_t data = packet.payload_size > header ? packet.payload_size - header : 0;
    write32(
        answer, 8,
        read32(segment, 4) + data + ((flags & kSyn) != 0 ? 1 : 0) + ((flags & kFin) != 0 ? 1 : 0));
    answer[13] = kRst | kAck;
  }
  write16(answer, 16, fold(sum16(answer) + pseudo_header(packet, IPPROTO_TCP, answer.size())));
  return address_back(packet, IPPROTO_TCP, answer);
}

std::optional<std::vector<std::uint8_t>> unreachable(const Packet& packet, Bytes whole) {
  if (packet.v4 && packet.protocol == IPPROTO_ICMP) {
    if (packet.payload.empty()) return std::nullopt;
    constexpr std::array<std::uint8_t, 5> kErrors{ICMP_DEST_UNREACH, ICMP_SOURCE_QUENCH,
                                                  ICMP_REDIRECT, ICMP_TIME_EXCEEDED,
                                                  ICMP_PARAMETERPROB};
    if (std::ranges::find(kErrors, packet.payload[0]) != kErrors.end()) return std::nullopt;
  }
  if (!packet.v4 && packet.protocol == IPPROTO_ICMPV6) {
    if (packet.payload.empty() || (packet.payload[0] & ICMP6_INFOMSG_MASK) == 0) {
      return std::nullopt;
    }
  }
  const bool udp = packet.protocol == IPPROTO_UDP;
  const Bytes quoted = whole.first(std::min(whole.size(), kMaxQuoted));
  std::vector<std::uint8_t> answer(8);
  if (packet.v4) {
    answer[0] = ICMP_DEST_UNREACH;
    answer[1] = udp ? ICMP_PORT_UNREACH : ICMP_PKT_FILTERED;
  } else {
    answer[0] = ICMP6_DST_UNREACH;
    answer[1] = udp ? ICMP6_DST_UNREACH_NOPORT : ICMP6_DST_UNREACH_ADMIN;
  }
  answer.insert(answer.end(), quoted.begin(), quoted.end());
  const auto protocol =
      static_cast<std::uint8_t>(packet.v4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6});
  const std::uint32_t pseudo = packet.v4 ? 0 : pseudo_header(packet, protocol, answer.size());
  write16(answer, 2, fold(sum16(answer) + pseudo));
  return address_back(packet, protocol, answer);
}

}  // namespace

std::optional<std::vector<std::uint8_t>> reject_answer(Bytes bytes) {
  if (bytes.size() < sizeof(iphdr)) return std::nullopt;
  const auto packet = bytes[0] >> 4 == 4   ? read_v4(bytes)
                      : bytes[0] >> 4 == 6 ? read_v6(bytes)
                                           : std::nullopt;
  if (!packet || is_zero(packet->source)) return std::nullopt;
  if (packet->protocol == IPPROTO_TCP) return reset(*packet);
  return unreachable(*packet, bytes);
}

}  // namespace zq
