// Taking the steering tag off, and telling flows, on bytes.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/if_ether.h>

#include <cstring>
#include <string>
#include <vector>

#include "agent/dataplane/delay_line_frame.h"

namespace zq {
namespace {

using Bytes = std::vector<std::uint8_t>;

void put16(Bytes& bytes, unsigned value) {
  bytes.push_back(static_cast<std::uint8_t>(value >> 8));
  bytes.push_back(static_cast<std::uint8_t>(value));
}
void put(Bytes& bytes, const Bytes& more) { bytes.insert(bytes.end(), more.begin(), more.end()); }

Bytes tcp(unsigned from, unsigned to) {
  Bytes bytes;
  put16(bytes, from);
  put16(bytes, to);
  put(bytes, Bytes(8, 1));
  put(bytes, {0x80, 0x10});  // 32 bytes of header
  put(bytes, Bytes(18, 0));
  return bytes;
}
Bytes ipv4(std::uint8_t protocol, const Bytes& payload, unsigned fragment = 0) {
  Bytes bytes{0x45, 0, 0, 0, 0, 1};
  put16(bytes, fragment);
  put(bytes, {64, protocol, 0, 0, 10, 66, 0, 1, 10, 66, 0, 2});
  put(bytes, payload);
  return bytes;
}
Bytes ipv6(std::uint8_t next, const Bytes& payload) {
  Bytes bytes{0x60, 0, 0, 0, 0, 0, next, 64};
  put(bytes, Bytes(31, 0xfd));
  bytes.push_back(2);
  put(bytes, payload);
  return bytes;
}

constexpr unsigned kSlot = 3, kClass = 77;

// As a TAP gives it, tag and all.
Bytes frame(unsigned type, const Bytes& packet, const Bytes& inner_tag = {}) {
  VnetHeader header{kVnetNeedsChecksum, 1, 1400, 1448, 14 + 4 + 20, 16};
  Bytes bytes(sizeof header);
  std::memcpy(bytes.data(), &header, sizeof header);
  put(bytes, {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2});
  put16(bytes, ETH_P_8021AD);
  put16(bytes, kSlot << 10 | kClass);
  put(bytes, inner_tag);
  put16(bytes, type);
  put(bytes, packet);
  return bytes;
}

SteeredFrame take(Bytes bytes) {
  const auto taken = take_steering_tag(bytes, bytes.size());
  EXPECT_TRUE(taken);
  return taken.value_or(SteeredFrame{});
}
std::uint64_t flow(const Bytes& bytes) { return take(bytes).flow; }

TEST(LineFrame, TheTagComesOffAndTheHeaderIsCorrected) {
  Bytes bytes = frame(ETH_P_IP, ipv4(IPPROTO_TCP, tcp(1, 2)));
  const Bytes before = bytes;
  const auto taken = take_steering_tag(bytes, 9000);  // the rest is elsewhere
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->uplink_slot, kSlot);
  EXPECT_EQ(taken->class_id, kClass);
  const std::uint8_t* now = bytes.data() + kSteeringTagSize;
  VnetHeader header{};
  std::memcpy(&header, now, sizeof header);
  EXPECT_EQ(header.checksum_start, 14 + 20);
  EXPECT_EQ(header.checksum_offset, 16);
  EXPECT_EQ(header.segment_size, 1448);
  EXPECT_EQ(header.header_size, 14 + 20 + 32);
  // Addresses, then what stood behind the tag.
  EXPECT_TRUE(std::equal(now + 10, now + 22, before.data() + 10));
  EXPECT_TRUE(std::equal(now + 22, now + 60, before.data() + 26));
}

TEST(LineFrame, FramesThatNobodySteeredStayAsTheyAre) {
  Bytes bytes = frame(ETH_P_IP, ipv4(IPPROTO_TCP, tcp(1, 2)));
  bytes[22] = 0x81;  // an ordinary VLAN tag
  bytes[23] = 0x00;
  const Bytes before = bytes;
  EXPECT_FALSE(take_steering_tag(bytes, bytes.size()));
  EXPECT_EQ(bytes, before);
}

TEST(LineFrame, FlowsAreToldByAddressesProtocolAndPorts) {
  const auto of_tcp = flow(frame(ETH_P_IP, ipv4(IPPROTO_TCP, tcp(1000, 2000))));
  EXPECT_EQ(of_tcp, flow(frame(ETH_P_IP, ipv4(IPPROTO_TCP, tcp(1000, 2000)))));
  EXPECT_NE(of_tcp, flow(frame(ETH_P_IP, ipv4(IPPROTO_TCP, tcp(1001, 2000)))));
  EXPECT_NE(of_tcp, flow(frame(ETH_P_IP, ipv4(IPPROTO_UDP, tcp(1000, 2000)))));
  Bytes elsewhere = ipv4(IPPROTO_TCP, tcp(1000, 2000));
  elsewhere[19] = 9;
  EXPECT_NE(of_tcp, flow(frame(ETH_P_IP, elsewhere)));
  const auto of_v6 = flow(frame(ETH_P_IPV6, ipv6(IPPROTO_TCP, tcp(1000, 2000))));
  EXPECT_EQ(of_v6, flow(frame(ETH_P_IPV6, ipv6(IPPROTO_TCP, tcp(1000, 2000)))));
  EXPECT_NE(of_v6, flow(frame(ETH_P_IPV6, ipv6(IPPROTO_TCP, tcp(1000, 2001)))));
}

TEST(LineFrame, FragmentsOfADatagramAreOneFlow) {
  const unsigned more = 0x2000;
  EXPECT_EQ(flow(frame(ETH_P_IP, ipv4(IPPROTO_UDP, tcp(1000, 2000), more))),
            flow(frame(ETH_P_IP, ipv4(IPPROTO_UDP, Bytes(64, 0x55), 185))));
  const Bytes fragment_header{IPPROTO_UDP, 0, 0, 1, 0, 0, 0, 1};
  Bytes first = fragment_header, second = fragment_header;
  put(first, tcp(1000, 2000));
  put(second, Bytes(64, 0x55));
  EXPECT_EQ(flow(frame(ETH_P_IPV6, ipv6(IPPROTO_FRAGMENT, first))),
            flow(frame(ETH_P_IPV6, ipv6(IPPROTO_FRAGMENT, second))));
}

TEST(LineFrame, PortsAreFoundBehindVlansAndExtensionHeaders) {
  const Bytes tag{0x00, 42, 0x81, 0x00};  // the TCI of one tag, the type of the next
  const auto inside = [&](unsigned port) {
    Bytes packet{0x00, 42};
    put16(packet, ETH_P_IP);
    put(packet, ipv4(IPPROTO_TCP, tcp(port, 2000)));
    return frame(ETH_P_8021Q, packet);
  };
  EXPECT_EQ(flow(inside(1000)), flow(inside(1000)));
  EXPECT_NE(flow(inside(1000)), flow(inside(1001)));
  const auto behind = [](unsigned port) {
    Bytes options{IPPROTO_TCP, 1};
    put(options, Bytes(14, 0));
    put(options, tcp(port, 2000));
    return frame(ETH_P_IPV6, ipv6(IPPROTO_HOPOPTS, options));
  };
  EXPECT_NE(flow(behind(1000)), flow(behind(1001)));
}

TEST(LineFrame, AnyPrefixOfAFrameIsReadWithinItsBounds) {
  Bytes options{IPPROTO_ROUTING, 0};
  put(options, Bytes(6, 0));
  put(options, {IPPROTO_FRAGMENT, 255});
  for (const Bytes& whole : {frame(ETH_P_IP, ipv4(IPPROTO_TCP, tcp(1, 2))),
                             frame(ETH_P_IPV6, ipv6(IPPROTO_TCP, tcp(1, 2))),
                             frame(ETH_P_IPV6, ipv6(IPPROTO_HOPOPTS, options)),
                             frame(ETH_P_8021AD, {0, 1, 0x81, 0, 0, 2, 0x08, 0})}) {
    for (std::size_t size = 0; size <= whole.size(); ++size) {
      Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      cut.shrink_to_fit();
      const bool enough = size >= kVnetHeaderSize + 12 + kSteeringTagSize + 2;
      EXPECT_EQ(take_steering_tag(cut, size).has_value(), enough) << size;
      if (!enough) continue;
      VnetHeader header{};
      std::memcpy(&header, cut.data() + kSteeringTagSize, sizeof header);
      EXPECT_LE(header.header_size, size - kSteeringTagSize - kVnetHeaderSize);
    }
  }
}

}  // namespace
}  // namespace zq
