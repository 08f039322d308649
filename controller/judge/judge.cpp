#include "controller/judge/judge.h"

#include <algorithm>

#include "controller/judge/interval.h"
#include "controller/judge/program.h"
#include "controller/judge/sweep.h"
#include "controller/judge/temporal.h"

namespace zq {
namespace {

Verdict inconclusive(std::string why) {
  Verdict verdict;
  verdict.evidence = std::move(why);
  return verdict;
}

Verdict judge_statement(const Expectation& expectation, const JudgeContext& context,
                        std::span<const Series> series) {
  const PhaseWindow* phase = find_phase(context, expectation.during);
  if (phase == nullptr || phase->until <= phase->from) {
    return inconclusive(fmt::format("phase '{}' never ran", expectation.during));
  }
  const bool never = expectation.temporal == Temporal::kNever;
  const auto program = compile(expectation.condition, never, context, series);
  if (!program) return inconclusive(program.error().message);
  if (expectation.temporal != Temporal::kEventually) {
    return judge_throughout({*program, series, *phase, expectation.hold, context.uncertainty});
  }
  if (!expectation.within) return inconclusive("`eventually` has no bound `within`");
  const auto within = evaluate_number(*expectation.within, context, series, phase->from);
  if (!within) return inconclusive(within.error().message);
  if (!within->is_point() || within->low < 0) {
    return inconclusive(fmt::format("the bound '{}' {}", expectation.within->text(),
                                    within->is_point() ? "is negative" : "is unknown"));
  }
  MonoTime end_of_record = phase->until;
  for (const PhaseWindow& other : context.phases) {
    end_of_record = std::max(end_of_record, other.until);
  }
  return judge_eventually({*program, series, *phase, expectation.hold, context.uncertainty},
                          within->low, end_of_record);
}

}  // namespace

std::string_view to_string(VerdictKind kind) {
  switch (kind) {
    case VerdictKind::kConfirmed:
      return "confirmed";
    case VerdictKind::kRefuted:
      return "refuted";
    case VerdictKind::kInconclusive:
      return "inconclusive";
    case VerdictKind::kKnownDeviation:
      break;
  }
  return "known-deviation";
}

Verdict judge_expectation(const Expectation& expectation, const JudgeContext& context,
                          std::span<const Series> series) {
  Verdict verdict = judge_statement(expectation, context, series);
  verdict.expectation = expectation.id;
  if (verdict.kind != VerdictKind::kRefuted) return verdict;
  for (const KnownDeviation& deviation : context.known_deviations) {
    if (deviation.expectation != expectation.id) continue;
    const Verdict instead = judge_statement(deviation.instead, context, series);
    if (instead.kind != VerdictKind::kConfirmed) continue;
    verdict.kind = VerdictKind::kKnownDeviation;
    verdict.evidence +=
        fmt::format("; this is the known deviation {}: {}", deviation.id, instead.evidence);
    break;
  }
  return verdict;
}

std::vector<Verdict> judge_all(const Experiment& experiment, const JudgeContext& context,
                               std::span<const Series> series) {
  std::vector<Verdict> verdicts;
  for (const Expectation& expectation : experiment.expectations) {
    verdicts.push_back(judge_expectation(expectation, context, series));
  }
  return verdicts;
}

Result<std::optional<bool>> evaluate_condition(const Expression& condition,
                                               const JudgeContext& context,
                                               std::span<const Series> series, MonoTime at) {
  ZQ_TRY(const Program program, compile(condition, false, context, series));
  const Truth truth = Sweep(program, series, at).evaluate().truth;
  if (truth == Truth::kUnknown) return std::optional<bool>{};
  return std::optional<bool>{truth == Truth::kTrue};
}

}  // namespace zq
