// Expectations x signals -> verdicts. Pure. Everything it needs comes out of the store, so that a
// recorded run can be judged again.
//
// Series are piecewise constant and are evaluated at every change, never on a grid. Three values:
// a statement is true or false only if it is so whatever the unknown series are. Signals are never
// negative, so an unknown member of sum() or max() can only add; one of count() counts as 0 or 1;
// one of min() lies anywhere from 0 up (with `known` it is left out). A series takes part from its
// first segment on (before that its observer did not know of it; what an observer could not see is
// a segment without a value). An aggregate in which no series takes part is unknown, not 0: silence
// is no evidence. Division by what may be zero is unknown.
//
//   always      over [start, end) of `during`. A violation shorter than `for` is forgiven, one that
//               runs past the end of the phase counts with its part inside.
//   never       always of the opposite.
//   eventually  the earliest t in [start of `during`, start + within] from which the condition
//   holds
//               for `for`. That window does not care where the phase ends: later phases count too,
//               up to the end of the last one. A first success after the bound is still measured.
//   baseline    the value at the last instant of the phase "baseline".
//   within      is evaluated at the start of `during`.
//
// A bound met or missed by less than the clocks' uncertainty is inconclusive: the time of
// `eventually`, the length of a violation against `for`, and a violation that lies wholly that
// close to an edge of its phase.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/time.h"
#include "experiments/experiment.h"
#include "experiments/signal.h"

namespace zq {

// When a phase really was.
struct PhaseWindow {
  std::string name;
  MonoTime from;
  MonoTime until;
};

// A bug of a known version of the system that makes an expectation fail in a known way.
struct KnownDeviation {
  std::string id;           // where it is recorded
  std::string expectation;  // the one that fails
  Expectation instead;      // what the system does instead, exactly
};

struct JudgeContext {
  std::vector<PhaseWindow> phases;
  std::map<std::string, double> variables;  // replicas, timers (seconds)
  // [select] entries as names of zones and of nodes, for label matchers.
  std::map<std::string, std::vector<std::string>> selected_zones;
  std::map<std::string, std::vector<std::string>> selected_nodes;
  // Of instants on the controller's clock. A bound that is missed or met by less than this is
  // inconclusive.
  Nanos uncertainty{};
  // Those of the versions that were found. A refuted expectation whose deviation is confirmed
  // becomes kKnownDeviation; one that fails in another way stays refuted.
  std::vector<KnownDeviation> known_deviations;
};

enum class VerdictKind { kConfirmed, kRefuted, kInconclusive, kKnownDeviation };
[[nodiscard]] std::string_view to_string(VerdictKind kind);

struct Verdict {
  std::string expectation;
  VerdictKind kind = VerdictKind::kInconclusive;
  // What was measured and what was asked, in the unit of the statement: seconds for `eventually`
  // (time until it held; none if it never did), the worst value seen for `always` / `never` (of the
  // comparison that decides, without what `for` forgives; none if nothing is known).
  std::optional<double> measured;
  std::optional<double> bound;
  std::optional<double> margin;  // positive = inside the bound
  std::string unit;              // "s" or ""
  std::optional<MonoTime> at;    // the deciding instant
  std::string evidence;          // one sentence for people: the deciding observation, with labels
};

// Three-valued: unknown makes kInconclusive, never kConfirmed.
Verdict judge_expectation(const Expectation& expectation, const JudgeContext& context,
                          std::span<const Series> series);
std::vector<Verdict> judge_all(const Experiment& experiment, const JudgeContext& context,
                               std::span<const Series> series);

// A condition's value at one instant, for steady state and abort conditions: true, false, unknown.
// An error (kNotFound, with its place) only for a variable that the context lacks; a baseline that
// has not been yet is unknown.
Result<std::optional<bool>> evaluate_condition(const Expression& condition,
                                               const JudgeContext& context,
                                               std::span<const Series> series, MonoTime at);

}  // namespace zq
