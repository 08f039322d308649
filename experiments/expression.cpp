#include "experiments/expression.h"

#include <algorithm>
#include <array>
#include <functional>
#include <memory>

#include "experiments/expression_aggregate.h"
#include "experiments/expression_scanner.h"
#include "experiments/hint.h"

namespace zq {
namespace {

// Far beyond any sensible statement, and far below where the recursion here or in the judge would
// run out of stack.
constexpr std::size_t kLongestText = 4096;
constexpr unsigned kDeepest = 64;

const std::array<std::string, 5> kFunctions{"sum", "min", "max", "count", "baseline"};

template <class Node>
ExprPtr make_node(Node node, std::size_t offset) {
  return std::make_shared<const ExprNode>(
      ExprNode{std::move(node), static_cast<std::uint32_t>(offset + 1)});
}

template <class Visitor>
void for_each_node(const ExprNode& node, const Visitor& visit) {
  visit(node);
  const auto all = [&](const std::vector<ExprPtr>& children) {
    for (const ExprPtr& child : children) for_each_node(*child, visit);
  };
  if (const auto* baseline = std::get_if<BaselineExpr>(&node.value)) {
    if (baseline->of) for_each_node(*baseline->of, visit);
  } else if (const auto* arithmetic = std::get_if<ArithmeticExpr>(&node.value)) {
    all(arithmetic->operands);
  } else if (const auto* compare = std::get_if<CompareExpr>(&node.value)) {
    all({compare->left, compare->right});
  } else if (const auto* conjunction = std::get_if<AndExpr>(&node.value)) {
    all(conjunction->operands);
  } else if (const auto* disjunction = std::get_if<OrExpr>(&node.value)) {
    all(disjunction->operands);
  } else if (const auto* negation = std::get_if<NotExpr>(&node.value)) {
    for_each_node(*negation->operand, visit);
  }
}

bool is_condition(const ExprNode& node) {
  return std::holds_alternative<CompareExpr>(node.value) ||
         std::holds_alternative<AndExpr>(node.value) ||
         std::holds_alternative<OrExpr>(node.value) || std::holds_alternative<NotExpr>(node.value);
}

bool observes(const ExprNode& node) {
  bool found = false;
  for_each_node(node, [&](const ExprNode& inner) {
    found = found || std::holds_alternative<AggregateExpr>(inner.value);
  });
  return found;
}

// A `baseline` without parentheses.
const ExprNode* find_bare_baseline(const ExprNode& node) {
  const ExprNode* found = nullptr;
  for_each_node(node, [&](const ExprNode& inner) {
    const auto* baseline = std::get_if<BaselineExpr>(&inner.value);
    if (found == nullptr && baseline != nullptr && !baseline->of) found = &inner;
  });
  return found;
}

class Parser {
 public:
  Parser(std::string_view text, const Position& position) : scan_(text, position) {}

  Result<ExprPtr> parse(bool condition);

 private:
  Result<ExprPtr> logical();
  Result<ExprPtr> negation();
  Result<ExprPtr> comparison();
  Result<ExprPtr> sum();
  Result<ExprPtr> product();
  Result<ExprPtr> factor();
  Result<ExprPtr> parenthesis();
  Result<ExprPtr> word();
  Result<ExprPtr> baseline(std::size_t start);
  Result<ExprPtr> function(std::string_view name, std::size_t start);
  Result<ExprPtr> aggregate(AggregateOp op, std::size_t start);

  // A left-associative chain of operators of one precedence.
  template <std::size_t N>
  Result<ExprPtr> chain(const std::array<std::pair<std::string_view, ArithmeticOp>, N>& operators,
                        Result<ExprPtr> (Parser::*operand)());
  Status need_number(const ExprPtr& node, std::string_view whose);
  Status need_condition(const ExprPtr& node, std::string_view whose);
  Status check_baseline(const ExprPtr& side, const ExprPtr& other);
  Result<ExprPtr> nested(Result<ExprPtr> (Parser::*rule)());

  ExpressionScanner scan_;
  unsigned depth_ = 0;
};

Result<ExprPtr> Parser::nested(Result<ExprPtr> (Parser::*rule)()) {
  if (depth_ >= kDeepest) {
    return scan_.fail_at(scan_.mark(), "nested deeper than {} levels; simplify it", kDeepest);
  }
  ++depth_;
  auto result = (this->*rule)();
  --depth_;
  return result;
}

Status Parser::need_number(const ExprPtr& node, std::string_view whose) {
  if (!is_condition(*node)) return {};
  return scan_.fail_at(node->column - 1, "{} must be a number, and this is a condition", whose);
}

Status Parser::need_condition(const ExprPtr& node, std::string_view whose) {
  if (is_condition(*node)) return {};
  return scan_.fail_at(
      node->column - 1,
      "{} must be a condition, and this is a number; compare it with something, as "
      "in 'sum(app.answers) >= 3'",
      whose);
}

Result<ExprPtr> Parser::parse(bool condition) {
  if (scan_.at_end()) {
    return scan_.fail_at(0, "{} is missing here",
                         condition ? "a condition, like 'sum(app.answers) >= 3',"
                                   : "a number, like '15s' or 'reschedule_max + 15s',");
  }
  ZQ_TRY(ExprPtr root, logical());
  if (const std::size_t rest = scan_.mark(); !scan_.at_end()) {
    if (scan_.peek_word() == "for") {
      return scan_.fail_at(rest, "'for' is no part of an expression; give it as the key `for`");
    }
    if (scan_.peek() == '=') return scan_.fail_at(rest, "to compare, write '=='");
    return scan_.fail_at(rest, "expected {} or the end, found {}",
                         is_condition(*root) ? "'and', 'or'" : "an operator", scan_.found());
  }
  ZQ_CHECK(condition ? need_condition(root, "this") : need_number(root, "this"));
  if (const ExprNode* bare = find_bare_baseline(*root); bare != nullptr && !condition) {
    return scan_.fail_at(bare->column - 1,
                         "'baseline' alone stands for the other side of a comparison; here, write "
                         "baseline(...)");
  }
  return root;
}

Result<ExprPtr> Parser::logical() {
  const std::size_t start = scan_.mark();
  ZQ_TRY(ExprPtr first, negation());
  const std::string_view joiner = scan_.peek_word();
  if (joiner != "and" && joiner != "or") return first;
  const std::string side = fmt::format("each side of '{}'", joiner);
  ZQ_CHECK(need_condition(first, side));
  std::vector<ExprPtr> operands{std::move(first)};
  while (scan_.peek_word() == joiner) {
    scan_.take_word();
    ZQ_TRY(ExprPtr operand, negation());
    ZQ_CHECK(need_condition(operand, side));
    operands.push_back(std::move(operand));
  }
  if (const std::string_view other = scan_.peek_word(); other == "and" || other == "or") {
    return scan_.fail_at(scan_.mark(),
                         "'and' and 'or' in a row; say with parentheses which comes first");
  }
  if (joiner == "and") return make_node(AndExpr{std::move(operands)}, start);
  return make_node(OrExpr{std::move(operands)}, start);
}

Result<ExprPtr> Parser::negation() {
  if (scan_.peek_word() != "not") return comparison();
  const std::size_t start = scan_.mark();
  scan_.take_word();
  ZQ_TRY(ExprPtr operand, nested(&Parser::negation));
  ZQ_CHECK(need_condition(operand, "what follows 'not'"));
  return make_node(NotExpr{std::move(operand)}, start);
}

Status Parser::check_baseline(const ExprPtr& side, const ExprPtr& other) {
  const ExprNode* bare = find_bare_baseline(*side);
  if (bare == nullptr) return {};
  if (find_bare_baseline(*other) != nullptr) {
    return scan_.fail_at(bare->column - 1,
                         "'baseline' stands on both sides; write one of them as baseline(...)");
  }
  if (!observes(*other)) {
    return scan_.fail_at(bare->column - 1,
                         "'baseline' stands for the other side at the end of the baseline phase, "
                         "and that side observes nothing");
  }
  return {};
}

Result<ExprPtr> Parser::comparison() {
  const std::size_t start = scan_.mark();
  ZQ_TRY(ExprPtr left, sum());
  const std::size_t at = scan_.mark();
  const auto op = accept_comparator(scan_);
  if (!op) return left;
  ZQ_CHECK(need_number(left, "what is compared"));
  if (scan_.looks_at("=")) return scan_.fail_at(at, "unknown comparison; use < <= == != >= or >");
  ZQ_TRY(ExprPtr right, sum());
  ZQ_CHECK(need_number(right, "what is compared"));
  const std::size_t next = scan_.mark();
  if (accept_comparator(scan_)) {
    return scan_.fail_at(next, "comparisons do not chain; join two of them with 'and'");
  }
  ZQ_CHECK(check_baseline(left, right));
  ZQ_CHECK(check_baseline(right, left));
  return make_node(CompareExpr{*op, std::move(left), std::move(right)}, start);
}

template <std::size_t N>
Result<ExprPtr> Parser::chain(
    const std::array<std::pair<std::string_view, ArithmeticOp>, N>& operators,
    Result<ExprPtr> (Parser::*operand)()) {
  const std::size_t start = scan_.mark();
  ZQ_TRY(ExprPtr left, (this->*operand)());
  for (;;) {
    const auto* const found = std::ranges::find_if(
        operators, [&](const auto& known) { return scan_.accept(known.first); });
    if (found == operators.end()) return left;
    const std::string whose = fmt::format("each side of '{}'", found->first);
    ZQ_CHECK(need_number(left, whose));
    ZQ_TRY(ExprPtr right, (this->*operand)());
    ZQ_CHECK(need_number(right, whose));
    left = make_node(ArithmeticExpr{found->second, {std::move(left), std::move(right)}}, start);
  }
}

Result<ExprPtr> Parser::sum() {
  static constexpr std::array<std::pair<std::string_view, ArithmeticOp>, 2> kOperators{
      {{"+", ArithmeticOp::kAdd}, {"-", ArithmeticOp::kSubtract}}};
  return chain(kOperators, &Parser::product);
}

Result<ExprPtr> Parser::product() {
  static constexpr std::array<std::pair<std::string_view, ArithmeticOp>, 2> kOperators{
      {{"*", ArithmeticOp::kMultiply}, {"/", ArithmeticOp::kDivide}}};
  return chain(kOperators, &Parser::factor);
}

Result<ExprPtr> Parser::factor() {
  const std::size_t start = scan_.mark();
  const char next = scan_.peek();
  if (next == '(') return nested(&Parser::parenthesis);
  if ((next >= '0' && next <= '9') || next == '.') {
    ZQ_TRY(const double value, scan_.take_number());
    return make_node(NumberExpr{value}, start);
  }
  if (scan_.accept("-")) {
    ZQ_TRY(ExprPtr operand, nested(&Parser::factor));
    ZQ_CHECK(need_number(operand, "what follows '-'"));
    if (const auto* number = std::get_if<NumberExpr>(&operand->value)) {
      return make_node(NumberExpr{-number->value}, start);
    }
    return make_node(ArithmeticExpr{ArithmeticOp::kSubtract,
                                    {make_node(NumberExpr{0}, start), std::move(operand)}},
                     start);
  }
  return nested(&Parser::word);
}

Result<ExprPtr> Parser::parenthesis() {
  ZQ_CHECK(scan_.expect("(", "here"));
  ZQ_TRY(ExprPtr inner, logical());
  ZQ_CHECK(scan_.expect(")", "to close the parenthesis"));
  return inner;
}

Result<ExprPtr> Parser::word() {
  const std::size_t start = scan_.mark();
  const std::string_view name = scan_.peek_word();
  if (name.empty() || name == "and" || name == "or" || name == "not" || name == "for") {
    return scan_.fail_at(start, "expected a number, a duration, a timer or sum(...), found {}",
                         scan_.found());
  }
  scan_.take_word();
  if (name == "baseline") return baseline(start);
  if (name.find('.') != std::string_view::npos) {
    return scan_.fail_at(start,
                         "a signal has many values; say which one: sum({0}), min({0}), "
                         "max({0}) or count({0})",
                         name);
  }
  if (scan_.looks_at("(")) return function(name, start);
  if (std::ranges::find(kFunctions, name) != kFunctions.end()) {
    return scan_.fail_at(scan_.mark(), "expected '(' after '{}', found {}", name, scan_.found());
  }
  if (scan_.looks_at("{")) {
    return scan_.fail_at(start, "labels belong to a signal inside sum(), min(), max() or count()");
  }
  return make_node(VariableExpr{std::string(name)}, start);
}

Result<ExprPtr> Parser::baseline(std::size_t start) {
  if (!scan_.looks_at("(")) return make_node(BaselineExpr{}, start);
  ZQ_TRY(ExprPtr of, parenthesis());
  ZQ_CHECK(need_number(of, "what baseline(...) repeats"));
  if (find_bare_baseline(*of) != nullptr || !observes(*of)) {
    return scan_.fail_at(of->column - 1,
                         "baseline(...) needs something observed, like baseline(sum(app.answers))");
  }
  return make_node(BaselineExpr{std::move(of)}, start);
}

Result<ExprPtr> Parser::aggregate(AggregateOp op, std::size_t start) {
  ZQ_TRY(AggregateExpr node, read_aggregate(scan_, op));
  return make_node(std::move(node), start);
}

Result<ExprPtr> Parser::function(std::string_view name, std::size_t start) {
  ZQ_CHECK(scan_.expect("(", "here"));
  const std::string_view inside = scan_.peek_word();
  const bool signal = inside.find('.') != std::string_view::npos || inside == "known";
  if (name == "sum") return aggregate(AggregateOp::kSum, start);
  if (name == "count") return aggregate(AggregateOp::kCount, start);
  if (name == "min" && signal) return aggregate(AggregateOp::kMin, start);
  if (name == "max" && signal) return aggregate(AggregateOp::kMax, start);
  if (name != "min" && name != "max") {
    return scan_.fail_at(start, "there is no function '{}'{}", name,
                         nearest_hint(name, kFunctions, "there are"));
  }
  std::vector<ExprPtr> operands;
  do {
    ZQ_TRY(ExprPtr operand, sum());
    ZQ_CHECK(need_number(operand, fmt::format("what '{}' takes", name)));
    operands.push_back(std::move(operand));
  } while (scan_.accept(","));
  ZQ_CHECK(scan_.expect(")", fmt::format("to close '{}('", name)));
  if (operands.size() < 2) {
    return scan_.fail_at(start, "'{}' takes two or more numbers, or one signal", name);
  }
  return make_node(
      ArithmeticExpr{name == "min" ? ArithmeticOp::kMin : ArithmeticOp::kMax, std::move(operands)},
      start);
}

template <class Node, class Field>
std::vector<std::string> unique_names(const ExprNode& root, Field Node::*field) {
  std::vector<std::string> names;
  for_each_node(root, [&](const ExprNode& node) {
    const auto* match = std::get_if<Node>(&node.value);
    if (match == nullptr || std::ranges::find(names, match->*field) != names.end()) return;
    names.push_back(match->*field);
  });
  return names;
}

}  // namespace

Result<Expression> Expression::parse(std::string_view text, const Position& position,
                                     bool condition) {
  if (text.size() > kLongestText) {
    return fail(ErrorCode::kInput, "{}: an expression has at most {} characters; this has {}",
                position.to_string(), kLongestText, text.size());
  }
  Expression result;
  ZQ_TRY(result.root_, Parser(text, position).parse(condition));
  result.text_ = text;
  result.position_ = position;
  return result;
}

Result<Expression> Expression::parse_condition(std::string_view text, const Position& position) {
  return parse(text, position, true);
}

Result<Expression> Expression::parse_number(std::string_view text, const Position& position) {
  return parse(text, position, false);
}

std::vector<std::string> Expression::variables() const {
  return empty() ? std::vector<std::string>{} : unique_names(root(), &VariableExpr::name);
}

std::vector<std::string> Expression::signals() const {
  return empty() ? std::vector<std::string>{} : unique_names(root(), &AggregateExpr::signal);
}

bool Expression::uses_baseline() const {
  bool found = false;
  if (empty()) return found;
  for_each_node(root(), [&](const ExprNode& node) {
    found = found || std::holds_alternative<BaselineExpr>(node.value);
  });
  return found;
}

}  // namespace zq
