// Delay in user space, for kernels without sch_netem (DESIGN 4.5). Frames come out of a TAP device
// (offloads intact), are held by a real-time thread for as long as their class says, and go on
// through the uplink's own root qdisc by a packet socket with SO_MARK = ZQ_LINE_MARK, by which the
// egress gate knows them as second pass.
//
// Steering tags a frame (outer 802.1ad tag, taken off again): TCI = uplink slot << 10 | class id.
// Order is kept per flow. While the thread serves its queue it moves the liveness stamp on, to now
// + 100 ms each time; when it does not, the gate stops steering and the run is invalid.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/dataplane/gate_rule.h"
#include "agent/dataplane/uplink.h"

namespace zq {

inline constexpr Nanos kLineLiveness = std::chrono::milliseconds(100);

struct DelayLineStats {
  std::uint64_t forwarded_packets = 0, forwarded_bytes = 0;
  std::uint64_t send_errors = 0;   // refused by the uplink: lost, nobody asked for that
  std::uint64_t overflowed = 0;    // more held than max_bytes allows: lost
  std::uint64_t held_packets = 0;  // now
  std::uint64_t discarded = 0;     // still held when it was stopped
  Nanos worst_lateness{};          // of a frame, since the start
  bool realtime = false;           // whether SCHED_FIFO was granted
};

class DelayLine {
 public:
  struct Options {
    std::string device = "zq-egress";
    std::vector<Uplink> uplinks;  // by slot, at most 16
    int liveness_map_fd = -1;     // array map with one u64
    std::uint64_t max_bytes = 512ULL << 20;
  };
  // Makes the TAP device (it goes with this object, or with the process) and starts the thread. In
  // the network namespace of the calling thread.
  static Result<std::unique_ptr<DelayLine>> start(const Options& options);
  ~DelayLine();  // stops at once; what is held is lost
  DelayLine(const DelayLine&) = delete;
  DelayLine& operator=(const DelayLine&) = delete;

  // Replaces the classes as a whole; frames already held keep the time they were given. A frame of
  // an unknown class goes on at once.
  void set_classes(const std::vector<QueueClass>& classes);
  [[nodiscard]] unsigned device_index() const;
  [[nodiscard]] DelayLineStats stats() const;
  // Packets forwarded and held of one class.
  struct ClassCount {
    std::uint16_t id = 0;
    std::uint64_t forwarded_packets = 0, forwarded_bytes = 0, held_packets = 0;
  };
  [[nodiscard]] std::vector<ClassCount> class_counts() const;

 private:
  class Impl;
  explicit DelayLine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace zq
