// The judge against slow and simple readings of the same rules, on random histories.
#include <algorithm>
#include <functional>
#include <random>

#include "tests/unit/judge/history.h"

namespace zq::test {
namespace {

using std::chrono::milliseconds;

constexpr int kLength = 60;  // milliseconds

MonoTime ms(int value) { return mono_from_ns(5'000'000'000) + milliseconds(value); }

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}
  // 0 .. below - 1
  int below(int limit) { return static_cast<int>(engine_() % static_cast<unsigned>(limit)); }
  bool chance(int percent) { return below(100) < percent; }
  std::string one_of(const std::vector<std::string>& all) {
    return all[static_cast<std::size_t>(below(static_cast<int>(all.size())))];
  }

 private:
  std::mt19937 engine_;
};

// Changes fall on whole milliseconds and staleness on half ones (and a nanosecond), so that the
// cells below are constant.
std::vector<Series> random_history(Random& random) {
  std::vector<Series> all;
  const int unknown_percent = random.chance(50) ? 0 : 15;
  for (int i = random.below(6); i-- > 0;) {
    Series one;
    one.signal = random.chance(80) ? "app.answers" : "net.rtt_ms";
    const std::string zone = random.one_of({"a", "b", "c"});
    const std::string number = std::to_string(random.below(2) + 1);
    one.labels = {{"zone", zone}, {"node", zone + number}, {"from", zone + number}};
    one.stale_after =
        unknown_percent == 0 ? milliseconds(1000) : milliseconds(random.below(8)) + Nanos{500'000};
    int from = random.chance(70) ? 0 : random.below(30);
    while (from < kLength) {
      const int next = from + 1 + random.below(12);
      const int last = random.chance(unknown_percent) ? from + random.below(next - from) : next;
      std::optional<double> value = random.below(4);
      if (random.chance(unknown_percent)) value.reset();
      one.segments.push_back({ms(from), ms(last), value});
      from = next;
    }
    all.push_back(std::move(one));
  }
  return all;
}

std::string random_number(Random& random, int depth) {
  switch (random.below(depth > 0 ? 9 : 5)) {
    case 0:
      return std::to_string(random.below(6));
    case 1:
      return "replicas";
    case 2:
    case 3:
    case 4: {
      const std::string op = random.one_of({"sum", "min", "max", "count"});
      const std::string labels = random.one_of(
          {"", "{zone=cut}", "{zone!=cut}", "{node=~\".1\"}", "{node!=rest}", "{zone=rest}"});
      const std::string filter =
          random.chance(25) ? random.one_of({" == 1", " >= 2", " != 0"}) : "";
      return fmt::format("{}(app.answers{}{})", op, labels, filter);
    }
    case 5:
      return fmt::format("baseline({} + sum(app.answers))", random_number(random, 0));
    case 6:
      return fmt::format("{}({}, {})", random.one_of({"min", "max"}),
                         random_number(random, depth - 1), random_number(random, depth - 1));
    default:
      return fmt::format("({} {} {})", random_number(random, depth - 1),
                         random.one_of({"+", "-", "*", "/"}), random_number(random, depth - 1));
  }
}

std::string random_condition(Random& random, int depth) {
  switch (random.below(depth > 0 ? 6 : 2)) {
    case 2:
      return fmt::format("not ({})", random_condition(random, depth - 1));
    case 3:
    case 4: {
      const std::string joiner = random.one_of({"and", "or"});
      return fmt::format("(({1}) {0} ({2}) {0} {3})", joiner, random_condition(random, depth - 1),
                         random_condition(random, depth - 1), random_condition(random, 0));
    }
    case 5:
      return fmt::format("sum(app.answers{{zone={}}}) {} baseline", random.one_of({"a", "cut"}),
                         random.one_of({"<", "==", ">="}));
    default: {
      const std::string op = random.one_of({"<", "<=", "==", "!=", ">=", ">"});
      return fmt::format("{} {} {}", random_number(random, 2), op, random_number(random, 1));
    }
  }
}

JudgeContext milliseconds_context() {
  JudgeContext around = context();
  around.phases = {{"baseline", ms(0), ms(10)},
                   {"partition", ms(10), ms(40)},
                   {"recovery", ms(40), ms(kLength)}};
  return around;
}

// A world is one of the many that what was seen allows: whatever is unknown has some value.
class World {
 public:
  World(const std::vector<Series>& all, const JudgeContext& around, unsigned seed)
      : all_(all), around_(around), seed_(seed), random_(seed) {}

  bool condition(const ExprNode& node, MonoTime time) {
    if (const auto* both = std::get_if<AndExpr>(&node.value)) {
      return std::ranges::all_of(both->operands,
                                 [&](const ExprPtr& part) { return condition(*part, time); });
    }
    if (const auto* either = std::get_if<OrExpr>(&node.value)) {
      return std::ranges::any_of(either->operands,
                                 [&](const ExprPtr& part) { return condition(*part, time); });
    }
    if (const auto* negation = std::get_if<NotExpr>(&node.value)) {
      return !condition(*negation->operand, time);
    }
    const auto& compare = std::get<CompareExpr>(node.value);
    const double left = number(*compare.left, time, compare.right.get());
    const double right = number(*compare.right, time, compare.left.get());
    return holds(compare.op, left, right);
  }

  // Nothing had to be made up.
  [[nodiscard]] bool all_seen() const { return all_seen_; }

 private:
  static bool holds(CompareOp op, double left, double right) {
    switch (op) {
      case CompareOp::kLess:
        return left < right;
      case CompareOp::kLessEqual:
        return left <= right;
      case CompareOp::kEqual:
        return left == right;
      case CompareOp::kNotEqual:
        return left != right;
      case CompareOp::kGreaterEqual:
        return left >= right;
      case CompareOp::kGreater:
        break;
    }
    return left > right;
  }

  double anything() {
    all_seen_ = false;
    return random_.below(2000) - 1000;
  }

  double number(const ExprNode& node, MonoTime time, const ExprNode* other) {
    if (const auto* literal = std::get_if<NumberExpr>(&node.value)) return literal->value;
    if (const auto* variable = std::get_if<VariableExpr>(&node.value)) {
      return around_.variables.at(variable->name);
    }
    if (const auto* baseline = std::get_if<BaselineExpr>(&node.value)) {
      return number(baseline->of ? *baseline->of : *other, ms(10) - Nanos{1}, nullptr);
    }
    if (const auto* aggregate = std::get_if<AggregateExpr>(&node.value)) {
      return value(*aggregate, time);
    }
    const auto& arithmetic = std::get<ArithmeticExpr>(node.value);
    double result = number(*arithmetic.operands[0], time, other);
    for (std::size_t i = 1; i < arithmetic.operands.size(); ++i) {
      const double next = number(*arithmetic.operands[i], time, other);
      if (arithmetic.op == ArithmeticOp::kAdd) result += next;
      if (arithmetic.op == ArithmeticOp::kSubtract) result -= next;
      if (arithmetic.op == ArithmeticOp::kMultiply) result *= next;
      if (arithmetic.op == ArithmeticOp::kDivide) result = next == 0 ? anything() : result / next;
      if (arithmetic.op == ArithmeticOp::kMin) result = std::min(result, next);
      if (arithmetic.op == ArithmeticOp::kMax) result = std::max(result, next);
    }
    return result;
  }

  bool matches(const LabelMatcher& matcher, const Labels& labels) const {
    const std::string& value = labels.at(matcher.label);
    if (matcher.op == MatchOp::kMatches) return value.size() == 2 && value[1] == '1';
    std::vector<std::string> wanted{matcher.value};
    if (matcher.value == "cut" || matcher.value == "rest") {
      wanted = matcher.label == "zone" ? around_.selected_zones.at(matcher.value)
                                       : around_.selected_nodes.at(matcher.value);
    }
    const bool found = std::ranges::find(wanted, value) != wanted.end();
    return found == (matcher.op == MatchOp::kEqual);
  }

  double value(const AggregateExpr& aggregate, MonoTime time) {
    std::vector<double> values;
    bool any = false;
    for (std::size_t i = 0; i < all_.size(); ++i) {
      const Series& one = all_[i];
      if (one.signal != aggregate.signal || one.segments.front().from > time) continue;
      if (!std::ranges::all_of(aggregate.matchers, [&](const LabelMatcher& matcher) {
            return matches(matcher, one.labels);
          })) {
        continue;
      }
      any = true;
      auto seen = one.at(time);
      if (!seen) {
        all_seen_ = false;
        // The same in every place of the expression, another at every instant.
        Random made_up(seed_ * 1000 + static_cast<unsigned>(i) * 77 +
                       static_cast<unsigned>(to_ns(time) / 100'000));
        seen = made_up.chance(70) ? made_up.below(5) : made_up.below(100000) / 7.0;
      }
      if (!aggregate.filter || holds(aggregate.filter->first, *seen, aggregate.filter->second)) {
        values.push_back(*seen);
      }
    }
    if (!any) return anything();
    double sum = 0;
    double nonzero = 0;
    for (const double one : values) {
      sum += one;
      nonzero += one != 0 ? 1 : 0;
    }
    if (aggregate.op == AggregateOp::kSum) return sum;
    if (aggregate.op == AggregateOp::kCount) {
      return aggregate.filter ? static_cast<double>(values.size()) : nonzero;
    }
    if (values.empty()) return anything();
    return aggregate.op == AggregateOp::kMin ? *std::ranges::min_element(values)
                                             : *std::ranges::max_element(values);
  }

  const std::vector<Series>& all_;
  const JudgeContext& around_;
  unsigned seed_;
  Random random_;
  bool all_seen_ = true;
};

TEST(Property, WhatIsCertainIsSoInEveryWorld) {
  const JudgeContext around = milliseconds_context();
  int certain_though_blind = 0;
  int exact = 0;
  for (unsigned round = 0; round < 3000; ++round) {
    Random random(round);
    const std::vector<Series> all = random_history(random);
    const Expression statement = condition(random_condition(random, 2));
    for (int probe = 0; probe < 6; ++probe) {
      const MonoTime time = ms(random.below(kLength)) + Nanos{random.below(2) * 750'000};
      const auto verdict = *evaluate_condition(statement, around, all, time);
      for (unsigned seed = 0; seed < 6; ++seed) {
        World world(all, around, round * 10 + seed);
        const bool truth = world.condition(statement.root(), time);
        if (world.all_seen()) {
          ASSERT_TRUE(verdict) << statement.text() << " in round " << round;
          ++exact;
        } else if (verdict) {
          ++certain_though_blind;
        }
        if (verdict) {
          ASSERT_EQ(*verdict, truth) << statement.text() << " in round " << round;
        }
      }
    }
  }
  EXPECT_GT(exact, 10000);
  EXPECT_GT(certain_though_blind, 1000);
}

struct Cell {
  MonoTime from;
  MonoTime until;
  std::optional<bool> truth;
};

// The condition's value in every stretch in which no series can change.
std::vector<Cell> cells_of(const Expression& statement, const JudgeContext& around,
                           const std::vector<Series>& all, int from, int until) {
  std::vector<Cell> cells;
  for (int i = from; i < until; ++i) {
    const MonoTime middle = ms(i) + Nanos{500'001};
    cells.push_back({ms(i), middle, *evaluate_condition(statement, around, all, ms(i))});
    cells.push_back({middle, ms(i + 1), *evaluate_condition(statement, around, all, middle)});
  }
  return cells;
}

// Whether there are neighbouring cells that all fit and together last for `hold`.
bool exists(const std::vector<Cell>& cells, Nanos hold,
            const std::function<bool(const Cell&)>& fits) {
  for (std::size_t i = 0; i < cells.size(); ++i) {
    for (std::size_t j = i; j < cells.size() && fits(cells[j]); ++j) {
      if (cells[j].until - cells[i].from >= hold) return true;
    }
  }
  return false;
}

TEST(Property, AlwaysAndNeverAgreeWithTheGrid) {
  const JudgeContext around = milliseconds_context();
  std::map<VerdictKind, int> seen;
  for (unsigned round = 0; round < 2500; ++round) {
    Random random(round + 100000);
    const std::vector<Series> all = random_history(random);
    Expectation expectation = random.chance(50) ? always(random_condition(random, 1))
                                                : never(random_condition(random, 1));
    expectation.hold = random.chance(40) ? Nanos{} : milliseconds(1 + random.below(8));
    const bool wanted = expectation.temporal == Temporal::kAlways;
    const auto cells = cells_of(expectation.condition, around, all, 10, 40);
    VerdictKind naive = VerdictKind::kConfirmed;
    if (exists(cells, expectation.hold, [&](const Cell& cell) { return cell.truth == !wanted; })) {
      naive = VerdictKind::kRefuted;
    } else if (exists(cells, expectation.hold,
                      [&](const Cell& cell) { return cell.truth != wanted; })) {
      naive = VerdictKind::kInconclusive;
    }
    const Verdict verdict = judge_expectation(expectation, around, all);
    ASSERT_EQ(verdict.kind, naive)
        << expectation.condition.text() << " in round " << round << ": " << verdict.evidence;
    if (verdict.margin && naive == VerdictKind::kConfirmed) {
      ASSERT_GE(*verdict.margin, 0);
    }
    if (verdict.margin && naive == VerdictKind::kRefuted) {
      ASSERT_LE(*verdict.margin, 0);
    }
    ++seen[naive];
  }
  EXPECT_GT(seen[VerdictKind::kConfirmed], 200);
  EXPECT_GT(seen[VerdictKind::kRefuted], 200);
  EXPECT_GT(seen[VerdictKind::kInconclusive], 200);
}

TEST(Property, EventuallyAgreesWithTheGrid) {
  const JudgeContext around = milliseconds_context();
  std::map<VerdictKind, int> seen;
  for (unsigned round = 0; round < 2500; ++round) {
    Random random(round + 200000);
    const std::vector<Series> all = random_history(random);
    const int within = random.below(60);
    Expectation expectation = eventually(random_condition(random, 1), fmt::format("{}ms", within));
    expectation.hold = random.chance(40) ? Nanos{} : milliseconds(1 + random.below(8));
    const auto cells = cells_of(expectation.condition, around, all, 10, kLength);
    // Does it hold (or can it) from the start of a cell for as long as it must?
    const auto from_cell = [&](std::size_t start, bool surely) {
      for (std::size_t i = start;; ++i) {
        if (i == cells.size()) return !surely;  // nobody saw how it went on
        if (cells[i].truth == false || (surely && cells[i].truth != true)) return false;
        if (cells[i].until - cells[start].from >= expectation.hold) return true;
      }
    };
    const MonoTime deadline = ms(10 + within);
    std::optional<MonoTime> success;
    bool possible = ms(kLength) < deadline;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (!success && from_cell(i, true)) success = cells[i].from;
      possible = possible || (cells[i].from <= deadline && from_cell(i, false));
    }
    VerdictKind naive = possible ? VerdictKind::kInconclusive : VerdictKind::kRefuted;
    if (success && *success <= deadline) naive = VerdictKind::kConfirmed;
    const Verdict verdict = judge_expectation(expectation, around, all);
    ASSERT_EQ(verdict.kind, naive)
        << expectation.condition.text() << " in round " << round << ": " << verdict.evidence;
    ASSERT_EQ(verdict.measured.has_value(), success.has_value()) << round;
    if (success) {
      ASSERT_EQ(*verdict.measured, to_seconds(*success - ms(10)));
    }
    ++seen[naive];
  }
  EXPECT_GT(seen[VerdictKind::kConfirmed], 200);
  EXPECT_GT(seen[VerdictKind::kRefuted], 100);
  EXPECT_GT(seen[VerdictKind::kInconclusive], 200);
}

}  // namespace
}  // namespace zq::test
