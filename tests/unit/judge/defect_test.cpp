// Systems that misbehave, each in one way, against the experiments' usual expectations: the sound
// history is never accused, and every defect is caught by the expectation that is about it.
#include <algorithm>

#include "tests/unit/judge/history.h"

namespace zq::test {
namespace {

// T1-C2 as it should go: zone b is cut from 10 to 50; its two instances go on; copies come up in c
// after 18 s; the surplus is gone 12 s after the heal.
std::vector<Series> sound() {
  return {
      instance("", "a1", {{0, 0}}),
      instance("", "b1", {{0, 0}}),
      instance("", "b2", {{0, 0}}),
      instance("", "c1", {{0, 0}}),
      instance("i1", "a1", {{0, 1}}),
      instance("i2", "b1", {{0, 1}, {62, 0}}),
      instance("i3", "b2", {{0, 1}, {62, 0}}),
      instance("i4", "c1", {{28, 1}}),
      instance("i5", "c1", {{28.5, 1}}),
      series("scheduler.leads", {{"node", "a1"}, {"zone", "a"}}, {{0, 1}}),
      series("scheduler.leads", {{"node", "b1"}, {"zone", "b"}}, {{0, 0}}),
      series("write.lost", {{"node", "a1"}, {"zone", "a"}}, {{0, 0}}),
      series("member.state", {{"node", "b1"}, {"seen_by", "a1"}, {"zone", "b"}},
             {{0, 1}, {25, 0}, {55, 1}}),
      series("net.reachable", {{"from", "a1"}, {"to", "b1"}, {"from_zone", "a"}, {"to_zone", "b"}},
             {{0, 1}, {10.2, 0}, {50.1, 1}}),
  };
}

Expectation named(std::string id, Expectation expectation, std::string during = "partition") {
  expectation.id = std::move(id);
  expectation.during = std::move(during);
  return expectation;
}

std::vector<Expectation> expectations() {
  return {
      named("apps-continue", always("sum(app.answers{zone=cut}) >= baseline", 1)),
      named("copies-elsewhere",
            eventually("sum(app.answers{zone!=cut}) >= replicas", "reschedule_max", 5)),
      named("no-early-copies", never("sum(app.answers{zone!=cut}) > baseline and "
                                     "max(member.state{node=cut, seen_by=rest}) == 1")),
      named("duplicates-gone", eventually("sum(app.answers) == replicas", "20s", 5), "recovery"),
      named("one-leader", never("sum(scheduler.leads) > 1", 0.5)),
      named("nothing-lost", always("sum(write.lost) == 0"), "recovery"),
      named("cut-is-whole", never("max(net.reachable{to_zone=cut}) > 0", 1)),
      named("comes-back", eventually("min(member.state{node=cut}) == 1", "10s"), "recovery"),
  };
}

std::vector<std::string> of_kind(VerdictKind kind, const std::vector<Series>& all) {
  JudgeContext around = context();
  around.uncertainty = from_seconds(0.002);
  std::vector<std::string> ids;
  for (const Expectation& expectation : expectations()) {
    const Verdict verdict = judge_expectation(expectation, around, all);
    EXPECT_FALSE(verdict.evidence.empty());
    if (verdict.kind == kind) ids.push_back(verdict.expectation);
  }
  return ids;
}

void replace(std::vector<Series>& all, const std::string& signal, const std::string& label,
             const std::string& value, const Points& points) {
  const auto found = std::ranges::find_if(all, [&](const Series& one) {
    const auto key = one.labels.find(label);
    return one.signal == signal && key != one.labels.end() && key->second == value;
  });
  ASSERT_NE(found, all.end());
  *found = series(signal, found->labels, points);
}

TEST(Defects, TheSoundSystemIsNotAccused) {
  EXPECT_EQ(of_kind(VerdictKind::kConfirmed, sound()).size(), expectations().size());
}

struct Defect {
  const char* name;
  const char* caught_by;
  const char* signal;
  const char* label;
  const char* value;
  Points points;

  friend void PrintTo(const Defect& defect, std::ostream* out) { *out << defect.name; }
};

class DefectTable : public testing::TestWithParam<Defect> {};

TEST_P(DefectTable, IsRefutedByItsExpectationAlone) {
  const Defect& defect = GetParam();
  std::vector<Series> all = sound();
  replace(all, defect.signal, defect.label, defect.value, defect.points);
  EXPECT_EQ(of_kind(VerdictKind::kRefuted, all), std::vector<std::string>{defect.caught_by});
  EXPECT_TRUE(of_kind(VerdictKind::kInconclusive, all).empty());
}

INSTANTIATE_TEST_SUITE_P(All, DefectTable,
                         testing::Values(Defect{"an app stops in the cut zone",
                                                "apps-continue",
                                                "app.answers",
                                                "instance",
                                                "i2",
                                                {{0, 1}, {30, 0}}},
                                         Defect{"an app pauses in the cut zone",
                                                "apps-continue",
                                                "app.answers",
                                                "instance",
                                                "i3",
                                                {{0, 1}, {30, 0}, {31.5, 1}, {62, 0}}},
                                         Defect{"a copy comes too late",
                                                "copies-elsewhere",
                                                "app.answers",
                                                "instance",
                                                "i5",
                                                {{40, 1}}},
                                         Defect{"a copy does not last",
                                                "copies-elsewhere",
                                                "app.answers",
                                                "instance",
                                                "i4",
                                                {{28, 1}, {30, 0}, {45, 1}}},
                                         Defect{"a copy comes at once",
                                                "no-early-copies",
                                                "app.answers",
                                                "instance",
                                                "i4",
                                                {{15, 1}}},
                                         Defect{"a duplicate is never removed",
                                                "duplicates-gone",
                                                "app.answers",
                                                "instance",
                                                "i2",
                                                {{0, 1}}},
                                         Defect{"a duplicate is removed too late",
                                                "duplicates-gone",
                                                "app.answers",
                                                "instance",
                                                "i3",
                                                {{0, 1}, {75, 0}}},
                                         Defect{"both sides have a leader",
                                                "one-leader",
                                                "scheduler.leads",
                                                "node",
                                                "b1",
                                                {{0, 0}, {35, 1}, {36, 0}}},
                                         Defect{"an acknowledged write is lost",
                                                "nothing-lost",
                                                "write.lost",
                                                "node",
                                                "a1",
                                                {{0, 0}, {70, 1}}},
                                         Defect{"the cut leaks",
                                                "cut-is-whole",
                                                "net.reachable",
                                                "to",
                                                "b1",
                                                {{0, 1}, {10.2, 0}, {30, 1}, {32, 0}, {50.1, 1}}},
                                         Defect{"a node does not come back",
                                                "comes-back",
                                                "member.state",
                                                "node",
                                                "b1",
                                                {{0, 1}, {25, 0}}}));

TEST(Defects, WhatNobodyCouldSeeAccusesAndConfirmsNobody) {
  std::vector<Series> all = sound();
  replace(all, "app.answers", "instance", "i2", {{0, 1}, {30, std::nullopt}});
  EXPECT_EQ(of_kind(VerdictKind::kRefuted, all), std::vector<std::string>{});
  EXPECT_EQ(of_kind(VerdictKind::kInconclusive, all),
            (std::vector<std::string>{"apps-continue", "duplicates-gone"}));
}

}  // namespace
}  // namespace zq::test
