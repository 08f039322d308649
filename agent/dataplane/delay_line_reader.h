// The delay line's way in: frames from the TAP, read straight into the pool. Belongs to the line's
// thread.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>
#include <vector>

#include "agent/dataplane/delay_line_pool.h"

namespace zq {

class LineReader {
 public:
  // `fd` is a non-blocking TAP; `pool` outlives the reader and must have room for a frame.
  LineReader(int fd, FramePool& pool);

  enum class Outcome {
    kFrame,
    kNothing,  // for now
    kLost,     // a frame that the kernel could not express as offloaded
    kGone,     // the device was removed: nothing will come any more
  };
  // A frame stays until the next read unless it is kept.
  [[nodiscard]] Outcome read();
  // The frame's beginning with all of its headers, writable.
  [[nodiscard]] std::span<std::uint8_t> head() const;
  [[nodiscard]] std::size_t size() const { return size_; }
  // The chain of chunks that holds the frame now belongs to the caller; kNone when the pool is
  // exhausted: the frame is lost.
  [[nodiscard]] FramePool::Chunk keep();

 private:
  int fd_;
  FramePool* pool_;
  std::vector<FramePool::Chunk> chunks_;  // room for the longest frame
  std::vector<iovec> parts_;              // the same as memory
  std::vector<FramePool::Chunk> fresh_;   // to take the place of those that are kept
  std::size_t size_ = 0;
};

}  // namespace zq
