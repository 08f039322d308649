// How long each packet is held: drawn as sch_netem draws it, so that an experiment means the same
// on every kernel.
#pragma once

#include <cstdint>
#include <vector>

#include "agent/base/impairment.h"
#include "agent/base/time.h"

namespace zq {

// What a class does to its packets.
struct LineDelay {
  std::int64_t delay_ns = 0;
  std::int64_t jitter_ns = 0;
  std::uint32_t correlation = 0;    // of successive draws, scaled to 2^32 - 1
  std::vector<std::int16_t> table;  // empty = uniform
};
[[nodiscard]] LineDelay line_delay(const Impairment& impairment);

// Uniform numbers (splitmix64); not for secrets.
class LineRandom {
 public:
  explicit LineRandom(std::uint64_t seed) : state_(seed) {}
  std::uint32_t next();

 private:
  std::uint64_t state_;
};

// A class's memory of its last draw, for correlation.
struct LineDrawState {
  std::uint32_t last = 0;
};

// The delay of the next packet in ns; never negative.
[[nodiscard]] std::int64_t draw_delay(const LineDelay& delay, LineDrawState& state,
                                      LineRandom& random);

}  // namespace zq
