// The path prober against real sockets, and the figures that it keeps.
#include <cmath>

#include "agent/path_latency.h"
#include "agent/path_packet.h"
#include "agent/path_prober.h"
#include "agent/path_sequence.h"
#include "agent/path_socket.h"
#include "tests/integration/agent/agent_fixture.h"

namespace zq::test {
namespace {

IpAddress address(const std::string& text) { return value_of(IpAddress::parse(text)); }

TEST(LatencyHistogram, PercentilesAreCloseToTheExactOnes) {
  std::vector<std::int64_t> values;
  std::uint64_t random = 12345;
  for (int i = 0; i < 5'000; ++i) {
    random = random * 6364136223846793005U + 1442695040888963407U;
    // From 1 us to 10 s, evenly over the orders of magnitude.
    values.push_back(static_cast<std::int64_t>(
        1e3 * std::pow(1e7, static_cast<double>(random >> 11) / static_cast<double>(1ULL << 53))));
  }
  const std::int64_t days = 86'400'000'000'000 * 30;
  for (const std::int64_t offset : {std::int64_t{0}, days, -days}) {
    SCOPED_TRACE(offset);
    LatencyHistogram histogram(offset == 0 ? LatencyHistogram::Origin::kZero
                                           : LatencyHistogram::Origin::kFirstValue);
    for (const std::int64_t value : values) histogram.add(value + offset);
    auto sorted = values;
    std::sort(sorted.begin(), sorted.end());
    const auto figures = histogram.figures();
    EXPECT_EQ(figures.count, values.size());
    EXPECT_EQ(figures.min_ns, sorted.front() + offset);
    EXPECT_EQ(figures.max_ns, sorted.back() + offset);
    for (const auto& [found, rank] :
         {std::pair(figures.p50_ns, 2'500), {figures.p90_ns, 4'500}, {figures.p99_ns, 4'950}}) {
      const std::int64_t exact = sorted[static_cast<std::size_t>(rank) - 1];
      const double allowed =
          offset == 0 ? std::min(0.0005 * static_cast<double>(exact) + 1, 20e3) : 20e3;
      EXPECT_LE(std::abs(static_cast<double>(found - offset - exact)), allowed) << exact;
    }
    histogram.clear();
    EXPECT_EQ(histogram.figures().count, 0U);
    histogram.add(7);
    EXPECT_EQ(histogram.figures().p50_ns, 7);
  }
}

TEST(SequenceWindow, TellsLateFromAgain) {
  using Arrival = SequenceWindow::Arrival;
  SequenceWindow window;
  EXPECT_EQ(window.take(5), Arrival::kNewest);
  EXPECT_EQ(window.take(8), Arrival::kNewest);
  EXPECT_EQ(window.take(6), Arrival::kLate);
  EXPECT_EQ(window.take(6), Arrival::kAgain);
  EXPECT_EQ(window.take(8), Arrival::kAgain);
  EXPECT_EQ(window.take(0), Arrival::kLate);
  EXPECT_EQ(window.take(200'000), Arrival::kNewest);
  EXPECT_EQ(window.take(8), Arrival::kLate) << "too old to know";
  EXPECT_EQ(window.take(199'999), Arrival::kLate);
  EXPECT_EQ(window.take(200'000 + 65'535), Arrival::kNewest);
  EXPECT_EQ(window.take(200'000), Arrival::kAgain);
  EXPECT_EQ(window.take(200'001), Arrival::kLate);
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
  EXPECT_GT(after.sent[0].echoed, 120U);
  EXPECT_LT(after.sent[0].echoed, 240U);
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

// A sender of the test's own, beside the prober on the other node.
class Forger {
 public:
  explicit Forger(const TestNetns& netns) : socket_(netns, "10.66.0.1", kProbePort) {}

  [[nodiscard]] static PathPacket probe(std::uint64_t sequence, std::uint32_t stage = 0) {
    PathPacket packet;
    packet.run = short_hash("run");
    packet.sequence = sequence;
    packet.sent_ns = to_ns(mono_now());
    packet.stage = stage;
    packet.address = address("10.66.0.2");
    packet.node = "forger";
    return packet;
  }
  // With a bit of its bytes turned, if one is named.
  void send(const PathPacket& packet, std::optional<std::size_t> bit = std::nullopt) const {
    std::array<std::uint8_t, kPathPacketMax> bytes{};
    const std::size_t size = encode_path_packet(packet, bytes);
    if (bit) bytes[*bit / 8] ^= static_cast<std::uint8_t>(1U << *bit % 8);
    ASSERT_EQ(socket_.send(SocketAddress("10.66.0.2", kProbePort), bytes.data(), size), 0);
  }
  // The next probe of the other side that asks for an echo, echoed as held for that long.
  void echo_next(Nanos pause, Nanos held) const {
    PathPacket echo;
    std::string name;
    ASSERT_TRUE(wait_until([&] {
      bool found = false;
      (void)socket_.drain([&](std::string_view text) {
        const auto decoded = decode_path_packet(
            std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
        if (!decoded || decoded->damaged || !decoded->packet.want_echo) return;
        echo = decoded->packet;
        name = std::string(decoded->packet.node);
        found = true;
      });
      return found;
    }));
    std::this_thread::sleep_for(pause);
    echo.node = name;
    echo.echo = true;
    echo.held_ns = held.count();
    send(echo);
  }

 private:
  UdpSocket socket_;
};

std::optional<PathCounts::Received> from_forger(PathProber& prober) {
  for (const auto& entry : prober.measure().received) {
    if (entry.node == "forger") return entry;
  }
  return std::nullopt;
}

TEST(PathProber, TellsDuplicatesReorderedAndDamagedProbesApart) {
  const Probers nodes;
  const Forger forger(nodes.a);
  const auto b = Probers::start(nodes.b, Probers::config("b", "10.66.0.2", "10.66.0.1", 0));
  for (const std::uint64_t sequence : {1U, 2U, 2U, 5U, 3U, 5U, 4U, 6U})
    forger.send(Forger::probe(sequence));
  // One bit each: of the magic, the run, the sequence, the name.
  for (const std::size_t bit : {3U, 70U, 150U, 64U * 8 + 9}) forger.send(Forger::probe(7), bit);
  forger.send(Forger::probe(8));
  ASSERT_TRUE(wait_until([&] {
    const auto seen = from_forger(*b);
    return seen && seen->received == 7;
  }));
  const auto seen = *from_forger(*b);
  EXPECT_EQ(seen.duplicates, 2U);
  EXPECT_EQ(seen.out_of_order, 2U);
  EXPECT_EQ(seen.corrupted, 4U);
  EXPECT_EQ(b->measure().received.size(), 1U) << "nobody is made up of damage";
}

TEST(PathProber, CountsOneWayLatencyOfProbesSentInTheStage) {
  const Probers nodes;
  const Forger forger(nodes.a);
  const auto b = Probers::start(nodes.b, Probers::config("b", "10.66.0.2", "10.66.0.1", 0));
  const auto send = [&](std::uint64_t sequence, std::uint32_t stage, Nanos age) {
    auto packet = Forger::probe(sequence, stage);
    packet.sent_ns -= age.count();
    forger.send(packet);
  };
  const auto figures_at = [&](std::uint64_t received) {
    EXPECT_TRUE(wait_until([&] {
      const auto seen = from_forger(*b);
      return seen && seen->received == received;
    }));
    return from_forger(*b)->stage_one_way;
  };
  send(0, 0, 1s);
  EXPECT_EQ(figures_at(1).count, 1U);
  send(1, 1, 50ms);  // the sender is ahead
  EXPECT_EQ(figures_at(2).count, 1U);
  b->begin_stage(1);
  send(2, 0, 3s);  // held up on its way since the stage before
  send(3, 1, 50ms);
  send(4, 1, 50ms);
  const auto figures = figures_at(5);
  EXPECT_EQ(figures.count, 3U);
  EXPECT_GE(figures.p50_ns, (50ms / 1ns));
  EXPECT_LT(figures.max_ns, 1'000'000'000);
  b->begin_stage(1);
  EXPECT_EQ(from_forger(*b)->stage_one_way.count, 3U) << "asked again";
  b->begin_stage(0);
  EXPECT_EQ(from_forger(*b)->stage_one_way.count, 0U) << "one more than the last";
}

TEST(PathProber, RoundTripsLeaveOutHowLongTheEchoWasHeld) {
  const Probers nodes;
  const Forger forger(nodes.a);
  const auto b = Probers::start(nodes.b, Probers::config("b", "10.66.0.2", "10.66.0.1", 20));
  forger.echo_next(80ms, 80ms);
  ASSERT_TRUE(wait_until([&] { return b->measure().sent[0].echoed == 1; }));
  EXPECT_LT(b->measure().sent[0].stage_rtt.max_ns, 60'000'000);
  b->begin_stage(0);
  forger.echo_next(80ms, 0ms);
  ASSERT_TRUE(wait_until([&] { return b->measure().sent[0].echoed == 2; }));
  const auto held = b->measure().sent[0].stage_rtt;
  // The probe that was echoed may have been sent before the stage began.
  EXPECT_TRUE(held.count == 0 || held.min_ns >= 80'000'000);
}

TEST(PathProber, ProbesAgentlessTargetsByIcmpEcho) {
  const Probers nodes;
  add_address(nodes.a, "up0", "fd66::1/64");
  add_address(nodes.b, "up0", "fd66::2/64");
  const UdpSocket silent(nodes.b, "10.66.0.2", kProbePort);  // would get what must not be sent
  auto config = Probers::config("a", "10.66.0.1", "10.66.0.2", 500);
  config.own.push_back(address("fd66::1"));
  config.targets = {{"peer", address("10.66.0.2"), 1, true},
                    {"peer", address("fd66::2"), 1, true},
                    {"nobody", address("10.66.0.77"), 1, true}};
  const auto a = Probers::start(nodes.a, config);
  ASSERT_TRUE(wait_until([&] { return a->measure().sent[1].echoed > 200; }));
  const auto counts = a->measure();
  for (const std::size_t i : {0U, 1U}) {
    SCOPED_TRACE(i);
    EXPECT_TRUE(counts.sent[i].agentless);
    EXPECT_GE(counts.sent[i].echoed + 50, counts.sent[i].sent) << "every one asks for its echo";
    EXPECT_LE(counts.sent[i].echoed, counts.sent[i].sent);
    EXPECT_EQ(counts.sent[i].send_errors, 0U);
    EXPECT_EQ(counts.sent[i].echoed_in_window, 0U);
    EXPECT_GT(counts.sent[i].stage_rtt.count, 100U);
    EXPECT_GT(counts.sent[i].stage_rtt.min_ns, 0);
    EXPECT_LT(counts.sent[i].stage_rtt.p50_ns, 20'000'000);
  }
  EXPECT_EQ(counts.sent[2].echoed, 0U);
  EXPECT_EQ(silent.drain(), 0U);
  a->begin_stage(0);
  EXPECT_LT(a->measure().sent[0].stage_rtt.count, 50U);
  const MonoTime now = mono_now();
  a->set_programme({{FlowDirection::kEgress, 1, {{now, now + 60s}}}});
  EXPECT_TRUE(wait_until([&] { return a->measure().sent[0].echoed_in_window > 100; }))
      << "there is no gate here: a leak";
}

// Median latencies must not tell how busy the machines are.
TEST(PathProber, ABusyMachineDoesNotLookLikeASlowNetwork) {
  const Probers nodes;
  const auto a = Probers::start(nodes.a, Probers::config("a", "10.66.0.1", "10.66.0.2", 1000));
  const auto b = Probers::start(nodes.b, Probers::config("b", "10.66.0.2", "10.66.0.1", 0));
  const auto stage = [&](const char* name) {
    a->begin_stage(0);
    b->begin_stage(0);
    EXPECT_TRUE(wait_until([&] { return a->measure().sent[0].stage_rtt.count >= 300; }, 20s));
    const auto rtt = a->measure().sent[0].stage_rtt;
    const auto one_way = b->measure().received[0].stage_one_way;
    fmt::print("{}: round trip {}/{}/{}/{} us of {}, one way {}/{}/{}/{} us of {}\n", name,
               rtt.min_ns / 1000, rtt.p50_ns / 1000, rtt.p99_ns / 1000, rtt.max_ns / 1000,
               rtt.count, one_way.min_ns / 1000, one_way.p50_ns / 1000, one_way.p99_ns / 1000,
               one_way.max_ns / 1000, one_way.count);
    return std::pair(rtt.p50_ns, one_way.p50_ns);
  };
  const auto idle = stage("idle");
  std::vector<std::jthread> busy;
  for (int i = 0; i < 6; ++i) {
    busy.emplace_back([](const std::stop_token& stop) {
      volatile std::uint64_t work = 0;
      while (!stop.stop_requested()) work = work + 1;
    });
  }
  const auto loaded = stage("six busy threads");
  EXPECT_LT(std::abs(loaded.first - idle.first), 100'000);
  EXPECT_LT(std::abs(loaded.second - idle.second), 100'000);
}

}  // namespace
}  // namespace zq::test
