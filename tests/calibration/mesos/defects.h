// What the masters and agents of the calibration cluster can be told to do wrong; defects.md says
// what each breaks and which expectation refutes it.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.h"

namespace zq::calibration {

enum class Defect {
  // Of masters.
  kStaysLeader,
  kWritesWithoutQuorum,
  kQuorumOfOne,
  kForgetsAgents,
  kForgetsTasks,
  kMarksTooEarly,
  kNeverMarks,
  kKillsAtReturn,
  kShutsDownReturning,
  kHidesUnreachable,
  // Of agents.
  kKillsWithoutMaster,
  kRestartsAtReturn,
  kNeverReregisters,
  kWrongZone,
  kObeysAnyMaster,
};

[[nodiscard]] std::string_view name_of(Defect defect);

class Defects {
 public:
  // "NAME[,NAME]"; kInput with the list of names that there are.
  static Result<Defects> parse(std::string_view text);
  [[nodiscard]] bool has(Defect defect) const { return all_.contains(defect); }

 private:
  std::set<Defect> all_;
};

}  // namespace zq::calibration
