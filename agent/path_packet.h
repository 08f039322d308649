// The datagram of a path probe and of its echo. Big endian, 64 bytes and the sender's name.
// Agentless targets get the same bytes as the payload of an ICMP echo request.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "agent/base/ip.h"

namespace zq {

inline constexpr std::size_t kPathHeaderSize = 64;
inline constexpr std::size_t kPathNameMax = 128;
inline constexpr std::size_t kPathPacketMax = kPathHeaderSize + kPathNameMax;

struct PathPacket {
  bool echo = false;
  bool want_echo = false;
  bool in_window = false;
  std::uint16_t target = 0;  // the sender's index of the target
  std::uint64_t run = 0;     // short_hash() of the run's id
  std::uint64_t sequence = 0;
  std::int64_t sent_ns = 0;  // the sender's CLOCK_MONOTONIC
  std::int64_t held_ns = 0;  // echo: from the probe's arrival in the kernel to the echo's departure
  std::uint32_t stage = 0;   // the sender's, see PathProber::begin_stage
  IpAddress address;         // that was probed
  std::string_view node;     // the probe's sender; in an echo too
};

// `buffer` has room for kPathPacketMax bytes; returns how many were written.
std::size_t encode_path_packet(const PathPacket& packet, std::span<std::uint8_t> buffer);
// The name points into `bytes`.
struct DecodedPathPacket {
  PathPacket packet;
  bool damaged = false;  // the check value is not that of the content: believe none of it
};
// Empty for anything that does not look like a path packet.
std::optional<DecodedPathPacket> decode_path_packet(std::span<const std::uint8_t> bytes);

}  // namespace zq
