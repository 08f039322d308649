#include "agent/dataplane/delay_line_reader.h"

#include <algorithm>
#include <cerrno>

#include "agent/dataplane/delay_line_frame.h"

namespace zq {

LineReader::LineReader(int fd, FramePool& pool) : fd_(fd), pool_(&pool) {
  constexpr std::size_t kParts = kMaxFrameSize / FramePool::kChunkSize + 1;
  for (std::size_t i = 0; i < kParts; ++i) {
    chunks_.push_back(pool.take());
    parts_.push_back({pool.data(chunks_.back()), FramePool::kChunkSize});
  }
  fresh_.resize(kParts);
}

LineReader::Outcome LineReader::read() {
  const ssize_t size = ::readv(fd_, parts_.data(), static_cast<int>(parts_.size()));
  if (size > 0) {
    size_ = static_cast<std::size_t>(size);
    return Outcome::kFrame;
  }
  size_ = 0;
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return Outcome::kNothing;
  return size < 0 && errno == EINVAL ? Outcome::kLost : Outcome::kGone;
}

std::span<std::uint8_t> LineReader::head() const {
  return {pool_->data(chunks_.front()), std::min(size_, FramePool::kChunkSize)};
}

FramePool::Chunk LineReader::keep() {
  const std::size_t used = (size_ + FramePool::kChunkSize - 1) / FramePool::kChunkSize;
  for (std::size_t i = 0; i < used; ++i) {
    fresh_[i] = pool_->take();
    if (fresh_[i] == FramePool::kNone) {
      while (i > 0) pool_->give(fresh_[--i]);
      return FramePool::kNone;
    }
  }
  const FramePool::Chunk first = chunks_.front();
  for (std::size_t i = 0; i < used; ++i) {
    pool_->set_next(chunks_[i], i + 1 < used ? chunks_[i + 1] : FramePool::kNone);
    chunks_[i] = fresh_[i];
    parts_[i].iov_base = pool_->data(fresh_[i]);
  }
  return first;
}

}  // namespace zq
