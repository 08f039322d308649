#include "controller/judge/program.h"

#include <algorithm>
#include <string>

#include "controller/judge/matching.h"
#include "controller/judge/sweep.h"
#include "experiments/hint.h"

namespace zq {
namespace {

constexpr std::string_view kBaselinePhase = "baseline";

class Compiler {
 public:
  Compiler(const Expression& expression, const JudgeContext& context,
           std::span<const Series> series)
      : expression_(expression), context_(context), series_(series) {}

  // `other` is the opposite side of the comparison, for a bare `baseline`; null outside of one.
  Result<std::size_t> number(const ExprNode& node, const ExprNode* other);
  Result<std::size_t> condition(const ExprNode& node, bool negated);
  Program take() && { return std::move(program_); }

 private:
  Result<Interval> variable(const ExprNode& node, const std::string& name) const;
  Result<Interval> at_baseline(const ExprNode& node) const;
  Result<std::size_t> aggregate(const ExprNode& node, const AggregateExpr& aggregate);
  Result<std::size_t> comparison(const CompareExpr& compare, bool negated);
  Result<std::size_t> joint(const std::vector<ExprPtr>& operands, bool all, bool negated);
  std::size_t add(ProgramNumber number) {
    program_.numbers.push_back(std::move(number));
    return program_.numbers.size() - 1;
  }
  std::size_t add(ProgramCondition condition) {
    program_.conditions.push_back(std::move(condition));
    return program_.conditions.size() - 1;
  }

  const Expression& expression_;
  const JudgeContext& context_;
  std::span<const Series> series_;
  Program program_;
};

Result<Interval> Compiler::variable(const ExprNode& node, const std::string& name) const {
  if (const auto found = context_.variables.find(name); found != context_.variables.end()) {
    return Interval::point(found->second);
  }
  std::vector<std::string> known;
  for (const auto& [key, value] : context_.variables) known.push_back(key);
  Position place = expression_.position();
  place.column += node.column - 1;
  return fail(ErrorCode::kNotFound, "{}: the cluster's systems tell no timer or number '{}'{}",
              place.to_string(), name, nearest_hint(name, known, "they tell"));
}

Result<Interval> Compiler::at_baseline(const ExprNode& node) const {
  Compiler inner(expression_, context_, series_);
  ZQ_CHECK(inner.number(node, nullptr));
  const PhaseWindow* phase = find_phase(context_, kBaselinePhase);
  if (phase == nullptr || phase->until <= phase->from) return Interval::everything();
  const Program program = std::move(inner).take();
  return Sweep(program, series_, phase->until - Nanos{1}).number();
}

Result<std::size_t> Compiler::aggregate(const ExprNode& node, const AggregateExpr& aggregate) {
  ProgramAggregate part{&node, aggregate.op, aggregate.filter, {}, aggregate.known};
  // count() alone counts what is not zero.
  if (part.op == AggregateOp::kCount && !part.filter) part.filter = {CompareOp::kNotEqual, 0.0};
  part.members = matching_series(aggregate, context_, series_);
  program_.aggregates.push_back(std::move(part));
  return add(AggregateRef{program_.aggregates.size() - 1});
}

Result<std::size_t> Compiler::number(const ExprNode& node, const ExprNode* other) {
  if (const auto* literal = std::get_if<NumberExpr>(&node.value)) {
    return add(Interval::point(literal->value));
  }
  if (const auto* named = std::get_if<VariableExpr>(&node.value)) {
    ZQ_TRY(const Interval value, variable(node, named->name));
    return add(value);
  }
  if (const auto* baseline = std::get_if<BaselineExpr>(&node.value)) {
    const ExprNode* of = baseline->of ? baseline->of.get() : other;
    if (of == nullptr) return fail(ErrorCode::kInternal, "'baseline' outside of a comparison");
    ZQ_TRY(const Interval value, at_baseline(*of));
    return add(value);
  }
  if (const auto* observed = std::get_if<AggregateExpr>(&node.value)) {
    return aggregate(node, *observed);
  }
  const auto* arithmetic = std::get_if<ArithmeticExpr>(&node.value);
  if (arithmetic == nullptr)
    return fail(ErrorCode::kInternal, "a condition where a number belongs");
  ProgramArithmetic part{arithmetic->op, {}};
  for (const ExprPtr& operand : arithmetic->operands) {
    ZQ_TRY(const std::size_t index, number(*operand, other));
    part.operands.push_back(index);
  }
  return add(std::move(part));
}

Result<std::size_t> Compiler::comparison(const CompareExpr& compare, bool negated) {
  const std::size_t before = program_.aggregates.size();
  ZQ_TRY(const std::size_t left, number(*compare.left, compare.right.get()));
  const std::size_t middle = program_.aggregates.size();
  ZQ_TRY(const std::size_t right, number(*compare.right, compare.left.get()));
  const std::size_t after = program_.aggregates.size();
  ProgramComparison part{negated ? opposite(compare.op) : compare.op,
                         left,
                         right,
                         compare.left.get(),
                         compare.right.get(),
                         {}};
  if (before == middle && middle < after) {
    part.op = mirrored(part.op);
    std::swap(part.measured, part.bound);
    std::swap(part.measured_source, part.bound_source);
  }
  for (std::size_t i = before; i < after; ++i) part.aggregates.push_back(i);
  program_.comparisons.push_back(std::move(part));
  return add(ComparisonRef{program_.comparisons.size() - 1});
}

Result<std::size_t> Compiler::joint(const std::vector<ExprPtr>& operands, bool all, bool negated) {
  ProgramJoint part{all != negated, {}};
  for (const ExprPtr& operand : operands) {
    ZQ_TRY(const std::size_t index, condition(*operand, negated));
    part.operands.push_back(index);
  }
  return add(std::move(part));
}

Result<std::size_t> Compiler::condition(const ExprNode& node, bool negated) {
  if (const auto* compare = std::get_if<CompareExpr>(&node.value)) {
    return comparison(*compare, negated);
  }
  if (const auto* conjunction = std::get_if<AndExpr>(&node.value)) {
    return joint(conjunction->operands, true, negated);
  }
  if (const auto* disjunction = std::get_if<OrExpr>(&node.value)) {
    return joint(disjunction->operands, false, negated);
  }
  if (const auto* negation = std::get_if<NotExpr>(&node.value)) {
    return condition(*negation->operand, !negated);
  }
  return fail(ErrorCode::kInternal, "a number where a condition belongs");
}

}  // namespace

Result<Program> compile(const Expression& expression, bool negated, const JudgeContext& context,
                        std::span<const Series> series) {
  if (expression.empty()) return fail(ErrorCode::kInternal, "an expression that was never read");
  Compiler compiler(expression, context, series);
  ZQ_CHECK(compiler.condition(expression.root(), negated));
  return std::move(compiler).take();
}

Result<Interval> evaluate_number(const Expression& expression, const JudgeContext& context,
                                 std::span<const Series> series, MonoTime at) {
  if (expression.empty()) return fail(ErrorCode::kInternal, "an expression that was never read");
  Compiler compiler(expression, context, series);
  ZQ_CHECK(compiler.number(expression.root(), nullptr));
  const Program program = std::move(compiler).take();
  return Sweep(program, series, at).number();
}

const PhaseWindow* find_phase(const JudgeContext& context, std::string_view name) {
  const auto found = std::ranges::find(context.phases, name, &PhaseWindow::name);
  return found == context.phases.end() ? nullptr : &*found;
}

}  // namespace zq
