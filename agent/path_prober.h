// Sequence-numbered UDP probes between nodes, from arming to disarming: the witness of a fault that
// does not depend on the gate. What the other end received says whether a path was open.
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
  };
  std::vector<Target> targets;  // answered from the first own address of the same family
};

// Totals since start(), apart from the round-trip times: those of echoes since the last measure().
struct PathCounts {
  struct Sent {
    std::string node;
    IpAddress address;
    std::uint64_t sent = 0, sent_in_window = 0, send_errors = 0, echoed = 0;
    std::int64_t rtt_min_ns = 0, rtt_p50_ns = 0, rtt_max_ns = 0;  // 0 = no echo
  };
  struct Received {
    std::string node;   // sender
    IpAddress address;  // own address that was probed
    std::uint64_t received = 0, received_in_window = 0;
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

  [[nodiscard]] PathCounts measure();

 private:
  class Impl;
  explicit PathProber(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace zq
