// What the gate is to do, as it stands in the kernel, and the evidence that it did.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/time.h"
#include "agent/base/unique_fd.h"
#include "agent/dataplane/gate.h"
#include "agent/dataplane/programme_rules.h"

namespace zq {

class Programme {
 public:
  struct Maps {  // the caller's; they outlive the programme
    int programmes_fd = -1;
    int evidences_fd = -1;
    int chances_fd = -1;
  };
  // The class of the queue for an impairment of a rule.
  using QueueOf =
      std::function<std::uint16_t(const GateRule& rule, std::uint32_t impairment_index)>;

  explicit Programme(const Maps& maps) : maps_(maps) {}

  // Puts a programme that has been checked in force in one step; evidence starts anew.
  Status load(const GateProgramme& programme, const QueueOf& queue_of);
  // Ends all segments at `now`. The evidence stays, and goes on to record what passes.
  Status heal(MonoTime now);

  // One for each segment of the rules loaded last, in their order.
  [[nodiscard]] Result<std::vector<WindowEvidence>> evidence() const;

 private:
  struct Rule {
    GateRule rule;
    std::vector<SegmentLinks> links;
  };
  // Gives every distinct (rule, impairment) with loss or duplicates its place in the slot's half.
  Result<std::vector<Rule>> link(const GateProgramme& programme, const QueueOf& queue_of,
                                 std::uint32_t slot) const;
  // Puts rules in force that write to the evidence of a slot, ending segments at `end`.
  Status put(const std::vector<Rule>& rules, std::uint32_t slot, MonoTime end);

  Maps maps_;
  std::vector<Rule> rules_;
  UniqueFd evidence_;
  std::uint32_t slot_ = 0;  // of the programme in force
};

}  // namespace zq
