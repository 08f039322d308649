#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/dataplane/shaper.h"

namespace zq {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kRates[] = {1'000,         8'000,          56'000,         1'000'000,
                                    10'000'000,    100'000'000,    500'000'000,    1'000'000'000,
                                    9'999'999'999, 40'000'000'000, 100'000'000'000};
constexpr Nanos kDelays[] = {0ns, 1us, 1ms, 50ms, 500ms, 10s, 60s};

Impairment of(std::uint64_t rate_bps, Nanos delay = 0ns) {
  Impairment impairment;
  impairment.rate_bps = rate_bps;
  impairment.delay = delay;
  return impairment;
}

template <class Check>
void for_each_size(Check check) {
  for (const std::uint64_t rate : kRates) {
    for (const Nanos delay : kDelays) {
      for (const bool split : {true, false}) {
        SCOPED_TRACE(testing::Message()
                     << rate << " bit/s, " << delay.count() << " ns, split " << split);
        check(rate, delay, shaper_numbers(of(rate, delay), split));
      }
    }
  }
}

TEST(ShaperNumbers, NetemIsThereForADelayOnly) {
  EXPECT_EQ(shaper_numbers(of(1'000'000)).limit_packets, 0);
  EXPECT_GT(shaper_numbers(of(0, 1ms)).limit_packets, 1000);
  EXPECT_EQ(shaper_numbers(of(0, 1ms)).buffer_bytes, 0) << "no rate, no queue in front of it";
  Impairment corrupts;
  corrupts.corrupt = 0.1;
  EXPECT_GT(shaper_numbers(corrupts).limit_packets, 1000);
}

TEST(ShaperNumbers, TheLimitHoldsWhatArrivesWithinTheDelay) {
  for_each_size([](std::uint64_t rate, Nanos delay, const ShaperNumbers& numbers) {
    if (delay == 0ns) return;
    const double full_frames = static_cast<double>(rate) / 8 / 1514 * to_seconds(delay);
    const double in_memory = double{512 << 20} / 2304;
    EXPECT_GE(numbers.limit_packets, std::min(1.2 * full_frames, in_memory - 1));
    EXPECT_GT(numbers.limit_packets, 1000U);
    EXPECT_LE(numbers.limit_packets, in_memory) << "a queue must not eat the node's memory";
  });
}

TEST(ShaperNumbers, WithoutARateTheLimitHoldsAMillionPacketsASecond) {
  EXPECT_GE(shaper_numbers(of(0, 100ms)).limit_packets, 100'000);
  EXPECT_GE(shaper_numbers(of(0, 1ms)).limit_packets, 10'000);
}

TEST(ShaperNumbers, BurstsKeepShortMeasurementsBelowTheRate) {
  for_each_size([](std::uint64_t rate, Nanos /*delay*/, const ShaperNumbers& numbers) {
    const double bytes_per_second = static_cast<double>(rate) / 8;
    EXPECT_DOUBLE_EQ(static_cast<double>(numbers.rate_bytes_per_second),
                     std::floor(bytes_per_second));
    EXPECT_GE(numbers.burst_bytes, 1514U) << "less than a frame would hold up every frame";
    EXPECT_GE(numbers.burst_bytes, std::floor(bytes_per_second / 250)) << "a tick of HZ 250";
    EXPECT_LE(numbers.burst_bytes, std::max(1600.0, bytes_per_second * 0.011));
  });
}

TEST(ShaperNumbers, OffloadedUnitsAreCutWhereTheyTakeLong) {
  for_each_size([](std::uint64_t rate, Nanos /*delay*/, const ShaperNumbers& numbers) {
    const double milliseconds = 65536.0 * 8 * 1000 / static_cast<double>(rate);
    if (milliseconds > 1.1 || numbers.split) {
      EXPECT_GE(milliseconds, 0.9);
    }
    EXPECT_GE(numbers.buffer_bytes, numbers.split ? 10U * 1514 : 2U * 65536) << "or none gets in";
  });
  EXPECT_TRUE(shaper_numbers(of(100'000'000)).split);
  EXPECT_FALSE(shaper_numbers(of(100'000'000), false).split) << "the kernel cannot";
  EXPECT_FALSE(shaper_numbers(of(1'000'000'000)).split);
  EXPECT_FALSE(shaper_numbers(of(0, 1ms)).split);
}

TEST(ShaperNumbers, TheBufferLastsForAMomentOfTheRate) {
  for_each_size([](std::uint64_t rate, Nanos delay, const ShaperNumbers& numbers) {
    const double seconds = numbers.buffer_bytes / (static_cast<double>(rate) / 8);
    if (numbers.buffer_bytes == 512 << 20) return;  // as much memory as there is for one
    EXPECT_GE(seconds, std::max(0.099, 1.99 * to_seconds(delay)));
    if (rate >= 1'000'000 && numbers.split) {
      EXPECT_LE(seconds, std::max(0.13, 2.01 * to_seconds(delay))) << "bufferbloat";
    }
  });
}

TEST(ShaperNumbers, DrainIsTheLongestStay) {
  EXPECT_EQ(shaper_numbers(of(0, 50ms)).drain, 50ms);
  Impairment jittered = of(0, 50ms);
  jittered.jitter = 10ms;
  EXPECT_EQ(shaper_numbers(jittered).drain, 60ms);
  jittered.distribution = Distribution::kNormal;
  EXPECT_GT(shaper_numbers(jittered).drain, 70ms) << "a normal distribution has no such edge";
  EXPECT_LE(shaper_numbers(jittered).drain, 90ms) << "but netem's tables end at four times it";
  jittered.distribution = Distribution::kCustom;
  jittered.table.assign(16, 2 * 8192);
  EXPECT_EQ(shaper_numbers(jittered).drain, 70ms);
  for_each_size([](std::uint64_t rate, Nanos delay, const ShaperNumbers& numbers) {
    const double waiting = numbers.buffer_bytes / (static_cast<double>(rate) / 8);
    EXPECT_GE(to_seconds(numbers.drain), to_seconds(delay) + waiting);
  });
}

TEST(ShaperNumbers, QuantumIsAWholeOffloadedUnit) {
  for_each_size([](std::uint64_t, Nanos, const ShaperNumbers& numbers) {
    EXPECT_GE(numbers.quantum_bytes, 65536U);
    EXPECT_LE(numbers.quantum_bytes, 200'000U) << "where HTB begins to complain";
  });
}

}  // namespace
}  // namespace zq
