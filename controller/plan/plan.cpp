#include "controller/plan/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "controller/plan/blast.h"
#include "controller/plan/cuts.h"
#include "controller/plan/faults.h"
#include "controller/plan/groups.h"

namespace zq {

namespace {

constexpr double kMaxSeconds = 365.0 * 86400;  // of a whole run; keeps instants far from overflow

// Phases with their times; the first ends at T = 0.
Result<std::vector<PlannedPhase>> schedule(const PlanInput& input) {
  std::vector<PlannedPhase> phases;
  double total = 0;
  Nanos at{0};
  for (const Phase& phase : input.experiment.phases) {
    auto seconds = evaluate_number(phase.lasts, input.variables);
    if (!seconds) {
      return tl::unexpected(
          std::move(seconds).error().with_context(fmt::format("phase '{}', lasts", phase.name)));
    }
    total += *seconds;
    if (*seconds <= 0 || total > kMaxSeconds) {
      return fail(ErrorCode::kInput,
                  "{}: phase '{}' would last {} s; a phase takes more than nothing and a run less "
                  "than a year",
                  phase.lasts.position().to_string(), phase.name, *seconds);
    }
    const Nanos lasts = std::max(from_seconds(*seconds), Nanos{1});
    if (phases.empty()) at = -lasts;
    phases.push_back(
        {.name = phase.name, .from = at, .until = at + lasts, .down = {}, .kill_after = {}});
    at += lasts;
  }
  return phases;
}

// Fills `down` and `kill_after` from the kill faults.
Status add_kills(const PlanInput& input, const std::vector<ResolvedFault>& faults,
                 std::vector<PlannedPhase>& phases) {
  NodeSet down_before;
  auto fault = faults.begin();
  for (std::size_t index = 0; index < phases.size(); ++index) {
    PlannedPhase& phase = phases[index];
    NodeSet down;
    const Fault* first_kill = nullptr;
    for (; fault != faults.end() && fault->phase == index; ++fault) {
      if (fault->fault->kind != FaultKind::kKill) continue;
      const bool kills_living =
          !std::includes(down_before.begin(), down_before.end(), fault->a.begin(), fault->a.end());
      down.insert(fault->a.begin(), fault->a.end());
      if (!kills_living) continue;
      if (first_kill != nullptr && first_kill->after != fault->fault->after) {
        return fail(ErrorCode::kInput,
                    "{}: phase '{}' already kills after {} ({}); all kills of a phase happen at "
                    "one instant, use another phase for the second",
                    fault->fault->position.to_string(), phase.name,
                    format_duration(first_kill->after), first_kill->position.to_string());
      }
      first_kill = fault->fault;
      phase.kill_after = first_kill->after;
      if (phase.kill_after >= phase.until - phase.from) {
        return fail(ErrorCode::kInput,
                    "{}: kills {} after the start of phase '{}', which lasts only {}; shorten "
                    "'after' or lengthen the phase",
                    first_kill->position.to_string(), format_duration(phase.kill_after), phase.name,
                    format_duration(phase.until - phase.from));
      }
    }
    phase.down.assign(down.begin(), down.end());
    down_before = std::move(down);
  }
  if (!down_before.empty()) {
    return fail(ErrorCode::kInput,
                "{}: the last phase leaves {} dead; end with a phase that does not kill",
                input.experiment.path,
                list_nodes(input.cluster, {down_before.begin(), down_before.end()}, 5));
  }
  return {};
}

Status check_windows(const PlanInput& input, const Plan& plan, const Cuts& cuts) {
  for (const auto& [pair, windows] : cuts) {
    if (windows.size() <= kMaxSegmentsPerEntry) continue;
    return fail(ErrorCode::kRefused,
                "{}: packets from {} to {} would be cut in {} separate stretches, but a node's "
                "kernel holds {} for each peer group; use fewer phases, or split the experiment",
                input.experiment.path, list_nodes(input.cluster, plan.groups[pair.first], 3),
                list_nodes(input.cluster, plan.groups[pair.second], 3), windows.size(),
                kMaxSegmentsPerEntry);
  }
  return {};
}

std::vector<NodeProgramme> make_programmes(const Cluster& cluster, const Plan& plan,
                                           const Cuts& cuts, const std::vector<GroupId>& group_of) {
  std::vector<std::vector<ProgrammeEntry>> entries(plan.groups.size());
  for (const auto& [pair, windows] : cuts) {
    std::vector<FaultSegment> segments;
    for (const Window& window : windows) segments.push_back({.window = window, .scope = {}});
    entries[pair.first].push_back({Direction::kEgress, pair.second, segments, windows});
    entries[pair.second].push_back({Direction::kIngress, pair.first, segments, windows});
  }
  for (std::vector<ProgrammeEntry>& list : entries) {
    std::sort(list.begin(), list.end(), [](const ProgrammeEntry& one, const ProgrammeEntry& two) {
      return std::pair(one.direction, one.peer) < std::pair(two.direction, two.peer);
    });
  }
  std::vector<std::vector<NodeId>> targets = choose_path_targets(cluster, plan.groups);
  std::vector<NodeProgramme> programmes;
  programmes.reserve(group_of.size());
  for (NodeId node = 0; node < group_of.size(); ++node) {
    programmes.push_back({node, group_of[node], entries[group_of[node]], std::move(targets[node])});
  }
  return programmes;
}

}  // namespace

Nanos Plan::fault_end() const {
  Nanos end{0};
  for (const NodeProgramme& programme : programmes) {
    for (const ProgrammeEntry& entry : programme.entries) {
      if (!entry.windows.empty()) end = std::max(end, entry.windows.back().until);
    }
  }
  for (const PlannedPhase& phase : phases) {
    if (!phase.down.empty()) end = std::max(end, phase.until);
  }
  return end;
}

Result<Plan> make_plan(const PlanInput& input) {
  Plan plan;
  ZQ_TRY(plan.selections, resolve_selections(input));
  ZQ_TRY(const std::vector<ResolvedFault> faults, resolve_faults(input, plan.selections));
  ZQ_TRY(plan.phases, schedule(input));
  ZQ_CHECK(add_kills(input, faults, plan.phases));

  const std::vector<GroupId> group_of = partition_nodes(input.cluster.nodes.size(), faults);
  for (NodeId node = 0; node < group_of.size(); ++node) {
    if (group_of[node] == plan.groups.size()) plan.groups.emplace_back();
    plan.groups[group_of[node]].push_back(node);
  }
  ZQ_TRY(plan.address_book, make_address_book(input.cluster, group_of));

  const Cuts cuts = make_cuts(faults, plan.phases, group_of);
  ZQ_CHECK(check_windows(input, plan, cuts));
  ZQ_TRY(plan.blast, measure_blast(input, plan, faults, cuts, group_of));
  ZQ_CHECK(check_limits(input, plan.blast));
  plan.programmes = make_programmes(input.cluster, plan, cuts, group_of);
  return plan;
}

}  // namespace zq
