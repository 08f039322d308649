// Frames of the delay line as bytes: the steering tag comes off, the flow is told.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace zq {

// What stands ahead of a frame, both at the TAP and at a packet socket with PACKET_VNET_HDR, in the
// machine's own byte order. struct virtio_net_hdr, whose header is not C++.
struct VnetHeader {
  std::uint8_t flags, gso_type;
  std::uint16_t header_size, segment_size, checksum_start, checksum_offset;
};
inline constexpr std::uint8_t kVnetNeedsChecksum = 1;  // VIRTIO_NET_HDR_F_NEEDS_CSUM
inline constexpr std::size_t kVnetHeaderSize = sizeof(VnetHeader);
static_assert(kVnetHeaderSize == 10);
// An outer 802.1ad tag: TCI = uplink slot << 10 | class id.
inline constexpr std::size_t kSteeringTagSize = 4;
// The kernel cuts up offloaded packets that are longer (GSO_LEGACY_MAX_SIZE).
inline constexpr std::size_t kMaxFrameSize = kVnetHeaderSize + kSteeringTagSize + 65536;

struct SteeredFrame {
  unsigned uplink_slot = 0;
  std::uint16_t class_id = 0;
  // Equal for packets of one flow: uplink, addresses, protocol, and ports where they are visible
  // (not in fragments, nor behind encryption).
  std::uint64_t flow = 0;
};

// `head` is the beginning of a frame with its virtio header, all of it or at least all of its
// headers; `size` is the whole frame's. Takes the steering tag off: what stands before it moves up,
// so that the frame now begins kSteeringTagSize bytes further on; and makes the virtio header true
// again. nullopt for frames that steering did not put there, which stay as they are.
std::optional<SteeredFrame> take_steering_tag(std::span<std::uint8_t> head, std::size_t size);

}  // namespace zq
