// The datagram of a path probe and of its echo. Big endian, 48 bytes and the sender's name.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "agent/base/ip.h"

namespace zq {

inline constexpr std::size_t kPathHeaderSize = 48;
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
  IpAddress address;         // that was probed
  std::string_view node;     // the probe's sender; in an echo too
};

// `buffer` has room for kPathPacketMax bytes; returns how many were written.
std::size_t encode_path_packet(const PathPacket& packet, std::span<std::uint8_t> buffer);
// Empty for anything that is not a path packet. The name points into `bytes`.
std::optional<PathPacket> decode_path_packet(std::span<const std::uint8_t> bytes);

}  // namespace zq
