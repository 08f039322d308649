#include "controller/fleet/clock_filter.h"

#include <gtest/gtest.h>

#include <random>

namespace zq {
namespace {

// An exchange with a remote clock that is `offset` ahead, with the given one-way delays.
ClockExchange exchange(std::int64_t sent, std::int64_t offset, std::int64_t there,
                       std::int64_t inside, std::int64_t back) {
  const std::int64_t received_there = sent + there + offset;
  return {.sent_ns = sent,
          .remote_received_ns = received_there,
          .remote_sent_ns = received_there + inside,
          .received_ns = sent + there + inside + back};
}

TEST(ClockFilter, KnowsNothingBeforeTheFirstExchange) { EXPECT_FALSE(ClockFilter().estimate()); }

TEST(ClockFilter, TrueOffsetLiesInsideTheUncertaintyWhateverTheDelays) {
  std::mt19937_64 random(7);
  std::uniform_int_distribution<std::int64_t> delay(1'000, 5'000'000);
  for (int round = 0; round < 200; ++round) {
    const std::int64_t offset = delay(random) * 1000 - 2'000'000'000;
    ClockFilter filter;
    for (int i = 0; i < 20; ++i) {
      filter.add(exchange(i * 10'000'000, offset, delay(random), delay(random), delay(random)));
    }
    const auto estimate = filter.estimate();
    ASSERT_TRUE(estimate);
    EXPECT_LE(std::abs(estimate->offset.count() - offset), estimate->uncertainty.count() + 1);
  }
}

TEST(ClockFilter, SmallestRoundTripWins) {
  ClockFilter filter;
  filter.add(exchange(0, 500, 9'000, 10, 1'000));
  filter.add(exchange(100'000, 500, 100, 10, 100));
  filter.add(exchange(200'000, 500, 1'000, 10, 9'000));
  EXPECT_EQ(filter.estimate()->offset.count(), 500);
  EXPECT_EQ(filter.estimate()->uncertainty.count(), 100);
}

TEST(ClockFilter, OldExchangesDoNotOutliveDrift) {
  ClockFilter filter;
  filter.add(exchange(0, 0, 1, 0, 1));  // the best there ever was
  for (std::size_t i = 0; i < ClockFilter::kRecent; ++i) {
    filter.add(exchange(static_cast<std::int64_t>(i) * 1000, 700, 50, 0, 50));
  }
  EXPECT_EQ(filter.estimate()->offset.count(), 700);
}

TEST(ClockFilter, IgnoresExchangesThatNoSaneClockMakes) {
  ClockFilter filter;
  filter.add({.sent_ns = 10, .remote_received_ns = 0, .remote_sent_ns = 100, .received_ns = 20});
  filter.add({.sent_ns = 10, .remote_received_ns = 5, .remote_sent_ns = 0, .received_ns = 20});
  filter.add({.sent_ns = 30, .remote_received_ns = 0, .remote_sent_ns = 0, .received_ns = 20});
  EXPECT_FALSE(filter.estimate());
}

}  // namespace
}  // namespace zq
