// Sequence-numbered probes between nodes, from arming to disarming: the witness of a fault that
// does not depend on the gate. What the other end received says whether a path was open. Agents get
// UDP; agentless targets get ICMP echo requests, of which only the echoes tell.
//
// Latencies do not depend on how busy either machine is, but for the sender's moment between
// reading the clock and the system call: arrivals are the kernel's receive times, and an echo says
// how long it was held by the process that made it.
//
// A probe carries the flag `in window` while the sender's own programme says that the path is cut;
// one that arrives all the same is a leak. The flag ends kWindowMargin before a window does, so
// that a probe that is delayed on its way never looks like one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/ip.h"
#include "agent/base/time.h"
#include "agent/dataplane/gate.h"
#include "agent/path_latency.h"

namespace zq {

inline constexpr Nanos kWindowMargin = std::chrono::milliseconds(250);

struct PathProberConfig {
  std::string run;   // probes of other runs are ignored
  std::string node;  // who we are, at most 128 bytes
  std::vector<IpAddress> own;
  std::uint16_t port = 0;  // on every node; 0 = no path probes at all
  double rate = 0;         // probes per second to each target
  struct Target {
    std::string node;
    IpAddress address;
    std::uint32_t group = 0;
    bool agentless = false;
  };
  std::vector<Target> targets;  // answered from the first own address of the same family
};

// Totals since start(), apart from the round-trip times rtt_*_ns (those of echoes since the last
// measure()) and the figures of the stage.
struct PathCounts {
  struct Sent {
    std::string node;
    IpAddress address;
    bool agentless = false;
    std::uint64_t sent = 0, sent_in_window = 0, send_errors = 0;
    std::uint64_t echoed = 0;  // an echo that came twice counts once
    std::uint64_t echoed_in_window = 0;
    std::int64_t rtt_min_ns = 0, rtt_p50_ns = 0, rtt_max_ns = 0;  // 0 = no echo
    LatencyFigures stage_rtt;
  };
  struct Received {
    std::string node;                                    // sender
    IpAddress address;                                   // own address that was probed
    std::uint64_t received = 0, received_in_window = 0;  // each probe once, damaged ones apart
    std::uint64_t duplicates = 0, out_of_order = 0, corrupted = 0;
    LatencyFigures stage_one_way;  // this node's clock minus the sender's
  };
  std::vector<Sent> sent;
  std::vector<Received> received;
};

// Any thread may call; two threads of its own send and receive until it is destroyed.
class PathProber {
 public:
  // Sockets are made in the calling thread's network namespace. kRefused: an own address is not
  // this node's, a port is taken, or a target has a family of which there is no own address.
  static Result<std::unique_ptr<PathProber>> start(const PathProberConfig& config);
  ~PathProber();
  PathProber(const PathProber&) = delete;
  PathProber& operator=(const PathProber&) = delete;

  // What the flag `in window` follows. When it returns, no probe flagged by the old programme is
  // still to be sent: call it with nothing before a programme is taken out of the kernel.
  void set_programme(const std::vector<GateRule>& rules);

  // Stages are numbered from 0 and carried by every probe, so that a receiver need not compare
  // clocks: its figures of a stage are of probes that were sent in the sender's stage of the same
  // number. 0 = one more than the last. Nothing happens when the stage is not a later one.
  void begin_stage(std::uint32_t number);

  [[nodiscard]] PathCounts measure();

 private:
  class Impl;
  explicit PathProber(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace zq
