// An expression made ready to be evaluated over recorded series: names resolved, constants worked
// out, negations pushed down to the comparisons. Private to the judge.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "agent/base/error.h"
#include "controller/judge/interval.h"
#include "controller/judge/judge.h"
#include "experiments/expression.h"
#include "experiments/signal.h"

namespace zq {

struct ProgramAggregate {
  const ExprNode* source = nullptr;
  AggregateOp op{};
  std::optional<std::pair<CompareOp, double>> filter;  // which values take part; none = all
  std::vector<std::uint32_t> members;                  // indices into the series
  bool known = false;                                  // those that cannot tell are left out
};

struct ProgramArithmetic {
  ArithmeticOp op{};
  std::vector<std::size_t> operands;  // indices of earlier numbers
};
struct AggregateRef {
  std::size_t index = 0;
};
using ProgramNumber = std::variant<Interval, AggregateRef, ProgramArithmetic>;

// Written so that the observed side comes first, where only one side observes.
struct ProgramComparison {
  CompareOp op{};
  std::size_t measured = 0;  // index of a number
  std::size_t bound = 0;
  const ExprNode* measured_source = nullptr;
  const ExprNode* bound_source = nullptr;
  std::vector<std::size_t> aggregates;  // those that it depends on
};

struct ProgramJoint {
  bool all = true;                    // "and"; else "or"
  std::vector<std::size_t> operands;  // indices of earlier conditions
};
struct ComparisonRef {
  std::size_t index = 0;
};
using ProgramCondition = std::variant<ComparisonRef, ProgramJoint>;

// Holds pointers into the expression that it was made from. Parts stand before what uses them; the
// whole is the last condition, or the last number where there is no condition.
struct Program {
  std::vector<ProgramAggregate> aggregates;
  std::vector<ProgramNumber> numbers;
  std::vector<ProgramComparison> comparisons;
  std::vector<ProgramCondition> conditions;
};

// kNotFound with its place for a variable that the context lacks. `negated` asks for the opposite
// of a condition. A baseline that is not known becomes everything().
Result<Program> compile(const Expression& expression, bool negated, const JudgeContext& context,
                        std::span<const Series> series);

// The number's value at one instant.
Result<Interval> evaluate_number(const Expression& expression, const JudgeContext& context,
                                 std::span<const Series> series, MonoTime at);

[[nodiscard]] const PhaseWindow* find_phase(const JudgeContext& context, std::string_view name);

}  // namespace zq
