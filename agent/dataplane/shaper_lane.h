// One lane as the shaper keeps it, and what can be read about it in the kernel.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/dataplane/delay_line.h"
#include "agent/dataplane/netlink.h"
#include "agent/dataplane/shaper.h"

namespace zq {

struct Lane {
  struct Queue {
    QueueClass queue;
    ShaperNumbers numbers;
    bool in_tree = true;  // has an HTB class; on the delay line only where there is a rate
  };

  FlowDirection direction{};
  std::string device;
  unsigned index = 0;
  std::unique_ptr<DelayLine> line;  // behind the device, which is its TAP; none = an ifb
  std::vector<Queue> queues;
  // As they were made, in canonical lines, sorted: the tree, and the filters that lead here.
  std::vector<std::string> made;
  std::vector<std::string> steering;
};

// Canonical lines of the lane's tree, sorted.
Result<std::vector<std::string>> tree_of(NetlinkSocket& socket, const Lane& lane);

using QueueStates = std::map<std::uint16_t, QueueState>;
// Adds what the lane's queues have done so far.
Status add_states(NetlinkSocket& socket, const Lane& lane, QueueStates& states);

// Packets anywhere in it.
Result<std::uint64_t> packets_inside(NetlinkSocket& socket, const Lane& lane);

// What is not as it was made, or does not work.
Result<std::vector<std::string>> lane_violations(NetlinkSocket& socket, const Lane& lane,
                                                 int class_fd);

}  // namespace zq
