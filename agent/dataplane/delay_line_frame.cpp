#include "agent/dataplane/delay_line_frame.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "agent/dataplane/bpf/gate_shared.h"

namespace zq {
namespace {

constexpr std::size_t kAddressesSize = std::size_t{2} * ETH_ALEN;
constexpr unsigned kSlotShift = 10;
constexpr int kMaxVlanTags = 2;          // as the kernel's own dissector takes them
constexpr int kMaxExtensionHeaders = 6;  // of IPv6, ahead of the transport header

// Bytes of a packet, read past no end.
class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  [[nodiscard]] bool has(std::size_t offset, std::size_t size) const {
    return offset <= bytes_.size() && size <= bytes_.size() - offset;
  }
  [[nodiscard]] std::uint8_t u8(std::size_t offset) const { return bytes_[offset]; }
  [[nodiscard]] std::uint16_t u16(std::size_t offset) const {
    return static_cast<std::uint16_t>(bytes_[offset] << 8 | bytes_[offset + 1]);
  }
  [[nodiscard]] std::span<const std::uint8_t> part(std::size_t offset, std::size_t size) const {
    return bytes_.subspan(offset, size);
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

class Hash {
 public:
  void add(std::uint64_t value) {
    // The finisher of splitmix64, a bijection with full avalanche.
    value_ = (value_ ^ value) + 0x9e3779b97f4a7c15ULL;
    value_ = (value_ ^ value_ >> 30) * 0xbf58476d1ce4e5b9ULL;
    value_ = (value_ ^ value_ >> 27) * 0x94d049bb133111ebULL;
    value_ ^= value_ >> 31;
  }
  void add(std::span<const std::uint8_t> bytes) {
    for (std::size_t at = 0; at < bytes.size(); at += sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data() + at, std::min(sizeof word, bytes.size() - at));
      add(word);
    }
  }
  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0;
};

struct Dissected {
  std::uint64_t flow = 0;
  std::size_t header_size = 0;  // up to the payload, as far as it could be read
};

bool has_ports(std::uint8_t protocol) {
  return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP ||
         protocol == IPPROTO_DCCP || protocol == IPPROTO_UDPLITE;
}

std::size_t transport(const Reader& packet, std::size_t at, std::uint8_t protocol, bool fragment,
                      Hash& hash) {
  hash.add(protocol);
  if (fragment || !has_ports(protocol) || !packet.has(at, 4)) return at;
  hash.add(packet.part(at, 4));
  if (protocol == IPPROTO_UDP) return at + 8;
  if (protocol != IPPROTO_TCP || !packet.has(at, 13)) return at;
  return at + std::size_t{packet.u8(at + 12)} / 16 * 4;
}

std::size_t dissect_ipv4(const Reader& packet, std::size_t at, Hash& hash) {
  if (!packet.has(at, 20)) return at;
  hash.add(packet.part(at + 12, 8));
  const bool fragment = (packet.u16(at + 6) & 0x3fff) != 0;  // offset or more fragments
  const std::size_t length = std::size_t{packet.u8(at)} % 16 * 4;
  return transport(packet, at + length, packet.u8(at + 9), fragment, hash);
}

std::size_t dissect_ipv6(const Reader& packet, std::size_t at, Hash& hash) {
  if (!packet.has(at, 40)) return at;
  hash.add(packet.part(at + 8, 32));
  std::uint8_t next = packet.u8(at + 6);
  bool fragment = false;
  at += 40;
  for (int i = 0; i < kMaxExtensionHeaders && packet.has(at, 8); ++i) {
    if (next == IPPROTO_FRAGMENT) {
      fragment = true;
      next = packet.u8(at);
      at += 8;
    } else if (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS) {
      next = packet.u8(at);
      at += (std::size_t{packet.u8(at + 1)} + 1) * 8;
    } else {
      break;
    }
  }
  return transport(packet, at, next, fragment, hash);
}

Dissected dissect(std::span<const std::uint8_t> ethernet, unsigned uplink_slot) {
  const Reader packet(ethernet);
  Hash hash;
  hash.add(uplink_slot);
  std::size_t at = kAddressesSize;
  std::uint16_t type = packet.u16(at);
  at += 2;
  for (int i = 0; i < kMaxVlanTags && (type == ETH_P_8021Q || type == ETH_P_8021AD); ++i) {
    if (!packet.has(at, 4)) break;
    hash.add(packet.u16(at));
    type = packet.u16(at + 2);
    at += 4;
  }
  if (type == ETH_P_IP) {
    at = dissect_ipv4(packet, at, hash);
  } else if (type == ETH_P_IPV6) {
    at = dissect_ipv6(packet, at, hash);
  }
  return {hash.value(), at};
}

void correct_virtio_header(std::uint8_t* at, std::size_t header_size, std::size_t frame_size) {
  VnetHeader header{};
  std::memcpy(&header, at, sizeof header);
  if ((header.flags & kVnetNeedsChecksum) != 0) {
    header.checksum_start = static_cast<std::uint16_t>(header.checksum_start - kSteeringTagSize);
  }
  // A hint: how much of the packet to keep in one piece. The kernel allocates that much contiguous
  // memory, so that the headers alone are best.
  header.header_size = static_cast<std::uint16_t>(std::min(header_size, frame_size));
  std::memcpy(at, &header, sizeof header);
}

}  // namespace

std::optional<SteeredFrame> take_steering_tag(std::span<std::uint8_t> head, std::size_t size) {
  constexpr std::size_t kTag = kVnetHeaderSize + kAddressesSize;
  if (head.size() < kTag + kSteeringTagSize + 2 || size < head.size()) return std::nullopt;
  const Reader reader(head);
  if (reader.u16(kTag) != ETH_P_8021AD) return std::nullopt;
  const std::uint16_t tci = reader.u16(kTag + 2);
  std::memmove(head.data() + kSteeringTagSize, head.data(), kTag);
  head = head.subspan(kSteeringTagSize);
  SteeredFrame frame;
  frame.uplink_slot = tci >> kSlotShift;
  frame.class_id = tci & ZQ_CLASS_MASK;
  const Dissected dissected = dissect(head.subspan(kVnetHeaderSize), frame.uplink_slot);
  frame.flow = dissected.flow;
  correct_virtio_header(head.data(), dissected.header_size,
                        size - kSteeringTagSize - kVnetHeaderSize);
  return frame;
}

}  // namespace zq
