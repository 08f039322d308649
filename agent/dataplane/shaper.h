// The queues behind the gate (DESIGN 4.4, 4.5): per direction one device of ours (a lane) with an
// HTB tree that has one class per QueueClass, each with netem below it where there is something to
// delay, corrupt or reorder, and with a queue in bytes where there is a rate; and on every uplink
// the filter that steers stamped packets into the lane. Where the kernel has no netem, packets to
// be delayed at egress go to a TAP device with a tree of its own, and the delay line (see
// delay_line.h) takes netem's place.
//
// The gate stamps a packet's tc_index with ZQ_STAMP_QUEUE | class id (gate_shared.h); program
// zq_steer_egress / zq_steer_ingress (cls_bpf, not direct action) matches stamped packets, and the
// filter's mirred action takes them to the lane; program zq_class on the lane's root returns
// (ZQ_LANE_MAJOR | class id).
//
// Ownership: a Shaper owns its devices and filters; the destructor removes them, without waiting
// for what is inside. Threading: one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/dataplane/gate_rule.h"
#include "agent/dataplane/uplink.h"

namespace zq {

inline constexpr const char* kLaneDevice[] = {"zq-egress", "zq-ingress"};  // by FlowDirection
inline constexpr const char* kLineDevice = "zq-line";                      // the delay line's TAP
inline constexpr std::uint32_t kSteerPriority = 2;
inline constexpr std::uint32_t kSteerHandle = 0x7a73;
inline constexpr const char* kSteerFilterName = "zonequake_steer";
inline constexpr const char* kClassFilterName = "zonequake_class";

struct ShaperPrograms {
  int steer_egress_fd = -1;
  int steer_ingress_fd = -1;
  int class_fd = -1;
};

// What a queue does, and how full it is. See QueueEvidence in agent.proto.
struct QueueState {
  QueueClass queue;
  std::string lane;                 // "netem", "htb", "delay-line"
  std::uint64_t limit_packets = 0;  // netem's; 0 = there is no netem
  std::uint64_t buffer_bytes = 0;   // in front of the rate; 0 = there is no rate
  std::uint64_t burst_bytes = 0;
  std::uint64_t quantum_bytes = 0;
  Nanos drain{};  // no packet stays longer
  std::uint64_t sent_packets = 0, sent_bytes = 0;
  std::uint64_t dropped_packets = 0;  // by the queue itself, so by nobody's wish
  std::uint64_t excess_packets = 0;  // over the rate for longer than its buffer lasts: as asked for
  std::uint64_t backlog_packets = 0;
  std::uint64_t discarded_packets = 0;  // still inside when it was removed
};

class Shaper {
 public:
  // Makes nothing yet. In the network namespace of the calling thread, for its whole life.
  // Descriptors belong to the caller and outlive the shaper.
  static Result<Shaper> make(const std::vector<Uplink>& uplinks, const ShaperPrograms& programs);

  Shaper(Shaper&&) noexcept;
  Shaper& operator=(Shaper&&) noexcept;
  ~Shaper();

  // Makes the lanes that the classes need, with these classes beside those of earlier calls (a
  // class that a programme no longer uses stays until remove(), so that what it holds comes out).
  // Ids of classes that were given before must mean the same. Traffic that is not stamped is not
  // disturbed. kRefused when the kernel lacks something, naming it.
  Status prepare(const std::vector<QueueClass>& classes);

  [[nodiscard]] Result<std::vector<QueueState>> state() const;
  // True when the egress lane is served by the delay line.
  [[nodiscard]] bool uses_delay_line() const;
  // Until when the delay line is known to be alive goes into this map's only u64 (gate_shared.h:
  // zq_line); -1 = no map. Set before prepare().
  void set_liveness_map(int fd);
  // Why the queues cannot be trusted: a filter, qdisc or device of ours is gone, the delay line
  // stalled. Empty = all well.
  [[nodiscard]] Result<std::vector<std::string>> violations() const;

  // Waits until the queues are empty, at most `patience`, then removes everything; what was still
  // inside is discarded and counted, and state() goes on to answer with the last counts.
  // Idempotent.
  Status remove(Nanos patience);

 private:
  struct Impl;
  explicit Shaper(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Removes lanes and steering filters that an earlier life left, by their names and kinds, in the
// calling thread's namespace. A line each.
Result<std::vector<std::string>> remove_leftover_lanes(const std::vector<Uplink>& uplinks);

// The sizes of a queue: formulas and their reasons in shaper_numbers.cpp.
struct ShaperNumbers {
  std::uint64_t rate_bytes_per_second = 0;  // HTB's, which wants one also where none is asked for
  std::uint32_t limit_packets = 0;
  std::uint32_t buffer_bytes = 0;
  std::uint32_t burst_bytes = 0;
  std::uint32_t quantum_bytes = 0;
  bool split = false;  // offloaded units are cut into frames in front of the rate
  Nanos drain{};
};
// `can_split`: the kernel has TBF, which does that.
[[nodiscard]] ShaperNumbers shaper_numbers(const Impairment& impairment, bool can_split = true);

// Queue capabilities of this kernel, tried for real in a namespace of its own (on a thread of its
// own). Loading Debian's ifb module makes two idle devices in the first namespace, ifb0 and ifb1.
struct QueueSupport {
  // Each "" when it is there, else the kernel's words.
  std::string ifb, htb, tbf, netem, netem_extras;  // extras: corrupt, reorder, table of delays
};
[[nodiscard]] QueueSupport probe_queue_support();

}  // namespace zq
