// Latencies of a stage in bounded memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>

namespace zq {

// Percentiles by nearest rank. All 0 when count is.
struct LatencyFigures {
  std::uint64_t count = 0;
  std::int64_t min_ns = 0, p50_ns = 0, p90_ns = 0, p99_ns = 0, max_ns = 0;
};

// Counts, least and largest value are exact. A percentile is off by at most 0.05 % of its distance
// from the origin, and by at most 16.4 us whatever that is. Values further than 137 s from the
// origin are counted, but are not told apart. Memory grows with the spread of the values: 0.5 KiB
// for each 128 buckets that are used, in all at most 136 times that, and once for each 4.2 ms of
// spread beyond 67 ms.
class LatencyHistogram {
 public:
  enum class Origin {
    kZero,        // for round trips
    kFirstValue,  // for differences of two unrelated clocks, which may be days
  };
  explicit LatencyHistogram(Origin origin) : origin_(origin) {}

  void add(std::int64_t value_ns);
  void clear();
  [[nodiscard]] LatencyFigures figures() const;

 private:
  static constexpr std::int64_t kPage = 128;

  [[nodiscard]] std::int64_t at_rank(std::uint64_t rank) const;

  Origin origin_;
  std::int64_t zero_ns_ = 0;
  std::uint64_t count_ = 0;
  std::int64_t min_ns_ = 0, max_ns_ = 0;
  std::map<std::int64_t, std::array<std::uint32_t, kPage>> pages_;
};

}  // namespace zq
