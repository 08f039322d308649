#include "agent/path_latency.h"

#include <algorithm>
#include <bit>

namespace zq {
namespace {

// Buckets of distances from the origin: 1 ns wide below 2^11, then 1024 in each octave until they
// are 2^15 ns wide, then all of that width. A bucket stands for its middle.
constexpr unsigned kExactBits = 11;
constexpr unsigned kOctaveBits = 10;
constexpr unsigned kWidestBits = 15;
constexpr unsigned kLinearBits = kWidestBits + kOctaveBits + 1;  // where they stop to grow: 67 ms
constexpr std::int64_t kLinearBegin =
    (std::int64_t{1} << kExactBits) + std::int64_t{kLinearBits - kExactBits} * (1 << kOctaveBits);
constexpr std::int64_t kFurthest = (std::int64_t{1} << 37) - 1;

std::int64_t bucket_of(std::int64_t distance) {
  if (distance < std::int64_t{1} << kExactBits) return distance;
  if (distance >= std::int64_t{1} << kLinearBits) {
    return kLinearBegin + ((distance - (std::int64_t{1} << kLinearBits)) >> kWidestBits);
  }
  const auto octave =
      static_cast<unsigned>(std::bit_width(static_cast<std::uint64_t>(distance))) - 1;
  const std::int64_t within = (distance >> (octave - kOctaveBits)) - (1 << kOctaveBits);
  return (std::int64_t{1} << kExactBits) + std::int64_t{octave - kExactBits} * (1 << kOctaveBits) +
         within;
}

std::int64_t middle_of(std::int64_t bucket) {
  if (bucket < std::int64_t{1} << kExactBits) return bucket;
  if (bucket >= kLinearBegin) {
    return (std::int64_t{1} << kLinearBits) + ((bucket - kLinearBegin) << kWidestBits) +
           (std::int64_t{1} << (kWidestBits - 1));
  }
  const std::int64_t above = bucket - (std::int64_t{1} << kExactBits);
  const auto shift = static_cast<unsigned>(above >> kOctaveBits) + kExactBits - kOctaveBits;
  const std::int64_t within = (above & ((1 << kOctaveBits) - 1)) + (1 << kOctaveBits);
  return (within << shift) + (std::int64_t{1} << (shift - 1));
}

std::uint64_t nearest_rank(std::uint64_t count, unsigned percent) {
  return std::max<std::uint64_t>(1, (count * percent + 99) / 100);
}

}  // namespace

void LatencyHistogram::add(std::int64_t value_ns) {
  if (count_ == 0) {
    zero_ns_ = origin_ == Origin::kFirstValue ? value_ns : 0;
    min_ns_ = max_ns_ = value_ns;
  }
  ++count_;
  min_ns_ = std::min(min_ns_, value_ns);
  max_ns_ = std::max(max_ns_, value_ns);
  const std::int64_t off = std::clamp(value_ns - zero_ns_, -kFurthest, kFurthest);
  // Below the origin buckets go on as -1, -2, ...
  const std::int64_t bucket = off >= 0 ? bucket_of(off) : -1 - bucket_of(-off);
  const std::int64_t page = bucket >= 0 ? bucket / kPage : -1 - (-1 - bucket) / kPage;
  ++pages_[page][static_cast<std::size_t>(bucket - page * kPage)];
}

void LatencyHistogram::clear() {
  count_ = 0;
  pages_.clear();
}

std::int64_t LatencyHistogram::at_rank(std::uint64_t rank) const {
  std::uint64_t seen = 0;
  for (const auto& [page, counts] : pages_) {
    for (std::size_t i = 0; i < counts.size(); ++i) {
      seen += counts[i];
      if (seen < rank) continue;
      const std::int64_t bucket = page * kPage + static_cast<std::int64_t>(i);
      const std::int64_t off = bucket >= 0 ? middle_of(bucket) : -middle_of(-1 - bucket);
      return std::clamp(zero_ns_ + off, min_ns_, max_ns_);
    }
  }
  return max_ns_;
}

LatencyFigures LatencyHistogram::figures() const {
  if (count_ == 0) return {};
  return {count_,
          min_ns_,
          at_rank(nearest_rank(count_, 50)),
          at_rank(nearest_rank(count_, 90)),
          at_rank(nearest_rank(count_, 99)),
          max_ns_};
}

}  // namespace zq
