// Which queues a programme needs, and the shaper that has them.
#pragma once

#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "agent/base/error.h"
#include "agent/dataplane/gate_object.h"
#include "agent/dataplane/gate_rule.h"
#include "agent/dataplane/netlink.h"
#include "agent/dataplane/shaper.h"

namespace zq {

class GateQueues {
 public:
  // In the network namespace of the calling thread. `object` may move, but outlives the queues.
  static Result<GateQueues> make(const std::vector<Uplink>& uplinks, const GateObject& object);

  // Makes the queues of a programme that has been checked, beside those of earlier ones. kRefused
  // where foreign filters stand behind the gate on hooks that would carry impairments (named), and
  // where the kernel lacks something.
  Status prepare(NetlinkSocket& socket, const GateObject& object, const GateProgramme& programme);
  // The class for an impairment of a rule of that programme.
  [[nodiscard]] std::uint16_t class_of(const GateRule& rule, std::uint32_t impairment_index) const;

  [[nodiscard]] Result<std::vector<QueueState>> state() const;
  [[nodiscard]] Result<std::vector<std::string>> violations() const;
  // How long a packet that is in a queue now may stay there; 0 = there is no queue.
  [[nodiscard]] Nanos longest_drain() const;
  // Waits for the queues to run empty, for the longest drain and a second but not for ever, and
  // removes them.
  Status remove();

 private:
  GateQueues(Shaper shaper, std::vector<Uplink> uplinks);
  Status check_hooks(NetlinkSocket& socket) const;

  Shaper shaper_;
  std::vector<Uplink> uplinks_;
  std::vector<QueueClass> classes_;  // by id - 1; ids keep their meaning for the life of the gate
  // Of the last programme: the ids by direction, group and index of the impairment.
  std::map<std::tuple<FlowDirection, std::uint32_t, std::uint32_t>, std::uint16_t> in_use_;
};

}  // namespace zq
