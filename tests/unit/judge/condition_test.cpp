// What a condition is worth at one instant.
#include <gmock/gmock.h>

#include "tests/unit/judge/history.h"

namespace zq::test {
namespace {

using testing::HasSubstr;

const std::optional<bool> kYes = true;
const std::optional<bool> kNo = false;
const std::optional<bool> kUnknown;

std::vector<Series> web() {
  return {
      instance("i1", "a1", {{0, 1}}),
      instance("i2", "b1", {{0, 2}}),
      instance("i3", "b2", {{0, 0}}),
      instance("i4", "c1", {{0, 4}}),
  };
}

// The same with an instance on d1 that nobody can see.
std::vector<Series> half_seen() {
  std::vector<Series> all = web();
  all.push_back(instance("i5", "d1", {{0, std::nullopt}}));
  return all;
}

std::optional<bool> evaluate(std::string_view text, const std::vector<Series>& all,
                             double seconds = 20) {
  const auto result = evaluate_condition(condition(text), context(), all, at(seconds));
  EXPECT_TRUE(result) << text << ": " << (result ? "" : result.error().message);
  return result ? *result : kUnknown;
}

struct Case {
  std::string_view text;
  std::optional<bool> seen;       // all instances seen
  std::optional<bool> half_seen;  // one more of which nothing is known

  friend void PrintTo(const Case& one, std::ostream* out) { *out << one.text; }
};

class ConditionTable : public testing::TestWithParam<Case> {};

TEST_P(ConditionTable, IsTrueFalseOrUnknown) {
  EXPECT_EQ(evaluate(GetParam().text, web()), GetParam().seen);
  EXPECT_EQ(evaluate(GetParam().text, half_seen()), GetParam().half_seen);
}

INSTANTIATE_TEST_SUITE_P(
    Aggregates, ConditionTable,
    testing::Values(
        Case{"sum(app.answers) == 7", kYes, kUnknown}, Case{"sum(app.answers) >= 7", kYes, kYes},
        Case{"sum(app.answers) < 7", kNo, kNo}, Case{"sum(app.answers) <= 7", kYes, kUnknown},
        Case{"sum(app.answers) != 6", kYes, kYes}, Case{"sum(app.answers) == 6", kNo, kNo},
        Case{"max(app.answers) == 4", kYes, kUnknown}, Case{"max(app.answers) >= 4", kYes, kYes},
        Case{"max(app.answers) < 4", kNo, kNo}, Case{"min(app.answers) == 0", kYes, kYes},
        Case{"min(app.answers{zone!=b}) <= 1", kYes, kYes},
        Case{"min(app.answers{zone!=b}) > 0", kYes, kUnknown},
        Case{"min(app.answers{zone!=b}) > 1", kNo, kNo},
        Case{"count(app.answers) == 3", kYes, kUnknown},
        Case{"count(app.answers) >= 3", kYes, kYes}, Case{"count(app.answers) <= 4", kYes, kYes},
        Case{"count(app.answers) > 4", kNo, kNo},
        Case{"count(app.answers == 0) == 1", kYes, kUnknown},
        Case{"count(app.answers >= 2) < 4", kYes, kYes},
        Case{"sum(app.answers > 1) == 6", kYes, kUnknown},
        Case{"max(app.answers < 2) == 1", kYes, kUnknown},
        Case{"min(app.answers > 1) == 2", kYes, kUnknown},
        Case{"min(app.answers > 1) <= 2", kYes, kYes},
        // The least and the greatest of nothing are no numbers; its sum and count are 0.
        Case{"min(app.answers > 9) > 0", kUnknown, kUnknown},
        Case{"max(app.answers > 9) < 100", kUnknown, kUnknown},
        Case{"sum(app.answers > 9) == 0", kYes, kUnknown},
        Case{"count(app.answers > 9) == 0", kYes, kUnknown}));

INSTANTIATE_TEST_SUITE_P(
    Arithmetic, ConditionTable,
    testing::Values(Case{"sum(app.answers) - replicas * 2 == 1", kYes, kUnknown},
                    Case{"-sum(app.answers) <= -7", kYes, kYes},
                    Case{"10 - sum(app.answers) > 3", kNo, kNo},
                    Case{"sum(app.answers) / 7 >= 1s", kYes, kYes},
                    Case{"7 / sum(app.answers) <= 1", kYes, kYes},
                    Case{"1 / sum(app.answers{zone=b} == 0) > 0", kUnknown, kUnknown},
                    Case{"1 / zero == 1", kUnknown, kUnknown},
                    Case{"0 * sum(app.answers) == 0", kYes, kYes},
                    Case{"0 * (1 / zero) == 0", kYes, kYes},
                    Case{"max(sum(app.answers), 8) == 8", kYes, kUnknown},
                    Case{"min(sum(app.answers), 7) == 7", kYes, kYes},
                    Case{"sum(app.answers) == sum(app.answers)", kYes, kUnknown}));

INSTANTIATE_TEST_SUITE_P(
    Logic, ConditionTable,
    testing::Values(Case{"sum(app.answers) == 7 and 1 < 2", kYes, kUnknown},
                    Case{"sum(app.answers) == 7 and 1 > 2", kNo, kNo},
                    Case{"sum(app.answers) == 7 or 1 < 2", kYes, kYes},
                    Case{"sum(app.answers) == 7 or 1 > 2", kYes, kUnknown},
                    Case{"not sum(app.answers) == 7", kNo, kUnknown},
                    Case{"not sum(app.answers) < 7", kYes, kYes},
                    Case{"not (sum(app.answers) == 7 and 1 < 2)", kNo, kUnknown},
                    Case{"not (sum(app.answers) == 8 or 1 > 2)", kYes, kUnknown},
                    Case{"not (sum(app.answers) == 7 and 1 > 2)", kYes, kYes}));

TEST(Matchers, ResolveSelectionsAndExpressions) {
  const std::vector<Series> all = web();
  const auto is = [&](const std::string& labels, double sum) {
    return evaluate(fmt::format("sum(app.answers{{{}}}) == {}", labels, sum), all) == kYes;
  };
  EXPECT_TRUE(is("zone=cut", 2));    // zones of the selection
  EXPECT_TRUE(is("zone!=cut", 5));   // all others
  EXPECT_TRUE(is("zone=rest", 5));   // any of several
  EXPECT_TRUE(is("zone!=rest", 2));  // none of several
  EXPECT_TRUE(is("zone=b", 2));      // no selection: literally
  EXPECT_TRUE(is("node=cut", 2));    // nodes of the selection
  EXPECT_TRUE(is("node!=rest", 2));
  EXPECT_TRUE(is("node=c1", 4));
  EXPECT_TRUE(is("zone=cut, node!=b1", 0));
  EXPECT_TRUE(is("zone=~\"a|c\"", 5));
  EXPECT_TRUE(is("node=~\"b.\"", 2));
  EXPECT_TRUE(is("node!~\"b.\"", 5));
  EXPECT_TRUE(is("node=~\".*1\"", 7));
  EXPECT_TRUE(is("app=web", 7));
  // Matched whole; quoted and other labels are no selections; nothing matching is unknown.
  EXPECT_EQ(evaluate("sum(app.answers{node=~\"b\"}) >= 0", all), kUnknown);
  EXPECT_EQ(evaluate("sum(app.answers{zone=\"cut\"}) >= 0", all), kUnknown);
  EXPECT_EQ(evaluate("sum(app.answers{instance=cut}) >= 0", all), kUnknown);
  EXPECT_EQ(evaluate("count(app.answers{zone=nowhere}) == 0", all), kUnknown);
}

TEST(Matchers, ResolveSelectionsOnBothEndsOfAPath) {
  const auto path = [](const std::string& from, const std::string& to, double value) {
    return series("net.reachable",
                  {{"from", from},
                   {"to", to},
                   {"from_zone", from.substr(0, 1)},
                   {"to_zone", to.substr(0, 1)}},
                  {{0, value}});
  };
  const std::vector<Series> all{path("a1", "b1", 1), path("b1", "a1", 2), path("b2", "c1", 4),
                                path("a1", "c1", 8)};
  EXPECT_EQ(evaluate("sum(net.reachable{from_zone=cut}) == 6", all), kYes);
  EXPECT_EQ(evaluate("sum(net.reachable{to_zone=cut}) == 1", all), kYes);
  EXPECT_EQ(evaluate("sum(net.reachable{from=cut, to=rest}) == 6", all), kYes);
  EXPECT_EQ(evaluate("sum(net.reachable{from=rest, to!=cut}) == 8", all), kYes);
  const std::vector<Series> seen{
      series("member.state", {{"node", "a1"}, {"seen_by", "b1"}}, {{0, 1}}),
      series("member.state", {{"node", "a1"}, {"seen_by", "c1"}}, {{0, 0}})};
  EXPECT_EQ(evaluate("sum(member.state{seen_by=cut}) == 1", seen), kYes);
  EXPECT_EQ(evaluate("sum(member.state{system=\"\"}) == 1", seen),
            kYes);  // a label that is not there
}

TEST(Condition, ASeriesTakesPartFromItsFirstSegmentOn) {
  std::vector<Series> all{instance("", "a1", {{0, 0}}), instance("new", "a1", {{30, 1}})};
  EXPECT_EQ(evaluate("sum(app.answers) == 0", all, 29), kYes);
  EXPECT_EQ(evaluate("sum(app.answers) == 1", all, 30), kYes);
  all.erase(all.begin());
  EXPECT_EQ(evaluate("sum(app.answers) == 0", all, 29), kUnknown);
}

TEST(Condition, StaleIsUnknownFromTheNextNanosecond) {
  const std::vector<Series> all{instance("1", "a1", {{0, 1}}, 20)};
  const auto value = [&](MonoTime time) {
    return *evaluate_condition(condition("sum(app.answers) == 1"), context(), all, time);
  };
  EXPECT_EQ(value(at(21)), kYes);
  EXPECT_EQ(value(at(21) + Nanos{1}), kUnknown);
  std::vector<Series> forever = all;
  forever[0].stale_after = Nanos::max();
  EXPECT_EQ(*evaluate_condition(condition("sum(app.answers) == 1"), context(), forever,
                                MonoTime::max() - Nanos{1}),
            kYes);
}

TEST(Condition, NumbersThatAreNoneAreUnknown) {
  EXPECT_EQ(evaluate("sum(app.answers) >= 0",
                     {instance("1", "a1", {{0, std::numeric_limits<double>::quiet_NaN()}})}),
            kYes);  // not negative, whatever it is
  EXPECT_EQ(evaluate("sum(app.answers) >= 1",
                     {instance("1", "a1", {{0, std::numeric_limits<double>::quiet_NaN()}})}),
            kUnknown);
  EXPECT_EQ(
      evaluate("sum(app.answers) * sum(app.answers) > 1", {instance("1", "a1", {{0, 1e200}})}),
      kUnknown);  // beyond what can be represented
}

TEST(Condition, ABaselineThatHasNotBeenIsUnknownAndAVariableThatIsNotAnError) {
  JudgeContext early = context();
  early.phases.clear();
  const auto unknown =
      evaluate_condition(condition("sum(app.answers) >= baseline"), early, web(), at(5));
  ASSERT_TRUE(unknown);
  EXPECT_EQ(*unknown, kUnknown);
  const auto error = evaluate_condition(condition("sum(app.answers) >= gain"), early, web(), at(5));
  ASSERT_FALSE(error);
  EXPECT_EQ(error.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(error.error().message, HasSubstr("x.toml:1:21"));
}

TEST(JudgeAll, KeepsTheOrderOfTheFile) {
  Experiment experiment;
  experiment.expectations = {always("sum(app.answers) == 7"), never("sum(app.answers) == 7"),
                             eventually("max(net.rtt_ms) > 1", "5s")};
  experiment.expectations[1].id = "second";
  const std::vector<Verdict> verdicts = judge_all(experiment, context(), web());
  ASSERT_EQ(verdicts.size(), 3U);
  EXPECT_EQ(verdicts[0].kind, VerdictKind::kConfirmed);
  EXPECT_EQ(verdicts[1].kind, VerdictKind::kRefuted);
  EXPECT_EQ(verdicts[1].expectation, "second");
  EXPECT_EQ(verdicts[2].kind, VerdictKind::kInconclusive);
}

// What those say who can tell; where nobody can, it stays unknown.
TEST(Condition, KnownLeavesOutWhoCannotTell) {
  EXPECT_EQ(evaluate("min(app.answers{zone=d}) == 1", half_seen()), kUnknown);
  EXPECT_EQ(evaluate("min(known app.answers{zone=d}) == 1", half_seen()), kUnknown);
  EXPECT_EQ(evaluate("max(app.answers) == 4", half_seen()), kUnknown);
  EXPECT_EQ(evaluate("max(known app.answers) == 4", half_seen()), kYes);
  EXPECT_EQ(evaluate("min(known app.answers) == 1", half_seen()), kNo);
  EXPECT_EQ(evaluate("count(known app.answers == 0) == 1", half_seen()), kYes);
  EXPECT_EQ(evaluate("sum(known app.answers) == 7", half_seen()), kYes);
}

}  // namespace
}  // namespace zq::test
