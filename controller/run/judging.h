// Verdicts from what the store holds, for a run that has just ended and for one of long ago.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.h"
#include "controller/judge/judge.h"
#include "experiments/deviations.h"
#include "experiments/experiment.h"
#include "results/store.h"

namespace zq {

// Kind of the events that keep a run from being more than inconclusive, whatever its signals say:
// directions in which nothing was attempted, lost observations.
inline constexpr std::string_view kInconclusiveEvent = "inconclusive";

struct Judged {
  std::vector<Verdict> verdicts;
  RunVerdict verdict = RunVerdict::kInconclusive;
  std::string reason;
};

// Judges the recorded signals under `experiment` and stores the verdicts. Phases, timers and
// selections are those of the run; kInput when the experiment needs others than it had. Of the
// known deviations those count that the versions which the run found have.
Result<Judged> judge_recorded(Store& store, RunId run, const Experiment& experiment,
                              std::span<const Deviation> deviations);

// Those of the run's versions, for this experiment (by the name of its file).
[[nodiscard]] std::vector<KnownDeviation> deviations_of(const RunRecord& record,
                                                        const Experiment& experiment,
                                                        std::span<const Deviation> deviations);

// passed / failed / inconclusive. A known deviation counts as passed; no expectation at all as
// well.
[[nodiscard]] Judged summarise(std::vector<Verdict> verdicts);

}  // namespace zq
