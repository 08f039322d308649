// The ways in which this scheduler can be told to misbehave; defects.md says what each breaks and
// what should refute it.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.h"

namespace zq::scheduler {

enum class Defect {
  kNeverReschedules,
  kReschedulesLate,
  kReschedulesOnInactive,
  kIgnoresUnreachableZone,
  kIgnoresCapacity,
  kIgnoresConstraints,
  kIgnoresHomeRegion,
  kKeepsDuplicates,
  kLaunchesTwice,
  kKillsReturnedAndCopies,
  kRestartsAllAtHeal,
  kRestartsSurvivors,
  kForgetsTasksAfterFailover,
  kTearsDownOnFailover,
  kLosesAcceptedUpdates,
  kAnswersWithoutLeader,
  kStandbyLeads,
  kStaysLeader,
  kOldLeaderKeepsWriting,
  kReportsTarget,
  kNeverReconciles,
};

[[nodiscard]] std::string_view name_of(Defect defect);
[[nodiscard]] std::vector<std::string> defect_names();

class Defects {
 public:
  // "NAME[,NAME]"; kInput lists the names there are.
  static Result<Defects> parse(std::string_view text);

  [[nodiscard]] bool has(Defect defect) const { return on_.contains(defect); }
  void add(Defect defect) { on_.insert(defect); }

 private:
  std::set<Defect> on_;
};

}  // namespace zq::scheduler
