// What the gate is to drop, as it stands in the kernel, and the evidence that it did.
#pragma once

#include <cstdint>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/time.h"
#include "agent/base/unique_fd.h"
#include "agent/dataplane/gate.h"

namespace zq {

class Programme {
 public:
  // The outer maps belong to the caller and must outlive the programme.
  Programme(int programmes_fd, int evidences_fd, std::uint32_t groups)
      : programmes_fd_(programmes_fd), evidences_fd_(evidences_fd), groups_(groups) {}

  // Checks the programme (kInput) and puts them in force in one step; evidence starts anew.
  Status load(const GateProgramme& programme);
  // Ends all windows at `now`. The evidence stays, and goes on to record what passes.
  Status heal(MonoTime now);

  // One for each segment of the rules loaded last, in their order.
  [[nodiscard]] Result<std::vector<WindowEvidence>> evidence() const;

 private:
  // Puts a programme in force that writes to the evidence of a slot, ending windows at `end`.
  Status put(const std::vector<GateRule>& rules, std::uint32_t slot, MonoTime end);

  int programmes_fd_;
  int evidences_fd_;
  std::uint32_t groups_;
  std::vector<GateRule> rules_;
  UniqueFd evidence_;
  std::uint32_t slot_ = 0;  // of the programme in force
};

}  // namespace zq
