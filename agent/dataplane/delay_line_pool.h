// Memory for held frames: chunks of one size in one locked mapping, so that nothing is allocated
// while packets pass, and none of it is ever swapped out.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "agent/base/error.h"

namespace zq {

class FramePool {
 public:
  using Chunk = std::uint32_t;
  static constexpr Chunk kNone = ~Chunk{0};
  // Holds an Ethernet frame of the usual size.
  static constexpr std::size_t kChunkSize = 2048;

  // `max_bytes` of address space, of which some MiB are resident from the start and the rest as it
  // is first used: the first touch of a page costs less than a packet's own system call.
  static Result<FramePool> make(std::uint64_t max_bytes);
  FramePool(FramePool&& other) noexcept;
  FramePool& operator=(FramePool&&) = delete;
  ~FramePool();

  // kNone when all are taken. The chunk freed last is taken first.
  [[nodiscard]] Chunk take();
  void give(Chunk chunk) {
    next_[chunk] = free_;
    free_ = chunk;
  }
  [[nodiscard]] std::uint8_t* data(Chunk chunk) const { return memory_ + chunk * kChunkSize; }
  // Chunks of a frame are chained.
  [[nodiscard]] Chunk next(Chunk chunk) const { return next_[chunk]; }
  void set_next(Chunk chunk, Chunk next) { next_[chunk] = next; }
  [[nodiscard]] std::size_t chunks() const { return next_.size(); }

 private:
  FramePool(std::uint8_t* memory, std::size_t chunks) : memory_(memory), next_(chunks, kNone) {}

  std::uint8_t* memory_ = nullptr;
  std::vector<Chunk> next_;
  Chunk free_ = kNone;
  std::size_t untouched_ = 0;  // chunks from here on were never taken
};

}  // namespace zq
