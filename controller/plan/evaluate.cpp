#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "controller/plan/plan.h"

namespace zq {

namespace {

class Evaluator {
 public:
  Evaluator(const Expression& expression, const std::map<std::string, double>& variables)
      : expression_(expression), variables_(variables) {}

  Result<double> number(const ExprNode& node) const {
    if (const auto* literal = std::get_if<NumberExpr>(&node.value)) return literal->value;
    if (const auto* variable = std::get_if<VariableExpr>(&node.value)) {
      return lookup(variable->name, node);
    }
    if (const auto* arithmetic = std::get_if<ArithmeticExpr>(&node.value)) {
      return calculate(*arithmetic, node);
    }
    return fail(ErrorCode::kInput,
                "{}: '{}' must be a number made of durations and timers; signals, baseline and "
                "comparisons are not known before the run",
                where(node), expression_.text());
  }

 private:
  [[nodiscard]] std::string where(const ExprNode& node) const {
    Position position = expression_.position();
    if (node.column > 0) position.column += node.column - 1;
    return position.to_string();
  }

  Result<double> lookup(const std::string& name, const ExprNode& node) const {
    const auto found = variables_.find(name);
    if (found != variables_.end()) return found->second;
    std::string known;
    for (const auto& [other, value] : variables_) known += (known.empty() ? "" : ", ") + other;
    return fail(ErrorCode::kInput, "{}: '{}' is not known; the systems of this cluster give: {}",
                where(node), name, known.empty() ? "nothing" : known);
  }

  Result<double> calculate(const ArithmeticExpr& arithmetic, const ExprNode& node) const {
    if (arithmetic.operands.empty()) {
      return fail(ErrorCode::kInternal, "{}: an operator without operands", where(node));
    }
    ZQ_TRY(double result, number(*arithmetic.operands.front()));
    if (arithmetic.operands.size() == 1 && arithmetic.op == ArithmeticOp::kSubtract) {
      return -result;
    }
    for (std::size_t i = 1; i < arithmetic.operands.size(); ++i) {
      ZQ_TRY(const double operand, number(*arithmetic.operands[i]));
      switch (arithmetic.op) {
        case ArithmeticOp::kAdd:
          result += operand;
          break;
        case ArithmeticOp::kSubtract:
          result -= operand;
          break;
        case ArithmeticOp::kMultiply:
          result *= operand;
          break;
        case ArithmeticOp::kDivide:
          if (operand == 0) {
            return fail(ErrorCode::kInput, "{}: division by zero in '{}'", where(node),
                        expression_.text());
          }
          result /= operand;
          break;
        case ArithmeticOp::kMin:
          result = std::min(result, operand);
          break;
        case ArithmeticOp::kMax:
          result = std::max(result, operand);
          break;
      }
    }
    return result;
  }

  const Expression& expression_;
  const std::map<std::string, double>& variables_;
};

}  // namespace

Result<double> evaluate_number(const Expression& expression,
                               const std::map<std::string, double>& variables) {
  if (expression.empty()) {
    return fail(ErrorCode::kInput, "{}: a number is missing", expression.position().to_string());
  }
  ZQ_TRY(const double value, Evaluator(expression, variables).number(expression.root()));
  if (!std::isfinite(value)) {
    return fail(ErrorCode::kInput, "{}: '{}' is too large", expression.position().to_string(),
                expression.text());
  }
  return value;
}

}  // namespace zq
