// Programmes change under a flood; what they are not about loses nothing.
#include <fmt/core.h>

#include <fstream>
#include <random>
#include <sstream>

#include "tests/integration/dataplane/flood.h"
#include "tests/vm/faults/border.h"

namespace zq::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* kBystander4 = "10.66.0.3";

// Datagrams that a full receive buffer lost, by the kernel's counter.
std::uint64_t buffer_losses(const TestNetns& netns) {
  return netns.run([] {
    std::ifstream file("/proc/thread-self/net/snmp");
    std::string line;
    while (std::getline(file, line)) {
      std::istringstream words(line);
      std::string name;
      std::uint64_t received = 0, no_ports = 0, errors = 0, sent = 0, losses = 0;
      if (words >> name >> received >> no_ports >> errors >> sent >> losses && name == "Udp:") {
        return losses;
      }
    }
    throw std::runtime_error("no Udp line in snmp");
  });
}

// Packets that the kernel had no room for between the two ends of a veth, on the whole machine.
std::uint64_t backlog_losses() {
  std::ifstream file("/proc/net/softnet_stat");
  std::uint64_t sum = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::uint64_t processed = 0, dropped = 0;
    if (words >> std::hex >> processed >> dropped) sum += dropped;
  }
  return sum;
}

// Packets a second that keep a quarter of a CPU busy; emulated ones are slow.
int bearable_rate(const UdpSocket& source, const UdpSocket& sink, std::uint16_t port) {
  constexpr int kTry = 2000;
  const MonoTime begin = mono_now();
  for (int i = 0; i < kTry; ++i) source.send(kBystander4, port);
  const double fastest = kTry / to_seconds(mono_now() - begin);
  std::this_thread::sleep_for(100ms);
  sink.drain();
  return std::clamp(static_cast<int>(fastest / 4), 1000, 20'000);
}

Impairment random_impairment(std::mt19937& random) {
  const auto below = [&](unsigned limit) { return random() % limit; };
  Impairment impairment;
  if (below(2) == 0) impairment.delay = Nanos(1ms) * (1 + below(200));
  if (impairment.delay > 0ms && below(2) == 0) impairment.jitter = impairment.delay / 2;
  if (below(3) == 0) impairment.loss = {LossModel::Kind::kRandom, {0.05}};
  if (below(3) == 0) impairment.duplicate = 0.05;
  if (below(2) == 0 || impairment == Impairment{})
    impairment.rate_bps = 1'000'000 * (1 + below(99));
  return impairment;
}

TEST(Race, ChangesUnderAFloodLoseNothingOfOthers) {
  TwoNodes nodes;
  // Another filter's clsact: making it would stop the device for a moment.
  nodes.a.tc("qdisc add dev up0 clsact");
  add_address(nodes.b, "up0", std::string(kBystander4) + "/24");
  GateConfig config = nodes.config();
  config.groups = 3;
  config.book.push_back({prefix(kBystander4), 2});
  const auto dump = [&] {
    return value_of(nodes.a.run([&] { return dump_network(config.uplinks); }));
  };
  const std::string before = dump();

  const UdpSocket source(nodes.a, TwoNodes::kA4, 0);
  const UdpSocket bystander(nodes.b, kBystander4, 7100);
  const UdpSocket victim(nodes.b, TwoNodes::kB4, 7200);
  source.send(kBystander4, 7100, "warm");
  ASSERT_TRUE(bystander.receive());
  bystander.drain();
  const int rate = bearable_rate(source, bystander, 7100);
  const auto packets = static_cast<std::uint64_t>(rate) * 20;  // 400,000 on real hardware
  const std::uint64_t buffer_before = buffer_losses(nodes.b);
  const std::uint64_t backlog_before = backlog_losses();

  std::mt19937 random(7);
  std::uint64_t received = 0;
  std::uint64_t sent = 0;
  int loads = 0;
  int lives = 0;
  {
    Flood flood(source, kBystander4, 7100, rate);
    Flood impaired(source, TwoNodes::kB4, 7200, rate / 10);
    while (flood.sent() < packets) {
      Gate gate = nodes.attach(config);
      ++lives;
      ASSERT_TRUE(value_of(gate.renew_lease(1h)));
      for (int i = 0; i < 5 && flood.sent() < packets; ++i) {
        const MonoTime now = mono_now();
        GateProgramme programme{.rules = {}, .impairments = {random_impairment(random)}};
        GateRule rule{FlowDirection::kEgress, 1, {{.from = now, .until = now + 100ms}}};
        rule.segments.front().treatment = random() % 4 == 0 ? Treatment::kDrop : Treatment::kImpair;
        programme.rules = {rule};
        check(nodes.a.run([&] { return gate.load(programme); }));
        ++loads;
        received += bystander.drain();
        victim.drain();
        if (random() % 3 == 0) check(nodes.a.run([&] { return gate.load(GateProgramme{}); }));
      }
      check(nodes.a.run([&] { return gate.detach(); }));
      received += bystander.drain();
    }
    flood.stop();
    impaired.stop();
    sent = flood.sent();
    EXPECT_EQ(flood.errors(), 0U);
  }
  wait_until([&] {
    received += bystander.drain();
    return received >= sent;
  });
  const std::uint64_t overflowed = buffer_losses(nodes.b) - buffer_before;
  const std::uint64_t backlog = backlog_losses() - backlog_before;
  fmt::print("{} packets, {} programmes, {} gates; {} lost in receive buffers, {} in the backlog\n",
             sent, loads, lives, overflowed, backlog);
  EXPECT_LE(received + overflowed, sent);
  EXPECT_GE(received + overflowed + backlog, sent);
  EXPECT_GT(loads, 10);
  EXPECT_EQ(dump(), before);
}

}  // namespace
}  // namespace zq::test
