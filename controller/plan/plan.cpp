#include "controller/plan/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "controller/plan/asks.h"
#include "controller/plan/blast.h"
#include "controller/plan/capabilities.h"
#include "controller/plan/faults.h"
#include "controller/plan/groups.h"
#include "controller/plan/processes.h"
#include "controller/plan/programmes.h"

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

}  // namespace

Nanos Plan::fault_end() const {
  Nanos end{0};
  for (const NodeProgramme& programme : programmes) {
    for (const ProgrammeEntry& entry : programme.entries) {
      for (const FaultSegment& segment : entry.segments) end = std::max(end, segment.window.until);
    }
  }
  for (const ProcessStep& step : processes) end = std::max(end, step.undo_at);
  return end;
}

Result<Plan> make_plan(const PlanInput& input) {
  Plan plan;
  ZQ_TRY(plan.selections, resolve_selections(input));
  ZQ_TRY(plan.phases, schedule(input));
  ZQ_TRY(const std::vector<ResolvedFault> faults,
         resolve_faults(input, plan.phases, plan.selections));
  ZQ_CHECK(plan_processes(input, faults, plan));

  const std::vector<GroupId> group_of = partition_nodes(input.cluster, faults);
  for (NodeId node = 0; node < group_of.size(); ++node) {
    if (group_of[node] == plan.groups.size()) plan.groups.emplace_back();
    plan.groups[group_of[node]].push_back(node);
  }
  ZQ_TRY(plan.address_book, make_address_book(input.cluster, group_of));

  ZQ_TRY(const Asks asks, collect_asks(input.cluster, faults, plan.groups, group_of));
  ZQ_TRY(plan.blast, measure_blast(input, plan, faults, asks, group_of));
  ZQ_CHECK(check_limits(input, plan.blast));
  ZQ_CHECK(make_programmes(input, asks, group_of, plan));
  ZQ_CHECK(check_capabilities(input, plan));
  return plan;
}

}  // namespace zq
