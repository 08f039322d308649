// The agent's parts that need no kernel, and the path prober against real sockets.
#include "agent/observer.h"
#include "agent/path_packet.h"
#include "agent/path_prober.h"
#include "agent/service.h"
#include "tests/integration/agent/agent_fixture.h"

namespace zq::test {
namespace {

IpAddress address(const std::string& text) { return value_of(IpAddress::parse(text)); }

TEST(BookHash, IsTheSameWhateverTheOrder) {
  const BookAddress v4{value_of(IpPrefix::parse("10.66.1.0/24")), 1};
  const BookAddress v6{value_of(IpPrefix::parse("fd66::2")), 258};
  EXPECT_EQ(hash_book({v6, v4}), hash_book({v4, v6}));
  EXPECT_EQ(hash_book({v4, v6}),
            "f29dd1daa4a664f0db7036a58dcb3c39113717ab65927c5063964163b85406f3");
  EXPECT_EQ(hash_book({}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_NE(hash_book({{v4.prefix, 2}}), hash_book({v4}));
}

TEST(PathPacket, ComesBackAsItWas) {
  PathPacket packet;
  packet.want_echo = packet.in_window = true;
  packet.target = 513;
  packet.run = 0x0102030405060708;
  packet.sequence = 99;
  packet.sent_ns = -5;
  packet.held_ns = 77;
  packet.stage = 3;
  packet.address = address("fd66::7");
  packet.node = "node-a";
  std::array<std::uint8_t, kPathPacketMax> buffer{};
  const std::size_t size = encode_path_packet(packet, buffer);
  const auto decoded = decode_path_packet(std::span(buffer).first(size));
  ASSERT_TRUE(decoded);
  EXPECT_FALSE(decoded->damaged);
  const PathPacket* const back = &decoded->packet;
  EXPECT_FALSE(back->echo);
  EXPECT_TRUE(back->want_echo);
  EXPECT_TRUE(back->in_window);
  EXPECT_EQ(back->target, packet.target);
  EXPECT_EQ(back->run, packet.run);
  EXPECT_EQ(back->sequence, packet.sequence);
  EXPECT_EQ(back->sent_ns, packet.sent_ns);
  EXPECT_EQ(back->held_ns, packet.held_ns);
  EXPECT_EQ(back->stage, packet.stage);
  EXPECT_EQ(back->address, packet.address);
  EXPECT_EQ(back->node, packet.node);
  for (std::size_t cut = 0; cut < size; ++cut) {
    const auto half = decode_path_packet(std::span(buffer).first(cut));
    EXPECT_TRUE(!half || half->damaged) << cut;
  }
  for (std::size_t bit = 0; bit < size * 8; ++bit) {
    buffer[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    const auto damaged = decode_path_packet(std::span(buffer).first(size));
    ASSERT_TRUE(damaged) << bit;
    EXPECT_TRUE(damaged->damaged) << bit;
    buffer[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
  }
  buffer[0] = 0;
  EXPECT_FALSE(decode_path_packet(std::span(buffer).first(size))) << "somebody else's";
}

TEST(ControlExemption, ExemptsTheOtherEndOfATcpConnection) {
  EXPECT_FALSE(control_exemption("unix:", 0));
  EXPECT_FALSE(control_exemption("unix:/run/x", 7000));
  for (const auto& [peer, text] : {std::pair("ipv4:10.66.0.1:4711", "10.66.0.1"),
                                   {"ipv6:%5Bfd66::1%5D:4711", "fd66::1"},
                                   {"ipv6:[fd66::1]:4711", "fd66::1"}}) {
    const auto exemption = control_exemption(peer, 7000);
    ASSERT_TRUE(exemption) << peer;
    EXPECT_EQ(exemption->prefix, IpPrefix::host(address(text)));
    EXPECT_FALSE(exemption->any_address);
    EXPECT_EQ(exemption->protocol, IPPROTO_TCP);
    EXPECT_EQ(exemption->port, 7000);
  }
}

zonequake::Observation seen(const std::string& body, std::int64_t at_ms) {
  zonequake::Observation observation;
  observation.set_probe("p");
  observation.set_body(body);
  observation.set_at_mono_ns(at_ms * 1'000'000);
  return observation;
}

TEST(Observer, SendsWhatChangedAndConfirmsTheRest) {
  Observer observer;
  std::stop_source stop;
  observer.add(seen("a", 0));
  observer.add(seen("a", 100));
  const auto first = observer.take(stop.get_token());
  ASSERT_EQ(first.observations_size(), 1);
  EXPECT_EQ(first.confirmations_size(), 0) << "too early to say it again";
  for (int at = 200; at <= 1000; at += 100) observer.add(seen("a", at));
  const auto second = observer.take(stop.get_token());
  EXPECT_EQ(second.observations_size(), 0);
  ASSERT_EQ(second.confirmations_size(), 1) << "confirmations do not pile up";
  EXPECT_EQ(second.confirmations(0).at_mono_ns(), 1'000'000'000);
  observer.add(seen("b", 1100));
  observer.add(seen("a", 1200));
  const auto third = observer.take(stop.get_token());
  ASSERT_EQ(third.observations_size(), 2) << "a short change is not lost";
  EXPECT_EQ(third.observations(0).body(), "b");
  EXPECT_EQ(third.observations(1).body(), "a");
  EXPECT_EQ(third.confirmations_size(), 0);
  stop.request_stop();
  EXPECT_EQ(observer.take(stop.get_token()).ByteSizeLong(), 0U);
}

TEST(Observer, CountsWhatAFullBufferLost) {
  Observer observer(1000);
  const std::stop_source stop;
  for (int i = 0; i < 10; ++i) observer.add(seen(std::string(200, static_cast<char>('a' + i)), i));
  const auto batch = observer.take(stop.get_token());
  EXPECT_EQ(batch.observations_size(), 3);
  EXPECT_EQ(batch.dropped(), 7U);
  observer.add(seen("later", 20));
  const auto next = observer.take(stop.get_token());
  EXPECT_EQ(next.observations_size(), 1) << "there is room again";
  EXPECT_EQ(next.dropped(), 0U);
}

TEST(Observer, NeverMergesEventsOfAStreamAndConfirmsThatItLives) {
  Observer observer;
  const std::stop_source stop;
  for (int at = 0; at < 3000; at += 1000)
    EXPECT_TRUE(observer.add(seen("heartbeat", at), ProbeNews::kEvent));
  EXPECT_TRUE(observer.add(seen("", 2100), ProbeNews::kAlive));
  const auto first = observer.take(stop.get_token());
  EXPECT_EQ(first.observations_size(), 3);
  EXPECT_EQ(first.confirmations_size(), 0) << "the event said it just now";
  EXPECT_TRUE(observer.add(seen("", 3000), ProbeNews::kAlive));
  const auto second = observer.take(stop.get_token());
  EXPECT_EQ(second.observations_size(), 0);
  ASSERT_EQ(second.confirmations_size(), 1);
  EXPECT_EQ(second.confirmations(0).at_mono_ns(), 3'000'000'000);
}

TEST(Observer, LeavesAnEventWithoutRoomToItsStream) {
  Observer observer(1000);
  const std::stop_source stop;
  EXPECT_TRUE(observer.add(seen(std::string(500, 'a'), 0), ProbeNews::kEvent));
  EXPECT_FALSE(observer.add(seen(std::string(500, 'b'), 1), ProbeNews::kEvent));
  const auto batch = observer.take(stop.get_token());
  EXPECT_EQ(batch.observations_size(), 1);
  EXPECT_EQ(batch.dropped(), 0U);
  EXPECT_TRUE(observer.add(seen(std::string(500, 'b'), 2), ProbeNews::kEvent));
}

TEST(Observer, AnotherHeaderIsAnotherAnswer) {
  auto a = seen("", 0);
  (*a.mutable_headers())["Location"] = "//10.66.1.1:5050";
  auto b = a;
  EXPECT_TRUE(says_the_same(a, b));
  (*b.mutable_headers())["Location"] = "//10.66.2.1:5050";
  EXPECT_FALSE(says_the_same(a, b));
  EXPECT_FALSE(says_the_same(a, seen("", 0)));
}

TEST(Observer, TellsFailuresApartByKindNotByWording) {
  auto a = seen("", 0);
  a.set_outcome(zonequake::Observation::TIMED_OUT);
  a.set_error("no answer after 1001 ms");
  auto b = a;
  b.set_error("no answer after 1002 ms");
  EXPECT_TRUE(says_the_same(a, b));
  b.set_outcome(zonequake::Observation::REFUSED);
  EXPECT_FALSE(says_the_same(a, b));
  auto c = seen("x", 0);
  auto d = c;
  d.set_status(503);
  EXPECT_FALSE(says_the_same(c, d));
}

}  // namespace
}  // namespace zq::test
