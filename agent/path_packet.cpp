#include "agent/path_packet.h"

#include <algorithm>
#include <array>

namespace zq {
namespace {

constexpr std::uint32_t kMagic = 0x5a515031;  // "ZQP1"
constexpr std::uint8_t kEcho = 1;
constexpr std::uint8_t kWantEcho = 2;
constexpr std::uint8_t kInWindow = 4;

void put(std::uint8_t* at, std::uint64_t value, unsigned bytes) {
  for (unsigned i = 0; i < bytes; ++i) {
    at[i] = static_cast<std::uint8_t>(value >> (8 * (bytes - 1 - i)));
  }
}

std::uint64_t get(const std::uint8_t* at, unsigned bytes) {
  std::uint64_t value = 0;
  for (unsigned i = 0; i < bytes; ++i) value = value << 8 | at[i];
  return value;
}

}  // namespace

std::size_t encode_path_packet(const PathPacket& packet, std::span<std::uint8_t> buffer) {
  std::uint8_t* const out = buffer.data();
  const std::string_view node = packet.node.substr(0, kPathNameMax);
  put(out, kMagic, 4);
  out[4] =
      static_cast<std::uint8_t>((packet.echo ? kEcho : 0) | (packet.want_echo ? kWantEcho : 0) |
                                (packet.in_window ? kInWindow : 0));
  out[5] = static_cast<std::uint8_t>(node.size());
  put(out + 6, packet.target, 2);
  put(out + 8, packet.run, 8);
  put(out + 16, packet.sequence, 8);
  put(out + 24, static_cast<std::uint64_t>(packet.sent_ns), 8);
  std::copy(packet.address.bytes().begin(), packet.address.bytes().end(), out + 32);
  std::copy(node.begin(), node.end(), out + kPathHeaderSize);
  return kPathHeaderSize + node.size();
}

std::optional<PathPacket> decode_path_packet(std::span<const std::uint8_t> bytes) {
  if (bytes.size() < kPathHeaderSize) return std::nullopt;
  const std::uint8_t* const in = bytes.data();
  if (get(in, 4) != kMagic || bytes.size() != kPathHeaderSize + in[5]) return std::nullopt;
  PathPacket packet;
  packet.echo = (in[4] & kEcho) != 0;
  packet.want_echo = (in[4] & kWantEcho) != 0;
  packet.in_window = (in[4] & kInWindow) != 0;
  packet.target = static_cast<std::uint16_t>(get(in + 6, 2));
  packet.run = get(in + 8, 8);
  packet.sequence = get(in + 16, 8);
  packet.sent_ns = static_cast<std::int64_t>(get(in + 24, 8));
  std::array<std::uint8_t, 16> address{};
  std::copy_n(in + 32, address.size(), address.begin());
  packet.address = IpAddress::from_bytes(address);
  packet.node = {reinterpret_cast<const char*>(in + kPathHeaderSize), in[5]};
  return packet;
}

}  // namespace zq
