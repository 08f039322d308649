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
  packet.address = address("fd66::7");
  packet.node = "node-a";
  std::array<std::uint8_t, kPathPacketMax> buffer{};
  const std::size_t size = encode_path_packet(packet, buffer);
  const auto back = decode_path_packet(std::span(buffer).first(size));
  ASSERT_TRUE(back);
  EXPECT_FALSE(back->echo);
  EXPECT_TRUE(back->want_echo);
  EXPECT_TRUE(back->in_window);
  EXPECT_EQ(back->target, packet.target);
  EXPECT_EQ(back->run, packet.run);
  EXPECT_EQ(back->sequence, packet.sequence);
  EXPECT_EQ(back->sent_ns, packet.sent_ns);
  EXPECT_EQ(back->address, packet.address);
  EXPECT_EQ(back->node, packet.node);
  for (std::size_t cut = 0; cut < size; ++cut) {
    EXPECT_FALSE(decode_path_packet(std::span(buffer).first(cut))) << cut;
  }
  buffer[0] ^= 1;
  EXPECT_FALSE(decode_path_packet(std::span(buffer).first(size)));
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

// Two nodes without agents; probers of the test's own.
struct Probers {
  TestNetns a, b;
  Probers() {
    connect_veth(a, "up0", b, "up0");
    add_address(a, "up0", "10.66.0.1/24");
    add_address(b, "up0", "10.66.0.2/24");
  }
  [[nodiscard]] static PathProberConfig config(const std::string& node, const std::string& own,
                                               const std::string& target, double rate) {
    PathProberConfig config;
    config.run = "run";
    config.node = node;
    config.own = {address(own)};
    config.port = kProbePort;
    config.rate = rate;
    config.targets = {{"peer", address(target), 1}};
    return config;
  }
  [[nodiscard]] static std::unique_ptr<PathProber> start(const TestNetns& where,
                                                         const PathProberConfig& config) {
    return where.run([&] { return value_of(PathProber::start(config)); });
  }
};

TEST(PathProber, KeepsItsRateAndMeasuresRoundTrips) {
  const Probers nodes;
  const auto a = Probers::start(nodes.a, Probers::config("a", "10.66.0.1", "10.66.0.2", 5000));
  const auto b = Probers::start(nodes.b, Probers::config("b", "10.66.0.2", "10.66.0.1", 0));
  const MonoTime begin = mono_now();
  const auto before = a->measure();
  std::this_thread::sleep_for(1s);
  const auto after = a->measure();
  const double rate = static_cast<double>(after.sent[0].sent - before.sent[0].sent) /
                      to_seconds(mono_now() - begin);
  fmt::print("{:.0f} probes/s, {} echoes, round trip {}/{}/{} us\n", rate, after.sent[0].echoed,
             after.sent[0].rtt_min_ns / 1000, after.sent[0].rtt_p50_ns / 1000,
             after.sent[0].rtt_max_ns / 1000);
  EXPECT_GT(rate, 4000) << "within what a busy machine costs";
  EXPECT_LT(rate, 5200);
  EXPECT_GT(after.sent[0].echoed, 30U);
  EXPECT_LT(after.sent[0].echoed, 60U);
  EXPECT_GT(after.sent[0].rtt_min_ns, 0);
  EXPECT_LE(after.sent[0].rtt_min_ns, after.sent[0].rtt_p50_ns);
  EXPECT_LE(after.sent[0].rtt_p50_ns, after.sent[0].rtt_max_ns);
  const auto received = b->measure().received;
  ASSERT_EQ(received.size(), 1U);
  EXPECT_EQ(received[0].node, "a");
  EXPECT_EQ(received[0].address, address("10.66.0.2"));
  EXPECT_GE(received[0].received + 100, after.sent[0].sent);
  EXPECT_EQ(received[0].received_in_window, 0U);
}

// There is no gate here: whatever is sent as cut arrives, and must be seen as a leak.
TEST(PathProber, SeesALeak) {
  const Probers nodes;
  const auto a = Probers::start(nodes.a, Probers::config("a", "10.66.0.1", "10.66.0.2", 1000));
  const auto b = Probers::start(nodes.b, Probers::config("b", "10.66.0.2", "10.66.0.1", 0));
  const MonoTime from = mono_now();
  a->set_programme({{FlowDirection::kIngress, 1, {{from, from + 60s}}},
                    {FlowDirection::kEgress, 0, {{from, from + 60s}}}});
  ASSERT_TRUE(wait_until([&] { return a->measure().sent[0].sent > 100; }));
  EXPECT_EQ(a->measure().sent[0].sent_in_window, 0U) << "another direction, another group";
  a->set_programme({{FlowDirection::kEgress, 1, {{from, mono_now() + kWindowMargin + 200ms}}}});
  ASSERT_TRUE(wait_until([&] { return mono_now() > from + kWindowMargin + 500ms; }));
  a->set_programme({});
  const auto sent = a->measure().sent[0];
  EXPECT_GT(sent.sent_in_window, 100U);
  EXPECT_LT(sent.sent_in_window, 260U) << "flagged until a margin before the end only";
  ASSERT_TRUE(wait_until([&] {
    const auto received = b->measure().received;
    return received.size() == 1 && received[0].received_in_window == sent.sent_in_window;
  }));
}

TEST(PathProber, IgnoresOtherRunsAndCountsSendErrors) {
  const Probers nodes;
  auto stale = Probers::config("a", "10.66.0.1", "10.66.0.2", 1000);
  stale.run = "an earlier run";
  stale.targets.push_back({"nowhere", address("10.99.0.1"), 1});
  const auto a = Probers::start(nodes.a, stale);
  const auto b = Probers::start(nodes.b, Probers::config("b", "10.66.0.2", "10.66.0.1", 0));
  ASSERT_TRUE(wait_until([&] { return a->measure().sent[0].sent > 200; }));
  const auto counts = a->measure();
  EXPECT_EQ(counts.sent[0].send_errors, 0U);
  EXPECT_EQ(counts.sent[0].echoed, 0U);
  EXPECT_GT(counts.sent[1].send_errors, 100U) << "no route";
  EXPECT_EQ(counts.sent[1].sent, 0U);
  EXPECT_TRUE(b->measure().received.empty());
}

TEST(PathProber, YieldsToOthersEvenWhenAlwaysLate) {
  const Probers nodes;
  auto config = Probers::config("a", "10.66.0.1", "10.66.0.2", 20'000);
  const auto target = config.targets.front();
  while (config.targets.size() < 500) config.targets.push_back(target);  // 10,000,000 per second
  const auto a = Probers::start(nodes.a, config);
  ASSERT_TRUE(wait_until([&] { return a->measure().sent[0].sent > 0; }));
  Nanos slowest{};
  for (int i = 0; i < 20; ++i) {
    std::this_thread::sleep_for(5ms);  // it has begun its next burst
    const MonoTime asked = mono_now();
    a->set_programme({});
    slowest = std::max<Nanos>(slowest, mono_now() - asked);
  }
  fmt::print("slowest {}\n", format_duration(slowest));
  EXPECT_LT(slowest, 300ms);
}

TEST(PathProber, RefusesWhatItCannotDo) {
  const Probers nodes;
  const auto refusal = [&](const PathProberConfig& config) {
    return nodes.a.run([&] { return PathProber::start(config); });
  };
  const auto strange = refusal(Probers::config("a", "10.66.0.9", "10.66.0.2", 1));
  ASSERT_FALSE(strange);
  EXPECT_EQ(strange.error().code, ErrorCode::kRefused);
  EXPECT_NE(strange.error().message.find("10.66.0.9"), std::string::npos);
  const auto family = refusal(Probers::config("a", "10.66.0.1", "fd66::2", 1));
  ASSERT_FALSE(family);
  EXPECT_EQ(family.error().code, ErrorCode::kRefused);
  const UdpSocket taken(nodes.a, "10.66.0.1", kProbePort);
  const auto busy = refusal(Probers::config("a", "10.66.0.1", "10.66.0.2", 1));
  ASSERT_FALSE(busy);
  EXPECT_NE(busy.error().message.find("another process"), std::string::npos);
}

}  // namespace
}  // namespace zq::test
