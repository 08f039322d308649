// Notices at once when something changes on the gate's devices, so that the agent can look with
// Gate::violations() before its next regular look; and remembers what has come and gone between two
// looks.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/base/error.h"
#include "agent/dataplane/gate.h"

struct nl_sock;

namespace zq {

// What a monitor has learnt from notices.
struct MonitorMemory {
  std::set<unsigned> lanes;  // indexes of the shaper's devices
  // Programs of the steering filters, by device and hook.
  std::map<std::pair<unsigned, FlowDirection>, std::uint32_t> steering;
};

// Open it after the gate is attached and close it before the queues are removed and the gate is
// detached: a filter that comes or goes in between is somebody else's doing, except that the shaper
// may add its own. In the calling thread's namespace; not thread-safe.
class FilterMonitor {
 public:
  static Result<FilterMonitor> open(const std::vector<Uplink>& uplinks);

  // Readable when there may be something to ask about.
  [[nodiscard]] int fd() const;
  // Whether filters, qdiscs or the devices themselves changed since last asked, or those of lanes.
  // Never waits. True also when the kernel dropped notices because there were too many.
  Result<bool> relevant_change();
  // By what relevant_change() has read so far: each filter that came ahead of the gate, and each
  // filter of the gate or the shaper that went or got another program, also if all is as it was
  // again. Never shrinks. Filters that
  // devices share in a block are not told apart: of these only relevant_change() knows.
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }

 private:
  struct Free {
    void operator()(nl_sock* socket) const;
  };
  FilterMonitor(nl_sock* socket, const std::vector<Uplink>& uplinks);

  std::unique_ptr<nl_sock, Free> socket_;
  std::vector<Uplink> uplinks_;
  std::vector<std::string> violations_;
  MonitorMemory memory_;
};

}  // namespace zq
