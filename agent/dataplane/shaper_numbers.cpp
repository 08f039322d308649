// The sizes of a queue, and why they are what they are.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "agent/dataplane/shaper.h"

namespace zq {
namespace {

// The largest unit of segmentation offload as a qdisc counts it: 64 KiB, and a header of up to 90
// bytes (Ethernet, VLAN, IPv6, TCP with timestamps) for each of its 45 segments of 1,460 bytes.
constexpr std::uint64_t kOffloadUnit = 68 << 10;
// A full frame of Ethernet with a VLAN tag, rounded up.
constexpr std::uint64_t kFrame = 1600;
constexpr std::uint64_t kSmallestFrame = 64;

// What one queue may hold. A packet of 1,500 bytes takes 2,304 of the kernel's memory.
constexpr std::uint64_t kMemory = 512ULL << 20;
constexpr std::uint64_t kMostPackets = kMemory / 2304;

// Where no rate is asked for, HTB still wants one: far above any device's, and far below the point
// where its 64-bit arithmetic ends.
constexpr std::uint64_t kUnlimited = 1'000'000'000'000 / 8;

std::uint64_t bytes_in(std::uint64_t bytes_per_second, Nanos time) {
  return static_cast<std::uint64_t>(static_cast<double>(bytes_per_second) * to_seconds(time));
}

// How far a delay may be drawn above its mean.
Nanos reach(const Impairment& impairment) {
  if (impairment.jitter == Nanos{0}) return {};
  const std::vector<std::int16_t> table = impairment.distribution == Distribution::kCustom
                                              ? impairment.table
                                              : distribution_table(impairment.distribution);
  if (table.empty()) return impairment.jitter;
  const double largest = *std::ranges::max_element(table);
  return from_seconds(to_seconds(impairment.jitter) * std::max(largest, 0.0) / 8192);
}

// netem counts packets of whatever size, drops what exceeds its limit, and that is nobody's wish.
// So it must hold whatever can arrive while the first packet waits: under a rate, twice that rate
// in the smallest frames (what is more is the rate's to drop, here or later); without one, a
// million packets a second, as one core can hardly send more. A quarter more for the kernel's own
// delays, and a margin for bursts. tc's own default of 1,000 packets is 83 ms at 150 Mbit/s.
std::uint32_t packet_limit(const Impairment& impairment, Nanos longest) {
  constexpr double kPacketsPerSecond = 1e6;
  constexpr double kBursts = 10'000;
  double per_second = kPacketsPerSecond;
  if (impairment.rate_bps > 0) {
    per_second = 2 * static_cast<double>(impairment.rate_bps) / 8 / kSmallestFrame;
  }
  const double wanted = per_second * to_seconds(longest) * 1.25 + kBursts;
  return static_cast<std::uint32_t>(std::min(wanted, double{kMostPackets}));
}

// The queue in front of a rate, in bytes, so that small packets do not wait longer than large ones:
// 100 ms as routers have it, or what is on its way there and back, which TCP needs to fill the
// rate. More would not make TCP faster, but a lost packet would hold up what came behind it for so
// much longer. Slow links get room for the ten frames that TCP begins with; where offloaded units
// stay whole, for two of these.
std::uint32_t rate_buffer(std::uint64_t rate, Nanos longest, bool split) {
  const Nanos time = std::max<Nanos>(std::chrono::milliseconds(100), 2 * longest);
  const std::uint64_t least = split ? 10 * kFrame : 2 * kOffloadUnit;
  return static_cast<std::uint32_t>(std::clamp(bytes_in(rate, time), least, kMemory));
}

}  // namespace

ShaperNumbers shaper_numbers(const Impairment& impairment, bool can_split) {
  ShaperNumbers numbers;
  const Nanos longest = impairment.delay + reach(impairment);
  const bool capped = impairment.rate_bps > 0;
  const std::uint64_t rate =
      capped ? std::max<std::uint64_t>(impairment.rate_bps / 8, 1) : kUnlimited;
  numbers.rate_bytes_per_second = rate;
  // HTB sends a unit of any size as soon as it has no debt, and then waits until the debt is paid.
  // Long units therefore cost no throughput and need no burst; but a receiver would see 64 KiB at
  // once and then nothing for half a second at 1 Mbit/s, and a short measurement would find one
  // unit too many. So they are cut into frames where one takes more than a millisecond.
  numbers.split = capped && can_split && kOffloadUnit * 1000 > rate;
  // What a class may send at once after a pause: 10 ms, which makes up for a timer that is two
  // ticks late (HZ may be 250) and is 1 % of a measurement of one second; at least one frame.
  numbers.burst_bytes =
      static_cast<std::uint32_t>(std::max(kFrame, bytes_in(rate, std::chrono::milliseconds(10))));
  // How much a class may send before the next has its turn. Classes have rates of their own and
  // lend each other nothing, so that this decides about the order of packets alone.
  numbers.quantum_bytes = kOffloadUnit;
  numbers.drain = longest;
  if (impairment.delay > Nanos{0} || impairment.corrupt > 0 || impairment.reorder > 0) {
    numbers.limit_packets = packet_limit(impairment, longest);
  }
  if (capped) {
    numbers.buffer_bytes = rate_buffer(rate, longest, numbers.split);
    const std::uint64_t held = numbers.buffer_bytes + (numbers.split ? kFrame : kOffloadUnit);
    numbers.drain += from_seconds(static_cast<double>(held) / static_cast<double>(rate));
  }
  return numbers;
}

}  // namespace zq
