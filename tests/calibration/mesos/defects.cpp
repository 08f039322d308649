#include "tests/calibration/mesos/defects.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>

namespace zq::calibration {

namespace {

constexpr std::array<std::pair<Defect, std::string_view>, 15> kNames{{
    {Defect::kStaysLeader, "stays-leader"},
    {Defect::kWritesWithoutQuorum, "writes-without-quorum"},
    {Defect::kQuorumOfOne, "quorum-of-one"},
    {Defect::kForgetsAgents, "forgets-agents"},
    {Defect::kForgetsTasks, "forgets-tasks"},
    {Defect::kMarksTooEarly, "marks-too-early"},
    {Defect::kNeverMarks, "never-marks"},
    {Defect::kKillsAtReturn, "kills-at-return"},
    {Defect::kShutsDownReturning, "shuts-down-returning"},
    {Defect::kHidesUnreachable, "hides-unreachable"},
    {Defect::kKillsWithoutMaster, "kills-without-master"},
    {Defect::kRestartsAtReturn, "restarts-at-return"},
    {Defect::kNeverReregisters, "never-reregisters"},
    {Defect::kWrongZone, "wrong-zone"},
    {Defect::kObeysAnyMaster, "obeys-any-master"},
}};

}  // namespace

std::string_view name_of(Defect defect) {
  const auto* const found =
      std::ranges::find(kNames, defect, [](const auto& e) { return e.first; });
  return found == kNames.end() ? std::string_view() : found->second;
}

Result<Defects> Defects::parse(std::string_view text) {
  Defects defects;
  while (!text.empty()) {
    const auto comma = text.find(',');
    const auto name = text.substr(0, comma);
    const auto* const found =
        std::ranges::find(kNames, name, [](const auto& e) { return e.second; });
    if (found == kNames.end()) {
      std::vector<std::string_view> names;
      for (const auto& entry : kNames) names.push_back(entry.second);
      return fail(ErrorCode::kInput, "no defect is named \"{}\"; there are {}", name,
                  fmt::join(names, ", "));
    }
    defects.all_.insert(found->first);
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return defects;
}

}  // namespace zq::calibration
