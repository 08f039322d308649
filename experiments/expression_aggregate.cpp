#include "experiments/expression_aggregate.h"

#include <algorithm>
#include <array>
#include <regex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "experiments/hint.h"
#include "experiments/signal.h"

namespace zq {
namespace {

// The standard library's regular expressions recurse: a bound on their size bounds the stack.
constexpr std::size_t kLongestRegex = 256;

Status check_regex(const ExpressionScanner& scan, const LabelMatcher& matcher,
                   std::size_t value_at) {
  if (!matcher.quoted) {
    return scan.fail_at(value_at, "a regular expression must be quoted: \"{}\"", matcher.value);
  }
  if (matcher.value.size() > kLongestRegex) {
    return scan.fail_at(value_at, "a regular expression has at most {} characters", kLongestRegex);
  }
  try {
    const std::regex compiled(matcher.value, std::regex::ECMAScript);
  } catch (const std::regex_error& error) {
    return scan.fail_at(value_at, "'{}' is not a regular expression: {}", matcher.value,
                        error.what());
  }
  return {};
}

Result<LabelMatcher> read_matcher(ExpressionScanner& scan, const SignalInfo& signal) {
  static constexpr std::array<std::pair<std::string_view, MatchOp>, 4> kOperators{
      {{"=~", MatchOp::kMatches},
       {"!~", MatchOp::kNotMatches},
       {"!=", MatchOp::kNotEqual},
       {"=", MatchOp::kEqual}}};
  const std::size_t at = scan.mark();
  LabelMatcher result;
  result.label = scan.take_word();
  if (result.label.empty()) return scan.fail_at(at, "expected a label, found {}", scan.found());
  if (std::ranges::find(signal.labels, result.label) == signal.labels.end()) {
    const std::vector<std::string> labels(signal.labels.begin(), signal.labels.end());
    return scan.fail_at(at, "signal '{}' has no label '{}'{}", signal.name, result.label,
                        nearest_hint(result.label, labels, "it has"));
  }
  const std::size_t op_at = scan.mark();
  const auto* const op =
      std::ranges::find_if(kOperators, [&](const auto& known) { return scan.accept(known.first); });
  if (op == kOperators.end()) {
    return scan.fail_at(op_at, "expected = != =~ or !~ after label '{}', found {}", result.label,
                        scan.found());
  }
  if (scan.looks_at("=")) return scan.fail_at(op_at, "a label is compared with a single '='");
  result.op = op->second;
  const std::size_t value_at = scan.mark();
  result.quoted = scan.peek() == '"' || scan.peek() == '\'';
  if (result.quoted) {
    ZQ_TRY(result.value, scan.take_quoted());
  } else {
    result.value = scan.take_bare_value();
    if (result.value.empty()) {
      return scan.fail_at(value_at, "expected a value for label '{}', found {}", result.label,
                          scan.found());
    }
  }
  if (result.op == MatchOp::kEqual || result.op == MatchOp::kNotEqual) return result;
  ZQ_CHECK(check_regex(scan, result, value_at));
  return result;
}

Result<std::vector<LabelMatcher>> read_matchers(ExpressionScanner& scan, const SignalInfo& signal) {
  std::vector<LabelMatcher> result;
  if (scan.accept("}")) return result;
  do {
    ZQ_TRY(LabelMatcher one, read_matcher(scan, signal));
    result.push_back(std::move(one));
  } while (scan.accept(","));
  ZQ_CHECK(scan.expect("}", "or ',' after a label"));
  return result;
}

}  // namespace

std::optional<CompareOp> accept_comparator(ExpressionScanner& scan) {
  static constexpr std::array<std::pair<std::string_view, CompareOp>, 6> kOperators{{
      {"<=", CompareOp::kLessEqual},
      {">=", CompareOp::kGreaterEqual},
      {"==", CompareOp::kEqual},
      {"!=", CompareOp::kNotEqual},
      {"<", CompareOp::kLess},
      {">", CompareOp::kGreater},
  }};
  for (const auto& [symbol, op] : kOperators) {
    if (scan.accept(symbol)) return op;
  }
  return std::nullopt;
}

Result<AggregateExpr> read_aggregate(ExpressionScanner& scan, AggregateOp op) {
  std::size_t at = scan.mark();
  std::string_view name = scan.take_word();
  const bool known_only = name == "known";
  if (known_only) {
    at = scan.mark();
    name = scan.take_word();
  }
  if (name.empty()) return scan.fail_at(at, "expected a signal, found {}", scan.found());
  const SignalInfo* signal = find_signal(name);
  if (signal == nullptr) {
    std::vector<std::string> names;
    for (const SignalInfo& known : known_signals()) names.emplace_back(known.name);
    return scan.fail_at(at, "there is no signal '{}'{}", name,
                        nearest_hint(name, names, "there are"));
  }
  AggregateExpr node{op, std::string(name), {}, std::nullopt, known_only};
  if (scan.accept("{")) {
    ZQ_TRY(node.matchers, read_matchers(scan, *signal));
  }
  if (const auto comparator = accept_comparator(scan)) {
    const std::size_t number = scan.mark();
    const char next = scan.peek();
    if ((next < '0' || next > '9') && next != '.') {
      return scan.fail_at(number, "the comparison inside takes a plain number, found {}",
                          scan.found());
    }
    ZQ_TRY(const double value, scan.take_number());
    node.filter = {*comparator, value};
  }
  if (scan.looks_at("=")) return scan.fail_at(scan.mark(), "to compare, write '=='");
  ZQ_CHECK(scan.expect(")", fmt::format("after '{}'", name)));
  return node;
}

}  // namespace zq
