#include "agent/dataplane/delay_line_pool.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "agent/dataplane/delay_line_frame.h"

namespace zq {
namespace {

// 100 Mbit/s held for more than a second, or 8,000 small packets.
constexpr std::size_t kResidentBytes = std::size_t{16} << 20;

}  // namespace

Result<FramePool> FramePool::make(std::uint64_t max_bytes) {
  const std::size_t chunks = std::max<std::uint64_t>(max_bytes, kMaxFrameSize * 2) / kChunkSize;
  if (chunks >= kNone)
    return fail(ErrorCode::kInput, "a delay line cannot hold {} bytes", max_bytes);
  const std::size_t size = chunks * kChunkSize;
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    return fail_errno(errno, fmt::format("reserving {} MiB for held packets", size >> 20));
  }
  // After a fork each first write would copy its page, while packets wait.
  (void)::madvise(memory, size, MADV_DONTFORK);
  // Where locking is not granted, swapping may make packets late, and lateness is recorded.
  (void)::mlock2(memory, size, MLOCK_ONFAULT);
  (void)::mlock(memory, std::min(size, kResidentBytes));
  return FramePool(static_cast<std::uint8_t*>(memory), chunks);
}

FramePool::FramePool(FramePool&& other) noexcept
    : memory_(std::exchange(other.memory_, nullptr)),
      next_(std::move(other.next_)),
      free_(other.free_),
      untouched_(other.untouched_) {}

FramePool::~FramePool() {
  if (memory_ != nullptr) ::munmap(memory_, next_.size() * kChunkSize);
}

FramePool::Chunk FramePool::take() {
  if (free_ != kNone) return std::exchange(free_, next_[free_]);
  if (untouched_ == next_.size()) return kNone;
  return static_cast<Chunk>(untouched_++);
}

}  // namespace zq
