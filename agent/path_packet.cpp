#include "agent/path_packet.h"

#include <algorithm>
#include <array>
#include <bit>

namespace zq {
namespace {

constexpr std::uint32_t kMagic = 0x5a515032;  // "ZQP2"
constexpr std::size_t kCheckAt = 60;
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

// FNV-1a: enough to see damage, nothing secret.
std::uint32_t check_value(std::span<const std::uint8_t> bytes) {
  std::uint32_t value = 2'166'136'261U;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const bool is_check = i >= kCheckAt && i < kCheckAt + 4;
    value = (value ^ (is_check ? 0U : bytes[i])) * 16'777'619U;
  }
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
  put(out + 48, static_cast<std::uint64_t>(packet.held_ns), 8);
  put(out + 56, packet.stage, 4);
  std::copy(node.begin(), node.end(), out + kPathHeaderSize);
  const std::size_t size = kPathHeaderSize + node.size();
  put(out + kCheckAt, check_value(buffer.first(size)), 4);
  return size;
}

std::optional<DecodedPathPacket> decode_path_packet(std::span<const std::uint8_t> bytes) {
  if (bytes.size() < kPathHeaderSize) return std::nullopt;
  const std::uint8_t* const in = bytes.data();
  DecodedPathPacket decoded;
  const std::size_t name = bytes.size() - kPathHeaderSize;
  // Damage is a bit or two.
  if (std::popcount(get(in, 4) ^ kMagic) > 2) return std::nullopt;
  decoded.damaged =
      in[5] != name || get(in, 4) != kMagic || get(in + kCheckAt, 4) != check_value(bytes);
  PathPacket& packet = decoded.packet;
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
  packet.held_ns = static_cast<std::int64_t>(get(in + 48, 8));
  packet.stage = static_cast<std::uint32_t>(get(in + 56, 4));
  packet.node = {reinterpret_cast<const char*>(in + kPathHeaderSize), name};
  return decoded;
}

}  // namespace zq
