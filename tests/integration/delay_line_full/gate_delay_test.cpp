// Delay end to end: a programme in the gates of two nodes, queues behind them (netem or the delay
// line, whatever the kernel has), and what pings and datagrams then take, asked against measured.
#include <array>
#include <cstdio>

#include "tests/integration/dataplane/two_nodes.h"
#include "tests/integration/delay_line/forked.h"
#include "tests/integration/delay_line/one_way.h"

namespace zq::test {
namespace {

constexpr double kMedianError = 0.3;  // ms over the floor, one way
constexpr auto kLease = 3s;

Impairment delayed(Nanos delay, Nanos jitter = {},
                   Distribution distribution = Distribution::kUniform) {
  Impairment impairment;
  impairment.delay = delay;
  impairment.jitter = jitter;
  impairment.distribution = distribution;
  return impairment;
}

// Impairs everything that goes out to the group, for long enough.
GateProgramme impair(std::uint32_t group, const Impairment& impairment) {
  GateProgramme programme;
  GateRule rule{FlowDirection::kEgress, group, {}};
  GateRule::Segment segment;
  segment.from = mono_now();
  segment.until = segment.from + 10min;
  segment.treatment = Treatment::kImpair;
  rule.segments = {segment};
  programme.rules = {rule};
  programme.impairments = {impairment};
  return programme;
}

// Round trips as ping(8) tells them, in ms.
std::vector<double> ping(const TestNetns& from, const std::string& address, int count) {
  const std::string command = fmt::format("ping -n -c {} -i 0.01 -W 3 {}", count, address);
  return from.run([&] {
    std::vector<double> times;
    FILE* output = ::popen(command.c_str(), "r");
    if (output == nullptr) throw std::runtime_error(command);
    std::array<char, 512> line{};
    while (std::fgets(line.data(), line.size(), output) != nullptr) {
      const char* time = std::strstr(line.data(), "time=");
      if (time != nullptr) times.push_back(std::strtod(time + 5, nullptr));
    }
    ::pclose(output);
    return times;
  });
}

double median(std::vector<double> values) {
  if (values.empty()) throw std::runtime_error("no reply");
  std::ranges::sort(values);
  return values[values.size() / 2];
}

struct GatesAtBothEnds {
  TwoNodes nodes;
  TempDir state_b;
  Gate at_a = nodes.attach();
  Gate at_b = value_of(nodes.b.run([&] {
    GateConfig config = nodes.config();
    config.own_group = 1;
    config.uplinks = {{"up0", nodes.b.device_index("up0")}};
    return Gate::attach(config, state_b.path());
  }));

  GatesAtBothEnds() {
    EXPECT_TRUE(value_of(at_a.renew_lease(10min)));
    EXPECT_TRUE(value_of(at_b.renew_lease(10min)));
  }
  void impair_both_ways(const Impairment& impairment) {
    check(at_a.load(impair(1, impairment)));
    check(at_b.load(impair(0, impairment)));
  }
  // What the queues of both say, for a message.
  [[nodiscard]] std::string queues() const {
    std::string text;
    for (const Gate* gate : {&at_a, &at_b}) {
      for (const QueueState& queue : value_of(gate->queues())) {
        text += fmt::format("{} in group {}'s queue {}: sent {}, inside {}, dropped {}\n",
                            queue.lane, queue.queue.group, queue.queue.id, queue.sent_packets,
                            queue.backlog_packets, queue.dropped_packets);
      }
      for (const std::string& violation : value_of(gate->violations())) text += violation + "\n";
    }
    return text;
  }
};

class GateDelay : public ::testing::TestWithParam<bool> {
 protected:
  // In one direction: from `a`, or from `b`.
  [[nodiscard]] OneWay measure(bool from_a, const OneWayPlan& plan = {}) const {
    const char* a = GetParam() ? TwoNodes::kA6 : TwoNodes::kA4;
    const char* b = GetParam() ? TwoNodes::kB6 : TwoNodes::kB4;
    return from_a ? measure_one_way(ends.nodes.a, a, ends.nodes.b, b, plan)
                  : measure_one_way(ends.nodes.b, b, ends.nodes.a, a, plan);
  }
  [[nodiscard]] double ping_median() const {
    const auto replies = ping(ends.nodes.a, GetParam() ? TwoNodes::kB6 : TwoNodes::kB4, 50);
    EXPECT_EQ(replies.size(), 50U);
    return median(replies);
  }
  GatesAtBothEnds ends;
};

TEST_P(GateDelay, IsWhatWasAskedInBothDirections) {
  const double floors[] = {measure(false).median(), measure(true).median()};
  const double floor_of_ping = ping_median();
  for (const auto delay : {1ms, 10ms, 100ms, 500ms}) {
    ends.impair_both_ways(delayed(delay));
    const auto asked = static_cast<double>(delay.count());
    for (const bool from_a : {true, false}) {
      const double expected = floors[from_a ? 1 : 0] + asked;
      const OneWay got = measure_median([&] { return measure(from_a); }, expected, kMedianError);
      ASSERT_EQ(got.lost(), 0U) << asked << " from a " << from_a << "\n" << ends.queues();
      EXPECT_NEAR(got.median(), expected, kMedianError) << ends.queues();
      EXPECT_GE(got.quantile(0), asked) << "released before its time";
    }
    EXPECT_NEAR(ping_median() - floor_of_ping, 2 * asked, 2 * kMedianError) << ends.queues();
  }
  for (const Gate* gate : {&ends.at_a, &ends.at_b}) {
    EXPECT_THAT(value_of(gate->violations()), ::testing::IsEmpty());
    std::uint64_t sent = 0;
    for (const QueueState& queue : value_of(gate->queues())) {
      EXPECT_EQ(queue.dropped_packets, 0U);
      sent += queue.sent_packets;
    }
    EXPECT_GE(sent, 4 * (200U + 50U));
  }
}

TEST_P(GateDelay, JitterHasItsMeanAndSpread) {
  const double floors[] = {measure(false).median(), measure(true).median()};
  ends.impair_both_ways(delayed(30ms, 5ms, Distribution::kNormal));
  OneWayPlan plan;  // flows apart, because order is kept within one
  plan.packets = 2000;
  plan.interval = 500us;
  plan.flows = 200;
  for (const bool from_a : {true, false}) {
    const OneWay got = measure(from_a, plan);
    EXPECT_EQ(got.lost(), 0U) << ends.queues();
    EXPECT_NEAR(got.mean() - floors[from_a ? 1 : 0], 30, 0.3 + 3 * 5 / std::sqrt(2000.0));
    EXPECT_NEAR(got.deviation(), 5, 0.5);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, GateDelay, ::testing::Bool(),
                         [](const auto& family) { return family.param ? "IPv6" : "IPv4"; });

// The process is gone, its filters stay, and packets go on without delay within the lease.
TEST(GateDelayKilled, TrafficGoesOnUndelayedWithinTheLease) {
  TwoNodes nodes;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  Forked child([&] {
    Gate gate = nodes.attach();
    (void)gate.renew_lease(kLease);
    const bool loaded = gate.load(impair(1, delayed(50ms))).has_value();
    (void)!::write(ready[1], &loaded, sizeof loaded);
    for (;;) {
      (void)gate.renew_lease(kLease);
      std::this_thread::sleep_for(kLease / 3);
    }
  });
  bool loaded = false;
  EXPECT_EQ(::read(ready[0], &loaded, sizeof loaded), static_cast<ssize_t>(sizeof loaded));
  EXPECT_TRUE(loaded);
  ::close(ready[0]);
  ::close(ready[1]);
  OneWayPlan plan;
  plan.packets = 50;
  EXPECT_NEAR(measure_one_way(nodes.a, TwoNodes::kA4, nodes.b, TwoNodes::kB4, plan).median(), 50,
              1.0);
  const MonoTime killed = mono_now();
  child.kill();
  // Whole measurements, so that nothing that is lost or late goes unseen; each takes some 150 ms.
  OneWay after;
  EXPECT_TRUE(wait_until(
      [&] {
        after = measure_one_way(nodes.a, TwoNodes::kA4, nodes.b, TwoNodes::kB4, plan);
        return after.lost() == 0 && after.median() < 1.0;
      },
      4500ms));
  EXPECT_LT(mono_now() - killed, kLease + 1500ms);
  nodes.a.run([&] {
    EXPECT_THAT(value_of(clean_leftovers(nodes.state.path())),
                ::testing::Not(::testing::IsEmpty()));
    EXPECT_EQ(::if_nametoindex("zq-egress"), 0U);
  });
  EXPECT_LT(measure_one_way(nodes.a, TwoNodes::kA4, nodes.b, TwoNodes::kB4, plan).median(), 1.0);
}

}  // namespace
}  // namespace zq::test
