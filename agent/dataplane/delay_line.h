// Delay in user space, for kernels without sch_netem (DESIGN 4.5). Frames come out of a TAP device
// (offloads intact), are held by a real-time thread for as long as their class says, and go on
// through the uplink's own root qdisc by a packet socket with SO_MARK = ZQ_LINE_MARK, by which the
// egress gate knows them as second pass.
//
// Steering tags a frame (outer 802.1ad tag, taken off again): TCI = uplink slot << 10 | class id.
// Order is kept per flow, whatever the jitter and also when its class changes: a flow's next frame
// is never released before its predecessor. While the thread serves its queue it moves the liveness
// stamp on, to now + 100 ms each time; when it does not, the gate stops steering and the run is
// invalid. What a packet loses on the way is its skb's priority and mark, and pacing times.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/dataplane/capability_report.h"
#include "agent/dataplane/gate_rule.h"
#include "agent/dataplane/uplink.h"

namespace zq {

inline constexpr Nanos kLineLiveness = std::chrono::milliseconds(100);
inline constexpr std::size_t kMaxLineUplinks = 16;

struct DelayLineStats {
  std::uint64_t forwarded_packets = 0, forwarded_bytes = 0;
  std::uint64_t send_errors = 0;   // refused by the uplink: lost, nobody asked for that
  std::uint64_t send_retries = 0;  // the uplink was full or memory short: sent later
  // More held than max_bytes allows, or more coming than the thread could read: lost.
  std::uint64_t overflowed = 0;
  std::uint64_t held_packets = 0;  // now
  std::uint64_t discarded = 0;     // still held when it was stopped
  Nanos worst_lateness{};          // of a frame, since the start
  bool realtime = false;           // whether SCHED_FIFO was granted
  bool serving = false;            // the thread runs and is not behind, and the device is there
};

class DelayLine {
 public:
  struct Options {
    std::string device = "zq-egress";
    std::vector<Uplink> uplinks;  // by slot, at most kMaxLineUplinks
    int liveness_map_fd = -1;     // array map with one u64; -1 = none
    std::uint64_t max_bytes = 512ULL << 20;
  };
  // Makes the TAP device (it goes with this object, or with the process) and starts the thread. In
  // the network namespace of the calling thread. Needs CAP_NET_ADMIN and CAP_NET_RAW.
  static Result<std::unique_ptr<DelayLine>> start(const Options& options);
  ~DelayLine();  // stop()
  DelayLine(const DelayLine&) = delete;
  DelayLine& operator=(const DelayLine&) = delete;

  // Ends the liveness stamp, then the thread; what is held is lost and counted. Idempotent. The
  // device stays until the destruction, and takes no more packets in than its ring holds.
  void stop();

  // Replaces the classes as a whole; frames already held keep the time they were given. A frame of
  // an unknown class goes on at once. Frames that are read after the return are held by the new
  // classes. Not at the same time as itself or class_counts().
  void set_classes(const std::vector<QueueClass>& classes);
  [[nodiscard]] unsigned device_index() const;
  [[nodiscard]] DelayLineStats stats() const;
  // Packets forwarded and held of one class; every class that ever had a packet, and those set.
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

// Whether a delay line can be started here; where real-time scheduling is not granted, the text
// says what follows. Makes nothing.
[[nodiscard]] Capability delay_line_capability();

}  // namespace zq
