// The delay line's way out: frames that wait for their time at one uplink, and the packet socket
// through which they then go on. Belongs to the line's thread.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <limits>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/unique_fd.h"
#include "agent/dataplane/delay_line_counters.h"
#include "agent/dataplane/delay_line_pool.h"
#include "agent/dataplane/uplink.h"

namespace zq {

struct HeldFrame {
  std::int64_t release_ns = 0;  // CLOCK_MONOTONIC
  std::uint64_t number = 0;     // frames due at the same time go in the order of arrival
  FramePool::Chunk chunk = FramePool::kNone;  // the first; data begins at the corrected header
  std::uint32_t size = 0;                     // with the virtio header, without the steering tag
  std::uint16_t class_id = 0;
  std::uint16_t attempts = 0;
};

class LineUplink {
 public:
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

  // In the calling thread's network namespace. `pool` and `counters` outlive the uplink.
  static Result<LineUplink> open(const Uplink& uplink, FramePool& pool, LineCounters& counters);

  void hold(const HeldFrame& frame);
  // Sends frames that are due, a bounded number of them.
  void send_due(std::int64_t now_ns);
  // When send_due() has something to do next.
  [[nodiscard]] std::int64_t next_event_ns() const;
  // Gives up everything that is held.
  void discard();

 private:
  LineUplink(UniqueFd socket, FramePool& pool, LineCounters& counters);
  void collect(std::int64_t now_ns);
  void describe_messages();
  void finish(std::size_t frames, bool sent);
  void handle(int error, std::int64_t now_ns);
  void release(const HeldFrame& frame);

  UniqueFd socket_;
  FramePool* pool_;
  LineCounters* counters_;
  std::vector<HeldFrame> waiting_;  // heap, the earliest in front
  std::vector<HeldFrame> due_;      // in order, being sent
  std::int64_t retry_ns_ = 0;       // not before
  std::vector<mmsghdr> messages_;
  std::vector<iovec> parts_;
};

}  // namespace zq
