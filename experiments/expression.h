// The expectation language, parsed. Conditions and bounds over signals:
//
//   sum(app.answers{app=web, zone!=cut}) >= replicas
//   count(member.state{system="swarm", seen_by=~"m[12]"} == 1) < baseline
//   unreachable_max + reschedule_max + 15s
//
//   condition  := comparison { ("and" | "or") comparison } | "not" condition | "(" condition ")"
//   comparison := sum ("<" | "<=" | "==" | "!=" | ">=" | ">") sum
//   sum        := product { ("+" | "-") product };  product := atom { ("*" | "/") atom }
//   atom       := number | duration | name | aggregate | "(" sum ")" | "-" atom
//                 | "max(" sum, sum... ")" | "min(" sum, sum... ")" | "baseline" | "baseline(" sum
//                 ")"
//   aggregate  := ("sum" | "min" | "max" | "count") "(" ["known"] selector [comparator number] ")"
//   selector   := signal [ "{" label ("=" | "!=" | "=~" | "!~") value {"," ...} "}" ]
//
// With `known` a series counts only while its observer can tell: what those say who know, for
// signals that some observers never know (a standby master of Mesos sees no members). Where nobody
// knows, the aggregate is unknown as ever.
// `not` binds only what directly follows it; `and` and `or` do not mix without parentheses.
// A label value is a bare word (a literal, or, for labels zone, node, from, to, seen_by, the name
// of a [select] entry, which then stands for all its zones or nodes) or a quoted string; =~ and !~
// take a quoted ECMAScript regular expression that must match whole. Durations are numbers of
// seconds. `baseline` alone stands for the other side of its comparison, evaluated at the end of
// the baseline phase. Judging lives in controller/judge; this file only reads and prints.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "agent/base/error.h"
#include "experiments/position.h"

namespace zq {

enum class MatchOp { kEqual, kNotEqual, kMatches, kNotMatches };
struct LabelMatcher {
  std::string label;
  MatchOp op = MatchOp::kEqual;
  std::string value;
  bool quoted = false;  // never the name of a selection
};

enum class CompareOp { kLess, kLessEqual, kEqual, kNotEqual, kGreaterEqual, kGreater };
enum class ArithmeticOp { kAdd, kSubtract, kMultiply, kDivide, kMin, kMax };
enum class AggregateOp { kSum, kMin, kMax, kCount };

struct ExprNode;
using ExprPtr = std::shared_ptr<const ExprNode>;

struct NumberExpr {
  double value = 0;
};
struct VariableExpr {
  std::string name;
};  // replicas, or a timer
struct BaselineExpr {
  ExprPtr of;
};  // null: the other side of the comparison
struct ArithmeticExpr {
  ArithmeticOp op{};
  std::vector<ExprPtr> operands;
};
struct AggregateExpr {
  AggregateOp op{};
  std::string signal;
  std::vector<LabelMatcher> matchers;
  // count(selector OP number) counts series that satisfy it; without it count() counts known series
  // whose value is not zero.
  std::optional<std::pair<CompareOp, double>> filter;
  bool known = false;  // unknown series are left out
};
struct CompareExpr {
  CompareOp op{};
  ExprPtr left, right;
};
struct AndExpr {
  std::vector<ExprPtr> operands;
};
struct OrExpr {
  std::vector<ExprPtr> operands;
};
struct NotExpr {
  ExprPtr operand;
};

struct ExprNode {
  std::variant<NumberExpr, VariableExpr, BaselineExpr, ArithmeticExpr, AggregateExpr, CompareExpr,
               AndExpr, OrExpr, NotExpr>
      value;
  std::uint32_t column = 0;  // 1-based offset inside the expression's text
};

class Expression {
 public:
  Expression() = default;
  // The text must be a condition (true or false). Unknown signals and labels are errors with the
  // nearest known name. `position` is that of the text's first character.
  static Result<Expression> parse_condition(std::string_view text, const Position& position);
  // The text must be a number (of seconds, replicas, ...).
  static Result<Expression> parse_number(std::string_view text, const Position& position);

  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] const Position& position() const { return position_; }
  [[nodiscard]] bool empty() const { return root_ == nullptr; }
  [[nodiscard]] const ExprNode& root() const { return *root_; }
  [[nodiscard]] std::vector<std::string> variables() const;
  [[nodiscard]] std::vector<std::string> signals() const;
  [[nodiscard]] bool uses_baseline() const;

 private:
  static Result<Expression> parse(std::string_view text, const Position& position, bool condition);
  std::string text_;
  Position position_;
  ExprPtr root_;
};

}  // namespace zq
