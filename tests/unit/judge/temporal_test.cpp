// What always, never and eventually say about small histories.
#include <gmock/gmock.h>

#include "tests/unit/judge/history.h"

namespace zq::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr double kNever = -1;

Verdict judge(const Expectation& expectation, const std::vector<Series>& all,
              const JudgeContext& around = context()) {
  return judge_expectation(expectation, around, all);
}

// ---- always

TEST(Always, HoldsThroughout) {
  const Verdict verdict =
      judge(always("sum(app.answers) >= 2"),
            {instance("1", "a1", {{0, 1}}), instance("2", "b1", {{0, 1}, {20, 2}, {30, 1}})});
  EXPECT_EQ(verdict.kind, VerdictKind::kConfirmed);
  EXPECT_EQ(verdict.expectation, "it");
  EXPECT_EQ(verdict.measured, 2);
  EXPECT_EQ(verdict.bound, 2);
  EXPECT_EQ(verdict.margin, 0);
  EXPECT_EQ(verdict.unit, "");
  EXPECT_THAT(verdict.evidence, HasSubstr("sum(app.answers) = 2 >= 2 at the tightest, at +0s; it "
                                          "held throughout 'partition' (40s)"));
}

TEST(Always, IsRefutedByTheFirstViolation) {
  const Verdict verdict = judge(
      always("sum(app.answers) >= 3"),
      {instance("1", "a1", {{0, 1}}), instance("2", "b1", {{0, 1}, {11.2, 0}, {20, 1}, {30, 0}}),
       instance("3", "b2", {{0, 1}, {30, 0}})});
  EXPECT_EQ(verdict.kind, VerdictKind::kRefuted);
  EXPECT_EQ(verdict.at, at(11.2));
  EXPECT_EQ(verdict.measured, 1);
  EXPECT_EQ(verdict.bound, 3);
  EXPECT_EQ(verdict.margin, -2);
  EXPECT_EQ(verdict.evidence,
            "sum(app.answers) = 2, not >= 3 from +1.2s to +10s (8.8s): "
            "app.answers{app=web,instance=2,node=b1,zone=b} went from 1 to 0 at +1.2s; at worst, "
            "sum(app.answers) = 1, not >= 3, at +20s");
}

TEST(Always, LooksOnlyAtItsPhase) {
  const std::vector<Series> all{instance("1", "a1", {{0, 0}, {10, 1}, {50, 0}})};
  EXPECT_EQ(judge(always("sum(app.answers) == 1"), all).kind, VerdictKind::kConfirmed);
  const std::vector<Series> late{instance("1", "a1", {{0, 0}, {10.001, 1}, {50, 0}})};
  const Verdict verdict = judge(always("sum(app.answers) == 1"), late);
  EXPECT_EQ(verdict.kind, VerdictKind::kRefuted);
  EXPECT_EQ(verdict.at, at(10));
  EXPECT_THAT(verdict.evidence, HasSubstr("began with 0 at -10s"));
}

TEST(Always, ForgivesWhatIsShorterThanFor) {
  const std::vector<Series> all{instance("1", "a1", {{0, 1}, {20, 0}, {24, 1}, {40, 0}, {42, 1}})};
  const Verdict forgiven = judge(always("sum(app.answers) == 1", 5), all);
  EXPECT_EQ(forgiven.kind, VerdictKind::kConfirmed);
  EXPECT_EQ(forgiven.margin, 0);
  EXPECT_THAT(forgiven.evidence, HasSubstr("but for 2 violations shorter than 5s, the longest 4s"));
  EXPECT_EQ(judge(always("sum(app.answers) == 1", 4), all).kind, VerdictKind::kRefuted);
  EXPECT_EQ(judge(always("sum(app.answers) == 1", 3), all).at, at(20));
}

TEST(Always, IsInconclusiveWhenForIsMetWithinUncertainty) {
  const std::vector<Series> all{instance("1", "a1", {{0, 1}, {20, 0}, {24, 1}})};
  JudgeContext around = context();
  around.uncertainty = from_seconds(0.5);
  EXPECT_EQ(judge(always("sum(app.answers) == 1", 3.6), all, around).kind,
            VerdictKind::kInconclusive);
  EXPECT_EQ(judge(always("sum(app.answers) == 1", 4.4), all, around).kind,
            VerdictKind::kInconclusive);
  EXPECT_EQ(judge(always("sum(app.answers) == 1", 3.5), all, around).kind, VerdictKind::kRefuted);
  EXPECT_EQ(judge(always("sum(app.answers) == 1", 4.5), all, around).kind, VerdictKind::kConfirmed);
}

TEST(Always, IsInconclusiveForAViolationAtTheEdgeWithinUncertainty) {
  JudgeContext around = context();
  around.uncertainty = from_seconds(0.01);
  const auto kind = [&](const Points& points) {
    return judge(always("sum(app.answers) == 1"), {instance("1", "a1", points)}, around).kind;
  };
  EXPECT_EQ(kind({{0, 0}, {10.01, 1}}), VerdictKind::kInconclusive);
  EXPECT_EQ(kind({{0, 1}, {49.99, 0}}), VerdictKind::kInconclusive);
  EXPECT_EQ(kind({{0, 0}, {10.02, 1}}), VerdictKind::kRefuted);
  EXPECT_EQ(kind({{0, 1}, {30, 0}, {30.005, 1}}), VerdictKind::kRefuted);
}

TEST(Always, IsInconclusiveWhereItIsBlind) {
  const Verdict stale = judge(always("sum(app.answers) == 1"), {instance("1", "a1", {{0, 1}}, 20)});
  EXPECT_EQ(stale.kind, VerdictKind::kInconclusive);
  EXPECT_EQ(stale.at, at(21) + Nanos{1});
  EXPECT_EQ(stale.measured, 1);
  EXPECT_THAT(stale.evidence,
              AllOf(HasSubstr("is unknown from +11s to the end of 'partition' (29s)"),
                    HasSubstr("app.answers{app=web,instance=1,node=a1,zone=a} was 1 until +11s and "
                              "is unknown since")));

  const Verdict told =
      judge(always("sum(app.answers) == 1"), {instance("1", "a1", {{0, std::nullopt}, {20, 1}})});
  EXPECT_EQ(told.kind, VerdictKind::kInconclusive);
  EXPECT_THAT(told.evidence, HasSubstr("was never known"));

  const Verdict silent = judge(always("sum(app.answers{app=web}) == 0"), {});
  EXPECT_EQ(silent.kind, VerdictKind::kInconclusive);
  EXPECT_EQ(silent.measured, std::nullopt);
  EXPECT_THAT(silent.evidence, HasSubstr("no series is there for sum(app.answers{app=web})"));
}

TEST(Always, IsRefutedInSpiteOfBlindness) {
  const std::vector<Series> all{
      instance("1", "a1", {{0, 1}, {12, std::nullopt}, {20, 1}, {40, 0}, {41, 1}})};
  const Verdict verdict = judge(always("sum(app.answers) == 1"), all);
  EXPECT_EQ(verdict.kind, VerdictKind::kRefuted);
  EXPECT_EQ(verdict.at, at(40));
}

TEST(Always, AddsUpViolationAndBlindness) {
  // 3 s of violation and 3 s of blindness may have been 6 s of violation.
  const std::vector<Series> all{
      instance("1", "a1", {{0, 1}, {20, 0}, {23, std::nullopt}, {26, 1}})};
  EXPECT_EQ(judge(always("sum(app.answers) == 1", 5), all).kind, VerdictKind::kInconclusive);
  EXPECT_EQ(judge(always("sum(app.answers) == 1", 7), all).kind, VerdictKind::kConfirmed);
  EXPECT_EQ(judge(always("sum(app.answers) == 1", 2), all).kind, VerdictKind::kRefuted);
}

TEST(Always, TakesUnknownMembersForWhatTheyMayBe) {
  const std::vector<Series> all{instance("1", "a1", {{0, 2}}),
                                instance("2", "b1", {{0, std::nullopt}})};
  const Verdict enough = judge(always("sum(app.answers) >= 2"), all);
  EXPECT_EQ(enough.kind, VerdictKind::kConfirmed);
  EXPECT_THAT(enough.evidence, HasSubstr("is at least 2 >= 2"));
  EXPECT_EQ(judge(always("sum(app.answers) >= 3"), all).kind, VerdictKind::kInconclusive);
  const Verdict too_many = judge(always("sum(app.answers) < 2"), all);
  EXPECT_EQ(too_many.kind, VerdictKind::kRefuted);
  EXPECT_THAT(too_many.evidence, HasSubstr("is at least 2, not < 2"));
}

TEST(Always, ComparesWithTheEndOfTheBaseline) {
  const std::vector<Series> all{instance("1", "b1", {{0, 5}, {9, 2}, {10, 3}, {30, 2}})};
  EXPECT_EQ(judge(always("sum(app.answers{zone=cut}) >= baseline"), all).kind,
            VerdictKind::kConfirmed);
  EXPECT_EQ(judge(always("baseline <= sum(app.answers{zone=cut})"), all).kind,
            VerdictKind::kConfirmed);
  const Verdict verdict = judge(always("sum(app.answers{zone=cut}) > baseline"), all);
  EXPECT_EQ(verdict.kind, VerdictKind::kRefuted);
  EXPECT_EQ(verdict.bound, 2);
  EXPECT_THAT(verdict.evidence, HasSubstr("sum(app.answers{zone=cut}) = 2, not > baseline (2)"));
  EXPECT_EQ(judge(always("sum(app.answers) < 2 * baseline(max(app.answers))"), all).kind,
            VerdictKind::kConfirmed);
}

TEST(Always, IsInconclusiveWithoutABaseline) {
  JudgeContext around = context();
  around.phases.erase(around.phases.begin());
  const std::vector<Series> all{instance("1", "b1", {{0, 1}})};
  const Verdict verdict = judge(always("sum(app.answers) >= baseline"), all, around);
  EXPECT_EQ(verdict.kind, VerdictKind::kInconclusive);
  EXPECT_THAT(verdict.evidence, HasSubstr("the baseline is unknown"));
}

TEST(Always, IsInconclusiveWhenThePhaseNeverRan) {
  Expectation expectation = always("sum(app.answers) == 1");
  expectation.during = "elsewhere";
  const std::vector<Series> all{instance("1", "b1", {{0, 1}})};
  EXPECT_THAT(judge(expectation, all).evidence, HasSubstr("phase 'elsewhere' never ran"));
  EXPECT_EQ(judge(expectation, all).kind, VerdictKind::kInconclusive);
  JudgeContext around = context();
  around.phases[1].until = around.phases[1].from;
  EXPECT_THAT(judge(always("sum(app.answers) == 1"), all, around).evidence,
              HasSubstr("phase 'partition' never ran"));
}

TEST(Always, NamesAnUnknownVariable) {
  const Verdict verdict =
      judge(always("sum(app.answers) >= replica"), {instance("1", "b1", {{0, 1}})});
  EXPECT_EQ(verdict.kind, VerdictKind::kInconclusive);
  EXPECT_EQ(verdict.expectation, "it");
  EXPECT_THAT(verdict.evidence, HasSubstr("x.toml:1:21: the cluster's systems tell no timer or "
                                          "number 'replica'; did you mean 'replicas'?"));
}

// ---- never

TEST(Never, IsTheDualOfAlways) {
  const std::vector<Series> all{
      series("master.leads", {{"node", "a1"}}, {{0, 1}, {30, 0}}),
      series("master.leads", {{"node", "b1"}}, {{0, 0}, {27, 1}}),
  };
  const Verdict twice = judge(never("sum(master.leads) > 1"), all);
  EXPECT_EQ(twice.kind, VerdictKind::kRefuted);
  EXPECT_EQ(twice.at, at(27));
  EXPECT_EQ(twice.measured, 2);
  EXPECT_EQ(twice.bound, 1);
  EXPECT_EQ(twice.margin, -1);
  EXPECT_THAT(twice.evidence, HasSubstr("sum(master.leads) = 2, not <= 1 from +17s to +20s (3s): "
                                        "master.leads{node=b1} went from 0 to 1 at +17s"));
  EXPECT_EQ(judge(never("sum(master.leads) > 1", 4), all).kind, VerdictKind::kConfirmed);
  EXPECT_EQ(judge(never("sum(master.leads) > 2"), all).kind, VerdictKind::kConfirmed);
  const std::vector<Series> blind{series("master.leads", {{"node", "a1"}}, {{0, 1}}),
                                  series("master.leads", {{"node", "b1"}}, {{0, 0}}, 20)};
  EXPECT_EQ(judge(never("sum(master.leads) > 1"), blind).kind, VerdictKind::kInconclusive);
}

// ---- eventually

std::vector<Series> holds_from(double seconds, double until = kNever) {
  Points points{{0, 0}, {seconds, 1}};
  if (until != kNever) points.emplace_back(until, 0);
  return {instance("1", "a1", points)};
}

TEST(Eventually, MeasuresTheTimeUntilItHeld) {
  const Verdict verdict =
      judge(eventually("sum(app.answers) >= 1", "reschedule_max + 5s"), holds_from(22.5));
  EXPECT_EQ(verdict.kind, VerdictKind::kConfirmed);
  EXPECT_EQ(verdict.measured, 12.5);
  EXPECT_EQ(verdict.bound, 25);
  EXPECT_EQ(verdict.margin, 12.5);
  EXPECT_EQ(verdict.unit, "s");
  EXPECT_EQ(verdict.at, at(22.5));
  EXPECT_EQ(verdict.evidence,
            "sum(app.answers) = 1 >= 1 from +12.5s of 'partition' on, 12.5s inside the bound of "
            "25s: app.answers{app=web,instance=1,node=a1,zone=a} went from 0 to 1 at +12.5s");
}

TEST(Eventually, MeetsItsBoundExactly) {
  EXPECT_EQ(judge(eventually("sum(app.answers) >= 1", "12.5s"), holds_from(22.5)).kind,
            VerdictKind::kConfirmed);
  EXPECT_EQ(judge(eventually("sum(app.answers) >= 1", "0s"), holds_from(10)).kind,
            VerdictKind::kConfirmed);
}

TEST(Eventually, IsRefutedWhenItCameTooLate) {
  const Verdict verdict = judge(eventually("sum(app.answers) >= 1", "20s"), holds_from(60));
  EXPECT_EQ(verdict.kind, VerdictKind::kRefuted);
  EXPECT_EQ(verdict.measured, 50);
  EXPECT_EQ(verdict.margin, -30);
  EXPECT_THAT(verdict.evidence, HasSubstr("30s after the bound of 20s"));
}

TEST(Eventually, IsRefutedWhenItNeverCame) {
  const Verdict verdict = judge(eventually("sum(app.answers) >= 2", "20s"), holds_from(60));
  EXPECT_EQ(verdict.kind, VerdictKind::kRefuted);
  EXPECT_EQ(verdict.measured, std::nullopt);
  EXPECT_EQ(verdict.margin, std::nullopt);
  EXPECT_EQ(verdict.bound, 20);
  EXPECT_THAT(verdict.evidence,
              AllOf(HasSubstr("it never held up to the end of the record at +1m30s"),
                    HasSubstr("the nearest was sum(app.answers) = 1, not >= 2 at +50s")));
}

TEST(Eventually, LooksPastThePhaseButNotPastTheRecord) {
  EXPECT_EQ(judge(eventually("sum(app.answers) >= 1", "60s"), holds_from(60)).kind,
            VerdictKind::kConfirmed);
  const Verdict cut_short = judge(eventually("sum(app.answers) >= 2", "2m"), holds_from(60));
  EXPECT_EQ(cut_short.kind, VerdictKind::kInconclusive);
  EXPECT_THAT(cut_short.evidence,
              HasSubstr("the record ends at +1m30s, before the bound of 2m00s"));
  EXPECT_EQ(judge(eventually("sum(app.answers) >= 2", "90s"), holds_from(60)).kind,
            VerdictKind::kRefuted);
}

TEST(Eventually, MustHoldForItsFor) {
  const std::vector<Series> flicker{instance("1", "a1", {{0, 0}, {12, 1}, {14, 0}, {20, 1}})};
  const Verdict verdict = judge(eventually("sum(app.answers) >= 1", "15s", 5), flicker);
  EXPECT_EQ(verdict.kind, VerdictKind::kConfirmed);
  EXPECT_EQ(verdict.measured, 10);
  EXPECT_EQ(judge(eventually("sum(app.answers) >= 1", "15s", 2), flicker).measured, 2);
  EXPECT_EQ(judge(eventually("sum(app.answers) >= 1", "9s", 5), flicker).kind,
            VerdictKind::kRefuted);
  // The record ends before it could have lasted.
  EXPECT_EQ(judge(eventually("sum(app.answers) >= 1", "90s", 5), holds_from(97)).kind,
            VerdictKind::kInconclusive);
}

TEST(Eventually, IsInconclusiveWithinUncertainty) {
  JudgeContext around = context();
  around.uncertainty = from_seconds(0.1);
  const auto kind = [&](double seconds) {
    return judge(eventually("sum(app.answers) >= 1", "20s"), holds_from(seconds), around).kind;
  };
  EXPECT_EQ(kind(29.9), VerdictKind::kConfirmed);
  EXPECT_EQ(kind(29.95), VerdictKind::kInconclusive);
  EXPECT_EQ(kind(30), VerdictKind::kInconclusive);
  EXPECT_EQ(kind(30.05), VerdictKind::kInconclusive);
  EXPECT_EQ(kind(30.1), VerdictKind::kRefuted);
}

TEST(Eventually, BlindnessMattersOnlyIfItCouldHideSuccess) {
  const auto verdict = [](const Points& points) {
    return judge(eventually("sum(app.answers) >= 1", "20s"), {instance("1", "a1", points)});
  };
  EXPECT_EQ(verdict({{0, 0}, {12, std::nullopt}, {15, 1}}).kind, VerdictKind::kConfirmed);
  EXPECT_EQ(verdict({{0, 0}, {12, std::nullopt}, {15, 1}}).measured, 5);
  const Verdict hidden = verdict({{0, 0}, {29, std::nullopt}, {35, 1}});
  EXPECT_EQ(hidden.kind, VerdictKind::kInconclusive);
  EXPECT_THAT(hidden.evidence,
              AllOf(HasSubstr("from +25s of 'partition' on, after the bound of 20s"),
                    HasSubstr("is unknown from +19s to +25s")));
  EXPECT_EQ(verdict({{0, 0}, {15, std::nullopt}, {16, 0}}).kind, VerdictKind::kInconclusive);
  EXPECT_EQ(verdict({{0, 0}, {31, std::nullopt}, {32, 0}}).kind, VerdictKind::kRefuted);
  EXPECT_EQ(verdict({{0, 0}, {31, std::nullopt}, {35, 1}}).kind, VerdictKind::kRefuted);
  EXPECT_EQ(judge(eventually("sum(app.answers) >= 1", "20s"), {}).kind, VerdictKind::kInconclusive);
}

TEST(Eventually, ShortBlindnessCannotHideALongFor) {
  const std::vector<Series> all{instance(
      "1", "a1", {{0, 0}, {15, std::nullopt}, {16, 0}, {20, 1}, {23, std::nullopt}, {24, 0}})};
  EXPECT_EQ(judge(eventually("sum(app.answers) >= 1", "20s", 5), all).kind, VerdictKind::kRefuted);
  EXPECT_EQ(judge(eventually("sum(app.answers) >= 1", "20s", 4), all).kind,
            VerdictKind::kInconclusive);
}

TEST(Eventually, NeedsABoundThatIsKnown) {
  const auto evidence = [](std::string_view within) {
    const Verdict verdict = judge(eventually("sum(app.answers) >= 1", within), holds_from(20));
    EXPECT_EQ(verdict.kind, VerdictKind::kInconclusive);
    return verdict.evidence;
  };
  EXPECT_THAT(evidence("reschedule_mx"), HasSubstr("did you mean 'reschedule_max'?"));
  EXPECT_THAT(evidence("1 / zero"), HasSubstr("the bound '1 / zero' is unknown"));
  EXPECT_THAT(evidence("5s - 10s"), HasSubstr("is negative"));
  EXPECT_THAT(evidence("max(net.rtt_ms)"), HasSubstr("is unknown"));
  EXPECT_EQ(judge(eventually("sum(app.answers) >= 1", "100 * 365 * 24h"), holds_from(20)).kind,
            VerdictKind::kConfirmed);
}

TEST(Eventually, BoundsMayBeObserved) {
  std::vector<Series> all = holds_from(20);
  all.push_back(series("net.rtt_ms", {{"from", "a1"}, {"to", "b1"}}, {{0, 2}, {9, 9}, {11, 100}}));
  EXPECT_EQ(judge(eventually("sum(app.answers) >= 1", "baseline(max(net.rtt_ms)) + 2"), all).bound,
            11);
}

// ---- known deviations

TEST(KnownDeviation, IsWhatFailsExactlyAsRecorded) {
  JudgeContext around = context();
  around.known_deviations = {
      {"BUG-7", "other", always("sum(app.answers) >= 0")},
      {"BUG-8", "it", always("sum(app.answers) == 7")},
      {"BUG-9", "it", eventually("sum(app.answers) == 0", "30s")},
  };
  const Verdict known =
      judge(always("sum(app.answers) == 1"), {instance("1", "a1", {{0, 1}, {30, 0}})}, around);
  EXPECT_EQ(known.kind, VerdictKind::kKnownDeviation);
  EXPECT_EQ(known.margin, -1);
  EXPECT_THAT(known.evidence, AllOf(HasSubstr("went from 1 to 0 at +20s"),
                                    HasSubstr("this is the known deviation BUG-9: ")));
  EXPECT_EQ(
      judge(always("sum(app.answers) == 1"), {instance("1", "a1", {{0, 1}, {30, 2}})}, around).kind,
      VerdictKind::kRefuted);
  EXPECT_EQ(judge(always("sum(app.answers) == 1"), {instance("1", "a1", {{0, 1}})}, around).kind,
            VerdictKind::kConfirmed);
}

TEST(Verdicts, HaveNames) {
  EXPECT_EQ(to_string(VerdictKind::kConfirmed), "confirmed");
  EXPECT_EQ(to_string(VerdictKind::kRefuted), "refuted");
  EXPECT_EQ(to_string(VerdictKind::kInconclusive), "inconclusive");
  EXPECT_EQ(to_string(VerdictKind::kKnownDeviation), "known-deviation");
}

}  // namespace
}  // namespace zq::test
