// What a packet meets on its way through the line: offloads, VLANs, fragments, slow and lost
// uplinks, full memory.
#include <linux/if_packet.h>
#include <netinet/udp.h>

#include "tests/integration/delay_line/bulk_transfer.h"
#include "tests/integration/delay_line/line_nodes.h"
#include "tests/integration/delay_line/one_way.h"

namespace zq::test {
namespace {

double mean_frame_size(const DelayLine& line) {
  const DelayLineStats stats = line.stats();
  return static_cast<double>(stats.forwarded_bytes) / static_cast<double>(stats.forwarded_packets);
}

TEST(DelayLinePath, OffloadedPacketsStayWholeAndIntact) {
  LineNodes nodes;
  nodes.start({line_class(1, delayed(1ms))});
  for (const char* address : {LineNodes::kB4, LineNodes::kB6}) {
    const BulkResult result = BulkTransfer(nodes.a, nodes.b, address).run(100ms, 400ms);
    EXPECT_TRUE(result.intact) << address;
    EXPECT_GT(result.bytes, 1U << 20) << address;
  }
  EXPECT_GT(mean_frame_size(*nodes.line), 10'000) << "offloaded packets were cut up";
  EXPECT_EQ(nodes.line->stats().send_errors, 0U);
}

TEST(DelayLinePath, PacketsThatAreCutUpBeforeTheLineAreIntact) {
  LineNodes nodes;
  nodes.a.ip("link set up0 gso_max_segs 1");
  nodes.start({line_class(1, delayed(1ms))});
  for (const char* address : {LineNodes::kB4, LineNodes::kB6}) {
    EXPECT_TRUE(BulkTransfer(nodes.a, nodes.b, address).run(100ms, 200ms).intact);
  }
  EXPECT_LT(mean_frame_size(*nodes.line), 1600);
}

// Frames on the wire, since not every kernel has VLAN devices.
class PacketSocket {
 public:
  PacketSocket(const TestNetns& netns, const std::string& device, std::uint16_t protocol)
      : fd_(netns.run([&] {
          UniqueFd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
          const int on = 1;
          (void)::setsockopt(fd.get(), SOL_PACKET, PACKET_AUXDATA, &on, sizeof on);
          sockaddr_ll address{};
          address.sll_family = AF_PACKET;
          address.sll_protocol = htons(protocol);
          address.sll_ifindex = static_cast<int>(::if_nametoindex(device.c_str()));
          if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
            throw std::runtime_error("binding a packet socket");
          }
          return fd;
        })) {}
  [[nodiscard]] bool send(const std::string& frame) const {
    return ::send(fd_.get(), frame.data(), frame.size(), 0) == static_cast<ssize_t>(frame.size());
  }
  struct Received {
    std::string frame;        // without its tag, which the kernel tells apart
    std::optional<int> vlan;  // its TCI
  };
  // An empty frame when there is none now.
  [[nodiscard]] Received receive() const {
    char buffer[2048];
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(tpacket_auxdata))];
    iovec part{buffer, sizeof buffer};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t size = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT);
    if (size < 0) return {};
    Received received{std::string(buffer, static_cast<std::size_t>(size)), std::nullopt};
    tpacket_auxdata extra{};
    std::memcpy(&extra, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof extra);
    if ((extra.tp_status & TP_STATUS_VLAN_VALID) != 0) received.vlan = extra.tp_vlan_tci;
    return received;
  }

 private:
  UniqueFd fd_;
};

TEST(DelayLinePath, VlanTagsOfTheUplinkStayOnTheirPackets) {
  LineNodes nodes;
  nodes.start({line_class(1, delayed(5ms))});
  const PacketSocket sender(nodes.a, "up0", 0), receiver(nodes.b, "up0", ETH_P_ALL);
  const std::string addresses(12, '\2');
  const std::string type("\x08\0", 2), payload(60, 'E');
  const MonoTime sent = mono_now();
  ASSERT_TRUE(sender.send(addresses + std::string("\x81\0\0\7", 4) + type + payload));
  PacketSocket::Received got;
  ASSERT_TRUE(wait_until([&] {
    got = receiver.receive();
    return got.frame.starts_with(addresses);
  }));
  EXPECT_GE(mono_now() - sent, 5ms);
  EXPECT_EQ(got.frame, addresses + type + payload);
  EXPECT_EQ(got.vlan, 7);
}

// One system call, which the kernel may carry as one packet down to the wire.
TEST(DelayLinePath, SegmentedDatagramsArriveOneByOne) {
  LineNodes nodes;
  nodes.start({line_class(1, delayed(5ms))});
  for (const auto& [from, to] :
       {std::pair(LineNodes::kA4, LineNodes::kB4), std::pair(LineNodes::kA6, LineNodes::kB6)}) {
    const UdpSocket source(nodes.a, from, 7001), sink(nodes.b, to, 7000);
    const int segment = 1000;
    ASSERT_EQ(::setsockopt(source.fd(), IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment), 0);
    std::string payload;
    for (char part = 0; part < 30; ++part) payload.append(1000, part);
    ASSERT_EQ(source.send(to, 7000, payload), 0);
    std::vector<std::string> got;
    (void)wait_until([&] {
      (void)sink.drain([&](std::string_view text) { got.emplace_back(text); });
      return got.size() == 30;
    });
    ASSERT_EQ(got.size(), 30U);
    for (char part = 0; part < 30; ++part) {
      EXPECT_EQ(got[static_cast<std::size_t>(part)], std::string(1000, part));
    }
  }
}

TEST(DelayLinePath, FragmentsArriveInOrderAndMakeTheirDatagrams) {
  LineNodes nodes;
  nodes.start({line_class(1, delayed(5ms, 4ms))});
  OneWayPlan plan;
  plan.packets = 50;
  plan.size = 8000;
  EXPECT_EQ(measure_one_way(nodes.a, LineNodes::kA4, nodes.b, LineNodes::kB4, plan).lost(), 0U);
  EXPECT_EQ(measure_one_way(nodes.a, LineNodes::kA6, nodes.b, LineNodes::kB6, plan).lost(), 0U);
}

TEST(DelayLinePath, EachUplinkIsServedByItsSlot) {
  LineNodes nodes;
  connect_veth(nodes.a, "up1", nodes.b, "up1");
  add_address(nodes.a, "up1", "10.67.0.1/24");
  add_address(nodes.b, "up1", "10.67.0.2/24");
  DelayLine::Options options = nodes.options();
  options.uplinks.push_back({"up1", nodes.a.device_index("up1")});
  nodes.start({line_class(1, delayed(5ms))}, options);
  nodes.steer(nodes.line->device_index(), "up1");
  OneWayPlan plan;
  plan.packets = 20;
  plan.priority = 1 << 10 | 1;
  EXPECT_NEAR(measure_one_way(nodes.a, "10.67.0.1", nodes.b, "10.67.0.2", plan).median(), 5, 1.0);
  plan.priority = 1;
  EXPECT_NEAR(measure_one_way(nodes.a, LineNodes::kA4, nodes.b, LineNodes::kB4, plan).median(), 5,
              1.0);
  // No such uplink: lost, and counted.
  const std::uint64_t before = nodes.line->stats().send_errors;
  const UdpSocket source(nodes.a, LineNodes::kA4, 7001);
  const int nowhere = 9 << 10 | 1;
  (void)::setsockopt(source.fd(), SOL_SOCKET, SO_PRIORITY, &nowhere, sizeof nowhere);
  ASSERT_EQ(source.send(LineNodes::kB4, 7000), 0);
  EXPECT_TRUE(wait_until([&] { return nodes.line->stats().send_errors == before + 1; }));
}

// A qdisc that has room for a few packets only, and sends one in 0.6 ms.
TEST(DelayLinePath, AFullUplinkIsWaitedForInOrder) {
  LineNodes nodes;
  nodes.a.tc("qdisc add dev up0 root tbf rate 20mbit burst 3000 limit 6000");
  nodes.start({line_class(1, delayed(20ms))});
  OneWayPlan plan;
  plan.packets = 300;
  plan.interval = 10us;
  plan.size = 1400;
  const OneWay got = measure_one_way(nodes.a, LineNodes::kA4, nodes.b, LineNodes::kB4, plan);
  EXPECT_EQ(got.lost(), 0U);
  EXPECT_TRUE(std::ranges::is_sorted(got.numbers));
  EXPECT_GT(nodes.line->stats().send_retries, 0U);
  EXPECT_EQ(nodes.line->stats().send_errors, 0U);
}

TEST(DelayLinePath, WhatAnUplinkRefusesIsCountedAndTheRestGoesOn) {
  LineNodes nodes;
  nodes.start({line_class(1, delayed(50ms))});
  const UdpSocket source(nodes.a, LineNodes::kA4, 7001), sink(nodes.b, LineNodes::kB4, 7000);
  ASSERT_EQ(source.send(LineNodes::kB4, 7000), 0);
  ASSERT_TRUE(sink.receive());
  ASSERT_EQ(source.send(LineNodes::kB4, 7000), 0);
  ASSERT_TRUE(wait_until([&] { return nodes.line->stats().held_packets > 0; }));
  nodes.a.ip("link set up0 down");
  EXPECT_TRUE(wait_until([&] { return nodes.line->stats().send_errors > 0; }));
  nodes.a.ip("link set up0 up");
  EXPECT_TRUE(wait_until([&] {
    (void)source.send(LineNodes::kB4, 7000);
    return sink.receive(100ms);
  }));
  EXPECT_TRUE(nodes.line->stats().serving);
}

TEST(DelayLinePath, MemoryIsBoundedAndWhatDoesNotFitIsCounted) {
  LineNodes nodes;
  DelayLine::Options options = nodes.options();
  options.max_bytes = 1 << 20;
  nodes.start({line_class(1, delayed(400ms))}, options);
  OneWayPlan plan;
  plan.packets = 1000;
  plan.interval = 20us;
  const OneWay got = measure_one_way(nodes.a, LineNodes::kA4, nodes.b, LineNodes::kB4, plan);
  EXPECT_GT(got.delays_ms.size(), 400U);  // 512 chunks, less those that wait for the next frame
  EXPECT_LE(got.delays_ms.size(), 512U);
  // Perhaps some of the kernel's own (multicast listener reports) are counted, too.
  EXPECT_GE(nodes.line->stats().overflowed, got.lost());
  EXPECT_TRUE(wait_until([&] { return nodes.line->stats().held_packets == 0; }));
  // Memory came back.
  plan.packets = 300;
  EXPECT_EQ(measure_one_way(nodes.a, LineNodes::kA4, nodes.b, LineNodes::kB4, plan).lost(), 0U);
}

}  // namespace
}  // namespace zq::test
