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

TEST(ClockFilter, KnowsNothingBeforeTheFirstExchange) {
  EXPECT_FALSE(ClockFilter().estimate(mono_from_ns(0)));
}

TEST(ClockFilter, TrueOffsetLiesInsideTheUncertaintyWhateverTheDelays) {
  std::mt19937_64 random(7);
  std::uniform_int_distribution<std::int64_t> delay(1'000, 5'000'000);
  for (int round = 0; round < 200; ++round) {
    const std::int64_t offset = delay(random) * 1000 - 2'000'000'000;
    ClockFilter filter;
    for (int i = 0; i < 20; ++i) {
      filter.add(exchange(i * 10'000'000, offset, delay(random), delay(random), delay(random)));
    }
    const auto estimate = filter.estimate(mono_from_ns(200'000'000));
    ASSERT_TRUE(estimate);
    EXPECT_LE(std::abs(estimate->offset.count() - offset), estimate->uncertainty.count() + 1);
  }
}

TEST(ClockFilter, SmallestRoundTripWins) {
  ClockFilter filter;
  filter.add(exchange(0, 500, 9'000, 10, 1'000));
  filter.add(exchange(100'000, 500, 100, 10, 100));
  filter.add(exchange(200'000, 500, 1'000, 10, 9'000));
  const auto estimate = filter.estimate(mono_from_ns(100'000));
  EXPECT_NEAR(static_cast<double>(estimate->offset.count()), 500, 5);
  EXPECT_NEAR(static_cast<double>(estimate->uncertainty.count()), 100, 5);
}

TEST(ClockFilter, OldExchangesDoNotOutliveDrift) {
  ClockFilter filter;
  filter.add(exchange(0, 0, 1, 0, 1));  // the best there ever was
  for (std::size_t i = 0; i < ClockFilter::kRecent; ++i) {
    filter.add(exchange(static_cast<std::int64_t>(i) * 1000, 700, 50, 0, 50));
  }
  EXPECT_EQ(filter.estimate(mono_from_ns(64'000))->offset.count(), 700);
}

TEST(ClockFilter, IgnoresExchangesThatNoSaneClockMakes) {
  ClockFilter filter;
  filter.add({.sent_ns = 10, .remote_received_ns = 0, .remote_sent_ns = 100, .received_ns = 20});
  filter.add({.sent_ns = 10, .remote_received_ns = 5, .remote_sent_ns = 0, .received_ns = 20});
  filter.add({.sent_ns = 30, .remote_received_ns = 0, .remote_sent_ns = 0, .received_ns = 20});
  EXPECT_FALSE(filter.estimate(mono_from_ns(30)));
}

// Exchanges every 250 ms with a clock that drifts, with round trips between 0.1 and 20 ms.
TEST(ClockFilter, TrueOffsetLiesInsideTheUncertaintyWhileClocksDrift) {
  std::mt19937_64 random(11);
  std::uniform_int_distribution<std::int64_t> delay(50'000, 10'000'000);
  for (const double ppm : {-500.0, -20.0, 0.0, 100.0, 500.0}) {
    for (const int exchanges : {1, 2, 3, 8, 200}) {
      ClockFilter filter;
      const auto offset_at = [&](std::int64_t instant) {
        return 7'000'000'000 + static_cast<std::int64_t>(static_cast<double>(instant) * ppm * 1e-6);
      };
      std::int64_t now = 0;
      for (int i = 0; i < exchanges; ++i, now += 250'000'000) {
        filter.add(exchange(now, offset_at(now), delay(random), 1000, delay(random)));
      }
      for (const std::int64_t ahead : {0LL, 1'500'000'000LL, 60'000'000'000LL}) {
        const auto estimate = filter.estimate(mono_from_ns(now))->at(mono_from_ns(now + ahead));
        EXPECT_LE(std::abs(estimate.offset.count() - offset_at(now + ahead)),
                  estimate.uncertainty.count() + 20'000)  // the drift during an exchange
            << ppm << " ppm, " << exchanges << " exchanges, " << ahead << " ns ahead";
      }
    }
  }
}

TEST(ClockFilter, DriftIsMeasuredAfterAWhile) {
  ClockFilter filter;
  for (std::int64_t i = 0; i < 64; ++i) {
    const std::int64_t now = i * 250'000'000;
    filter.add(exchange(now, now / 2000, 100'000, 0, 100'000));  // 500 ppm
  }
  const auto estimate = filter.estimate(mono_from_ns(16'000'000'000 + 1'500'000'000));
  EXPECT_NEAR(estimate->drift, 500e-6, 20e-6);
  EXPECT_NEAR(static_cast<double>(estimate->offset.count()), 17'500'000'000 * 500e-6, 50'000);
  EXPECT_LT(estimate->uncertainty, std::chrono::microseconds(150));
}

}  // namespace
}  // namespace zq
