#include "experiments/expression.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <random>

#include "experiments/signal.h"

namespace zq {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const Position kHere{"x.toml", 7, 10};

Expression condition(std::string_view text) {
  auto result = Expression::parse_condition(text, kHere);
  EXPECT_TRUE(result) << text << "\n" << (result ? "" : result.error().message);
  return result ? *result : Expression{};
}

// Numbers without variables or signals, worked out.
double calculate(const ExprNode& node) {
  if (const auto* number = std::get_if<NumberExpr>(&node.value)) return number->value;
  const auto& arithmetic = std::get<ArithmeticExpr>(node.value);
  double result = calculate(*arithmetic.operands.front());
  for (std::size_t i = 1; i < arithmetic.operands.size(); ++i) {
    const double next = calculate(*arithmetic.operands[i]);
    switch (arithmetic.op) {
      case ArithmeticOp::kAdd:
        result += next;
        break;
      case ArithmeticOp::kSubtract:
        result -= next;
        break;
      case ArithmeticOp::kMultiply:
        result *= next;
        break;
      case ArithmeticOp::kDivide:
        result /= next;
        break;
      case ArithmeticOp::kMin:
        result = std::min(result, next);
        break;
      case ArithmeticOp::kMax:
        result = std::max(result, next);
        break;
    }
  }
  return result;
}

double number(std::string_view text) {
  const auto result = Expression::parse_number(text, kHere);
  EXPECT_TRUE(result) << text << "\n" << (result ? "" : result.error().message);
  return result ? calculate(result->root()) : -1e9;
}

TEST(ExpressionNumber, FollowsPrecedence) {
  EXPECT_EQ(number("1 + 2 * 3"), 7);
  EXPECT_EQ(number("(1 + 2) * 3"), 9);
  EXPECT_EQ(number("10 - 2 - 3"), 5);
  EXPECT_EQ(number("8 / 4 / 2"), 1);
  EXPECT_EQ(number("-2 * -(1 + 2)"), 6);
  EXPECT_EQ(number("2--3"), 5);
  EXPECT_EQ(number("max(1, 5, 2) - min(4, 3)"), 2);
  EXPECT_EQ(number(" \n\t1.5 "), 1.5);
}

TEST(ExpressionNumber, ReadsDurationsAsSeconds) {
  EXPECT_EQ(number("15s"), 15);
  EXPECT_EQ(number("250ms + 2m"), 120.25);
  EXPECT_EQ(number("1h"), 3600);
}

TEST(ExpressionNumber, NamesItsVariablesOnce) {
  const auto sum = Expression::parse_number(
      "a_max + max(b, a_max) * 2 + c1 - baseline(sum(app.answers)) / b", kHere);
  ASSERT_TRUE(sum) << sum.error().message;
  EXPECT_THAT(sum->variables(), ElementsAre("a_max", "b", "c1"));
  EXPECT_THAT(sum->signals(), ElementsAre("app.answers"));
  EXPECT_TRUE(sum->uses_baseline());
}

TEST(ExpressionCondition, KeepsTextPositionAndNames) {
  const std::string text =
      "sum(app.answers{zone!=cut}) >= replicas and max(net.rtt_ms) < 3 * min(net.rtt_ms)";
  const Expression parsed = condition(text);
  EXPECT_EQ(parsed.text(), text);
  EXPECT_EQ(parsed.position().to_string(), "x.toml:7:10");
  EXPECT_FALSE(parsed.empty());
  EXPECT_THAT(parsed.signals(), ElementsAre("app.answers", "net.rtt_ms"));
  EXPECT_THAT(parsed.variables(), ElementsAre("replicas"));
  EXPECT_FALSE(parsed.uses_baseline());
  EXPECT_TRUE(Expression{}.empty());
  EXPECT_TRUE(Expression{}.variables().empty());
}

TEST(ExpressionCondition, ReadsAnAggregate) {
  const Expression parsed = condition(
      R"(count(member.state{system="swarm", seen_by=~"m[12]", zone!=eu-1a} == 1) < baseline)");
  const auto& compare = std::get<CompareExpr>(parsed.root().value);
  EXPECT_EQ(compare.op, CompareOp::kLess);
  EXPECT_EQ(compare.right->column, parsed.text().find("baseline") + 1);
  EXPECT_EQ(std::get<BaselineExpr>(compare.right->value).of, nullptr);
  const auto& count = std::get<AggregateExpr>(compare.left->value);
  EXPECT_EQ(count.op, AggregateOp::kCount);
  EXPECT_EQ(count.signal, "member.state");
  ASSERT_TRUE(count.filter);
  EXPECT_EQ(count.filter->first, CompareOp::kEqual);
  EXPECT_EQ(count.filter->second, 1);
  ASSERT_EQ(count.matchers.size(), 3U);
  EXPECT_EQ(count.matchers[0].label, "system");
  EXPECT_EQ(count.matchers[0].value, "swarm");
  EXPECT_TRUE(count.matchers[0].quoted);
  EXPECT_EQ(count.matchers[1].op, MatchOp::kMatches);
  EXPECT_EQ(count.matchers[1].value, "m[12]");
  EXPECT_EQ(count.matchers[2].op, MatchOp::kNotEqual);
  EXPECT_EQ(count.matchers[2].value, "eu-1a");
  EXPECT_FALSE(count.matchers[2].quoted);
}

TEST(ExpressionCondition, ReadsQuotes) {
  const Expression parsed = condition(R"(sum(app.answers{app='a"b', node!~"m\d\"", zone=""}) > 0)");
  const auto& sum = std::get<AggregateExpr>(std::get<CompareExpr>(parsed.root().value).left->value);
  EXPECT_EQ(sum.matchers.at(0).value, "a\"b");
  EXPECT_EQ(sum.matchers.at(1).value, "m\\d\"");
  EXPECT_EQ(sum.matchers.at(1).op, MatchOp::kNotMatches);
  EXPECT_EQ(sum.matchers.at(2).value, "");
}

TEST(ExpressionCondition, JoinsConditions) {
  const Expression parsed = condition("not (a < 1 or b > 2) and (c + 1) * 2 == 3 and not d != 4");
  const auto& both = std::get<AndExpr>(parsed.root().value);
  ASSERT_EQ(both.operands.size(), 3U);
  const auto& negation = std::get<NotExpr>(both.operands[0]->value);
  EXPECT_TRUE(std::holds_alternative<OrExpr>(negation.operand->value));
  EXPECT_TRUE(std::holds_alternative<CompareExpr>(both.operands[1]->value));
  EXPECT_TRUE(std::holds_alternative<NotExpr>(both.operands[2]->value));
}

struct Wrong {
  std::string_view text;
  unsigned column;  // 1-based, inside the text
  std::string_view message;

  friend void PrintTo(const Wrong& wrong, std::ostream* out) { *out << wrong.text; }
};

class ExpressionWrongCondition : public testing::TestWithParam<Wrong> {};

TEST_P(ExpressionWrongCondition, IsRefusedWithItsPlace) {
  const auto [text, column, message] = GetParam();
  const auto result = Expression::parse_condition(text, kHere);
  ASSERT_FALSE(result) << text;
  EXPECT_EQ(result.error().code, ErrorCode::kInput);
  EXPECT_THAT(result.error().message, HasSubstr(message));
  EXPECT_THAT(result.error().message,
              testing::StartsWith("x.toml:7:" + std::to_string(9 + column) + ": "));
}

INSTANTIATE_TEST_SUITE_P(
    All, ExpressionWrongCondition,
    testing::Values(
        Wrong{"", 1, "a condition, like 'sum(app.answers) >= 3', is missing"},
        Wrong{"   ", 1, "is missing"}, Wrong{"sum(app.answers)", 1, "compare it with something"},
        Wrong{"sum(app.answer) > 1", 5, "no signal 'app.answer'; did you mean 'app.answers'?"},
        Wrong{"sum(weather) > 1", 5, "no signal 'weather'; there are: master.up"},
        Wrong{"sum() > 1", 5, "expected a signal, found ')'"},
        Wrong{"app.answers > 1", 1, "say which one: sum(app.answers), min(app.answers)"},
        Wrong{"total(app.answers) > 1", 1, "there is no function 'total'"},
        Wrong{"cuont(app.answers) > 1", 1, "did you mean 'count'?"},
        Wrong{"sum(app.answers{zoen=b}) > 1", 17, "no label 'zoen'; did you mean 'zone'?"},
        Wrong{"sum(app.answers{colour=b}) > 1", 17, "it has: app, instance, node, zone"},
        Wrong{"sum(app.answers{zone b}) > 1", 22, "expected = != =~ or !~ after label 'zone'"},
        Wrong{"sum(app.answers{zone==b}) > 1", 21, "compared with a single '='"},
        Wrong{"sum(app.answers{zone=}) > 1", 22, "expected a value for label 'zone', found '}'"},
        Wrong{"sum(app.answers{zone=b) > 1", 23, "expected '}' or ',' after a label, found ')'"},
        Wrong{"sum(app.answers{=b}) > 1", 17, "expected a label"},
        Wrong{"sum(app.answers{zone=\"b) > 1", 22, "never closed"},
        Wrong{"sum(app.answers{zone=~b.*}) > 1", 23, "must be quoted: \"b.\""},
        Wrong{"sum(app.answers{zone=~\"(b\"}) > 1", 23, "is not a regular expression"},
        Wrong{"sum(app.answers > 1", 20, "expected ')' after 'app.answers', found the end"},
        Wrong{"sum(app.answers = 1) > 1", 17, "write '=='"},
        Wrong{"sum(app.answers == replicas) > 1", 20, "takes a plain number, found 'replicas'"},
        Wrong{"max(app.answers, 3) > 1", 16, "expected ')' after 'app.answers', found ','"},
        Wrong{"max(replicas) > 1", 1, "'max' takes two or more numbers, or one signal"},
        Wrong{"replicas{zone=b} > 1", 1, "labels belong to a signal"},
        Wrong{"sum + 1 > 1", 5, "expected '(' after 'sum', found '+'"},
        Wrong{"sum(app.answers) = 1", 18, "to compare, write '=='"},
        Wrong{"sum(app.answers) === 1", 18, "unknown comparison"},
        Wrong{"1 < 2 < 3", 7, "comparisons do not chain"},
        Wrong{"(1 < 2) < 3", 2, "what is compared must be a number"},
        Wrong{"(1 < 2) + 3 > 1", 2, "each side of '+' must be a number"},
        Wrong{"-(1 < 2) > 1", 3, "what follows '-' must be a number"},
        Wrong{"1 + 2 and 1 < 2", 1, "each side of 'and' must be a condition"},
        Wrong{"1 < 2 or 5", 10, "each side of 'or' must be a condition"},
        Wrong{"not 5", 5, "what follows 'not' must be a condition"},
        Wrong{"1 < 2 and 2 < 3 or 3 < 4", 17, "say with parentheses which comes first"},
        Wrong{"1 <", 4, "expected a number, a duration, a timer or sum(...), found the end"},
        Wrong{"1 < not 2 > 1", 5, "found 'not'"}, Wrong{"(1 < 2", 7, "to close the parenthesis"},
        Wrong{"1 < 2)", 6, "expected 'and', 'or' or the end, found ')'"},
        Wrong{"a b < 2", 3, "expected an operator or the end, found 'b'"},
        Wrong{"a < 10 s", 8, "found 's'"}, Wrong{"a < 10x", 5, "'10x' has no known unit"},
        Wrong{"a < 1.2.3", 5, "1.2.3"}, Wrong{"a < \xc3\xa4", 5, "found the byte 0xc3"},
        Wrong{"sum(app.answers) < 1 for 10s", 22, "give it as the key `for`"},
        Wrong{"baseline > baseline", 1, "stands on both sides"},
        Wrong{"replicas >= baseline", 13, "that side observes nothing"},
        Wrong{"baseline(3) > 1", 10, "needs something observed"},
        Wrong{"baseline(baseline) < sum(app.answers)", 10, "needs something observed"},
        Wrong{"baseline(1 < sum(app.answers)) > 1", 10, "must be a number"}));

TEST(ExpressionWrongNumber, IsRefusedWithItsPlace) {
  const auto refused = [](std::string_view text) {
    const auto result = Expression::parse_number(text, kHere);
    return result ? "accepted" : result.error().message;
  };
  EXPECT_THAT(refused("1 < 2"), HasSubstr("x.toml:7:10: this must be a number"));
  EXPECT_THAT(refused("sum(app.answers) + baseline"),
              HasSubstr("x.toml:7:29: 'baseline' alone stands for the other side"));
  EXPECT_THAT(refused(""), HasSubstr("a number, like '15s'"));
}

TEST(ExpressionErrors, CountLinesInsideTheText) {
  const auto result = Expression::parse_condition("1 < 2 and\n  oops.x > 1", kHere);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("x.toml:8:3: "));
}

TEST(ExpressionErrors, HugeInputsAreRefusedAndNotFatal) {
  const auto message = [](const std::string& text) {
    const auto result = Expression::parse_condition(text, kHere);
    return result ? "accepted" : result.error().message;
  };
  EXPECT_THAT(message(std::string(3000, '(')), HasSubstr("nested deeper than"));
  EXPECT_THAT(message(std::string(3000, '-') + "1 < 2"), HasSubstr("nested deeper than"));
  std::string negations;
  for (int i = 0; i < 1000; ++i) negations += "not ";
  EXPECT_THAT(message(negations + "1 < 2"), HasSubstr("nested deeper than"));
  std::string nested;
  for (int i = 0; i < 400; ++i) nested += "baseline(";
  EXPECT_THAT(message(nested), HasSubstr("nested deeper than"));
  EXPECT_THAT(message(std::string(100000, '1')), HasSubstr("at most 4096 characters"));
  EXPECT_THAT(message("a < " + std::string(4000, '9')), HasSubstr("x.toml:7:14: "));
  EXPECT_THAT(message("sum(app.answers{zone=~\"" + std::string(1000, '(') + "\"}) < 1"),
              HasSubstr("at most 256 characters"));
  std::string chain = "1";
  for (int i = 0; i < 1000; ++i) chain += i % 2 == 0 ? "+1" : "-1";
  EXPECT_EQ(message(chain + " < 2"), "accepted");
}

// Mutations of good statements: whatever comes out is a value or a positioned error.
TEST(ExpressionErrors, MutatedInputsNeverCrash) {
  const std::vector<std::string> seeds{
      "sum(app.answers{app=web, zone!=cut}) >= replicas",
      "count(member.state{system=\"swarm\", seen_by=~\"m[12]\"} == 1) < baseline",
      "not (unreachable_max + 15s > 2 * -3 or max(a, 1.5, min(net.rtt_ms)) / 4 != "
      "baseline(max(net.rtt_ms)))",
  };
  const std::string alphabet = "(){}=!<>~+-*/,.\"'\\ax19 \n\xff";
  std::mt19937 random(20240607);  // NOLINT: the same inputs on every machine
  const auto pick = [&](std::size_t size) { return random() % size; };
  std::size_t accepted = 0;
  for (int round = 0; round < 30000; ++round) {
    std::string text = seeds[pick(seeds.size())];
    for (std::size_t change = pick(4); change-- > 0 && !text.empty();) {
      const std::size_t at = pick(text.size());
      switch (pick(4)) {
        case 0:
          text.erase(at, 1 + pick(5));
          break;
        case 1:
          text.insert(at, 1, alphabet[pick(alphabet.size())]);
          break;
        case 2:
          text[at] = static_cast<char>(pick(256));
          break;
        default: {
          const std::string& other = seeds[pick(seeds.size())];
          text.insert(at, other.substr(pick(other.size()), pick(20)));
        }
      }
    }
    const auto result = round % 2 == 0 ? Expression::parse_condition(text, kHere)
                                       : Expression::parse_number(text, kHere);
    if (result) {
      ++accepted;
      ASSERT_EQ(result->text(), text);
    } else {
      ASSERT_EQ(result.error().code, ErrorCode::kInput);
      ASSERT_THAT(result.error().message, testing::StartsWith("x.toml:")) << text;
    }
  }
  EXPECT_GT(accepted, 1000U);
  EXPECT_LT(accepted, 29000U);
}

TEST(Signals, AreFoundByName) {
  ASSERT_NE(find_signal("net.rtt_ms"), nullptr);
  EXPECT_THAT(find_signal("net.rtt_ms")->labels, ElementsAre("from", "to", "from_zone", "to_zone"));
  EXPECT_THAT(find_signal("app.answers")->labels, ElementsAre("app", "instance", "node", "zone"));
  EXPECT_NE(find_signal("write.attempted"), nullptr);
  EXPECT_EQ(find_signal("net.rtt"), nullptr);
  for (const SignalInfo& signal : known_signals()) {
    EXPECT_EQ(find_signal(signal.name), &signal);
    EXPECT_FALSE(signal.meaning.empty());
  }
}

TEST(SeriesAt, IsUnknownBeforeTheFirstAndAfterTheLastNews) {
  using std::chrono::milliseconds;
  const auto ms = [](int value) { return MonoTime{milliseconds(value)}; };
  Series series{"app.answers", {}, milliseconds(10), {}};
  EXPECT_EQ(series.at(ms(5)), std::nullopt);
  series.segments = {
      {ms(100), ms(150), 1}, {ms(155), ms(200), std::nullopt}, {ms(300), ms(300), 2}};
  EXPECT_EQ(series.at(ms(99)), std::nullopt);
  EXPECT_EQ(series.at(ms(100)), 1);
  EXPECT_EQ(series.at(ms(154)), 1);
  EXPECT_EQ(series.at(ms(155)), std::nullopt);
  EXPECT_EQ(series.at(ms(299)), std::nullopt);
  EXPECT_EQ(series.at(ms(310)), 2);
  EXPECT_EQ(series.at(ms(310) + Nanos{1}), std::nullopt);
  series.stale_after = Nanos::max();
  EXPECT_EQ(series.at(ms(1000000)), 2);
}

}  // namespace
}  // namespace zq
