// What the gate is told to do: for each (direction, group) an ordered list of segments.
#pragma once

#include <cstdint>
#include <vector>

#include "agent/base/impairment.h"
#include "agent/base/time.h"

namespace zq {

enum class FlowDirection { kEgress = 0, kIngress = 1 };

inline constexpr std::size_t kMaxSegments = 64;  // per (direction, group)
inline constexpr std::size_t kMaxQueues = 1000;  // distinct (direction, group, impairment)

struct GateRule {
  struct Segment {
    MonoTime from;
    MonoTime until;
    Nanos period{};  // 0 = all the time, else in force while (now - from) % period < on
    Nanos on{};
    Scope scope{};
    Treatment treatment = Treatment::kDrop;
    std::uint32_t impairment = 0;  // kImpair: index into GateProgramme::impairments

    [[nodiscard]] bool in_force(MonoTime now) const {
      if (now < from || now >= until) return false;
      return period == Nanos{0} || (now - from) % period < on;
    }
  };
  FlowDirection direction{};
  std::uint32_t group = 0;
  std::vector<Segment> segments;  // the first that is in force and matches a packet decides
};

struct GateProgramme {
  std::vector<GateRule> rules;
  std::vector<Impairment> impairments;
};

// A place in the queues: packets of one directed pair of groups that are impaired in one way. Made
// for those impairments only that have to queue; loss and duplication alone happen in the gate.
struct QueueClass {
  std::uint16_t id = 0;  // 1..kMaxQueues; the class's minor number
  FlowDirection direction{};
  std::uint32_t group = 0;
  std::uint32_t impairment_index = 0;
  Impairment impairment;  // its loss and duplicate parts are the gate's, not the queue's
};

}  // namespace zq
