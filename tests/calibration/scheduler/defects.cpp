#include "tests/calibration/scheduler/defects.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>

namespace zq::scheduler {

namespace {

constexpr std::array<std::pair<Defect, std::string_view>, 21> kNames{{
    {Defect::kNeverReschedules, "never-reschedules"},
    {Defect::kReschedulesLate, "reschedules-late"},
    {Defect::kReschedulesOnInactive, "reschedules-on-inactive"},
    {Defect::kIgnoresUnreachableZone, "ignores-unreachable-zone"},
    {Defect::kIgnoresCapacity, "ignores-capacity"},
    {Defect::kIgnoresConstraints, "ignores-constraints"},
    {Defect::kIgnoresHomeRegion, "ignores-home-region"},
    {Defect::kKeepsDuplicates, "keeps-duplicates"},
    {Defect::kLaunchesTwice, "launches-twice"},
    {Defect::kKillsReturnedAndCopies, "kills-returned-and-copies"},
    {Defect::kRestartsAllAtHeal, "restarts-all-at-heal"},
    {Defect::kRestartsSurvivors, "restarts-survivors"},
    {Defect::kForgetsTasksAfterFailover, "forgets-tasks-after-failover"},
    {Defect::kTearsDownOnFailover, "tears-down-on-failover"},
    {Defect::kLosesAcceptedUpdates, "loses-accepted-updates"},
    {Defect::kAnswersWithoutLeader, "answers-without-leader"},
    {Defect::kStandbyLeads, "standby-leads"},
    {Defect::kStaysLeader, "stays-leader"},
    {Defect::kOldLeaderKeepsWriting, "old-leader-keeps-writing"},
    {Defect::kReportsTarget, "reports-target"},
    {Defect::kNeverReconciles, "never-reconciles"},
}};

}  // namespace

std::string_view name_of(Defect defect) {
  for (const auto& [value, name] : kNames) {
    if (value == defect) return name;
  }
  return {};
}

std::vector<std::string> defect_names() {
  std::vector<std::string> names;
  for (const auto& entry : kNames) names.emplace_back(entry.second);
  return names;
}

Result<Defects> Defects::parse(std::string_view text) {
  Defects defects;
  while (!text.empty()) {
    const auto comma = text.find(',');
    const auto name = text.substr(0, comma);
    const auto* found = std::find_if(kNames.begin(), kNames.end(),
                                     [&](const auto& entry) { return entry.second == name; });
    if (found == kNames.end()) {
      return fail(ErrorCode::kInput, "no defect is named \"{}\"; there are {}", name,
                  fmt::join(defect_names(), ", "));
    }
    defects.add(found->first);
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return defects;
}

}  // namespace zq::scheduler
