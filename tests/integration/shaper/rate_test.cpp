// Rates, measured with real TCP.
#include "tests/integration/shaper/lane_fixture.h"
#include "tests/integration/shaper/traffic.h"

namespace zq::test {
namespace {

struct RateCase {
  std::uint64_t bits_per_second;
  FlowDirection direction;
  bool v6;
};

class Rate : public testing::TestWithParam<RateCase> {};

TEST_P(Rate, TcpGetsNearlyAllOfItAndNoMore) {
  const auto& [cap, direction, v6] = GetParam();
  const LaneNodes nodes;
  nodes.put_stamp(direction, 7);
  Shaper shaper = nodes.shaper();
  check(shaper.prepare({queue(7, rate(cap), direction)}));
  EXPECT_THAT(value_of(shaper.violations()), testing::IsEmpty());
  const bool out = direction == kEgress;
  // Never more; nearly all of it where nothing else keeps the machine from it.
  constexpr int kAttempts = 4;
  double best = 0;
  for (int attempt = 0; attempt < kAttempts && best < 0.90 * static_cast<double>(cap); ++attempt) {
    const double goodput = tcp_goodput(
        out ? nodes.a : nodes.b, out ? nodes.b : nodes.a,
        out ? (v6 ? LaneNodes::kB6 : LaneNodes::kB4) : (v6 ? LaneNodes::kA6 : LaneNodes::kA4),
        2000ms);
    EXPECT_LE(goodput, 1.00 * static_cast<double>(cap));
    best = std::max(best, goodput);
  }
  EXPECT_GE(best, 0.90 * static_cast<double>(cap));
  const QueueState state = state_of(shaper, 7);
  EXPECT_EQ(state.lane, "htb");
  EXPECT_GE(static_cast<double>(state.sent_bytes), best / 8 * 1.9);
  EXPECT_EQ(state.dropped_packets, 0) << "what the rate drops is excess, as asked for";
  check(shaper.remove(3s));
}

INSTANTIATE_TEST_SUITE_P(Rates, Rate,
                         testing::Values(RateCase{1'000'000, kEgress, false},
                                         RateCase{10'000'000, kEgress, true},
                                         RateCase{100'000'000, kEgress, false},
                                         RateCase{1'000'000, kIngress, true},
                                         RateCase{100'000'000, kIngress, false}));

TEST(Rates, OtherTrafficIsNotDisturbed) {
  constexpr std::int32_t kMarked = 0x51;
  const LaneNodes nodes;
  nodes.put_stamp(kEgress, 3, kMarked);
  Shaper shaper = nodes.shaper();
  check(shaper.prepare({queue(3, rate(1'000'000))}));
  const Echo echo(nodes.b, LaneNodes::kB4, 7000);
  double shaped = 0;
  std::thread flood(
      [&] { shaped = tcp_goodput(nodes.a, nodes.b, LaneNodes::kB4, 1500ms, kMarked); });
  const double free = tcp_goodput(nodes.a, nodes.b, LaneNodes::kB6, 500ms);
  const Nanos round_trip = median_round_trip(nodes.a, LaneNodes::kA4, LaneNodes::kB4, 7000);
  flood.join();
  EXPECT_LE(shaped, 1e6);
  EXPECT_GE(shaped, 0.5e6);
  EXPECT_GE(free, 100e6);
  EXPECT_LT(round_trip, 50ms) << "a packet of the flood waits for 128 ms";
}

TEST(Rates, ClassesHaveTheRateThatWasAskedForUpTo100Gbit) {
  const LaneNodes nodes;
  nodes.make_clsact();
  Shaper shaper = nodes.shaper();
  check(shaper.prepare({queue(1, rate(8'000)), queue(2, rate(1'234'567'000)),
                        queue(3, rate(40'000'000'000)), queue(1000, rate(100'000'000'000))}));
  const std::string classes = nodes.tc("-d class show dev zq-egress");
  EXPECT_THAT(classes,
              testing::AllOf(testing::HasSubstr("7a71:1 root leaf"),
                             testing::HasSubstr("rate 8Kbit"), testing::HasSubstr("rate 1234Mbit"),
                             testing::HasSubstr("rate 40Gbit"), testing::HasSubstr("7a71:3e8 root"),
                             testing::HasSubstr("rate 100Gbit ceil 100Gbit")));
  for (const QueueState& state : value_of(shaper.state())) {
    EXPECT_GT(state.burst_bytes, 1514U);
    EXPECT_GT(state.buffer_bytes, 10U * 1514);
    EXPECT_EQ(state.limit_packets, 0U) << "no netem, no limit in packets";
  }
  EXPECT_THAT(value_of(shaper.violations()), testing::IsEmpty());
}

}  // namespace
}  // namespace zq::test
