// Expectations x signals -> verdicts. Pure. Everything it needs comes out of the store, so that a
// recorded run can be judged again.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
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

struct JudgeContext {
  std::vector<PhaseWindow> phases;
  std::map<std::string, double> variables;  // replicas, timers (seconds)
  // [select] entries as names of zones and of nodes, for label matchers.
  std::map<std::string, std::vector<std::string>> selected_zones;
  std::map<std::string, std::vector<std::string>> selected_nodes;
  // Of instants on the controller's clock. A bound that is missed or met by less than this is
  // inconclusive.
  Nanos uncertainty{};
};

enum class VerdictKind { kConfirmed, kRefuted, kInconclusive, kKnownDeviation };
[[nodiscard]] std::string_view to_string(VerdictKind kind);

struct Verdict {
  std::string expectation;
  VerdictKind kind = VerdictKind::kInconclusive;
  // What was measured and what was asked, in the unit of the statement: seconds for `eventually`
  // (time until it held), the worst value seen for `always` / `never`.
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
Result<std::optional<bool>> evaluate_condition(const Expression& condition,
                                               const JudgeContext& context,
                                               std::span<const Series> series, MonoTime at);

}  // namespace zq
