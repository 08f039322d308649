#include "results/report.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/unit/results/results_fixture.h"

namespace zq {
namespace {

using test::ResultsTest;
using testing::HasSubstr;
using testing::Not;

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kFault = 110 * kSecond;  // T

class ReportTest : public ResultsTest {
 protected:
  // Zone b (one node) is cut from zone a (two nodes) for a minute.
  RunId recorded() {
    const RunId id = begin();
    RunRecord run = record();
    run.id = id;
    run.fault_mono_ns = kFault;
    EXPECT_TRUE(store().update_run(run));
    EXPECT_TRUE(store().put_phases(
        id, std::vector<PhaseRecord>{
                {"baseline", -10 * kSecond, 0, 100 * kSecond, kFault},
                {"partition", 0, 60 * kSecond, kFault, kFault + 60 * kSecond + 2'000'000},
                {"recovery", 60 * kSecond, 90 * kSecond, {}, {}}}));
    EXPECT_TRUE(store().put_nodes(
        id, std::vector<NodeRecord>{node("a1", "a", 0), node("a2", "a", 0), node("b1", "b", 1)}));
    EXPECT_TRUE(store().put_verdicts(id, verdicts()));
    EXPECT_TRUE(store().add_evidence(
        id, std::vector<FaultEvidenceRecord>{
                evidence("a1", "egress", 1, 500, -2, 1), evidence("a2", "egress", 1, 400, -3, 4),
                evidence("a1", "ingress", 1, 300, -1, 2), evidence("a2", "ingress", 1, 0, 0, 0),
                evidence("b1", "egress", 0, 800, -1, 1)}));
    EXPECT_TRUE(store().add_paths(
        id, std::vector<PathRecord>{path("before", "a1", "b1", false, 50, 50),
                                    path("during:partition", "a1", "b1", true, 600, 0),
                                    path("after", "a1", "b1", false, 50, 49),
                                    path("before", "a1", "a2", false, 50, 50)}));
    EXPECT_TRUE(store().add_event(id, {kFault - 5 * kSecond, "note", "", "steady"}));
    EXPECT_TRUE(store().add_event(id, {kFault + kSecond, "violation", "b1", "lease lapsed"}));
    return id;
  }

  static NodeRecord node(const std::string& name, const std::string& zone, std::uint32_t group) {
    NodeRecord result;
    result.name = name;
    result.zone = zone;
    result.group = group;
    result.dump_before = "eth0: qdisc noqueue\n";
    result.dump_after = result.dump_before;
    return result;
  }

  static std::vector<VerdictRecord> verdicts() {
    VerdictRecord met;
    met.expectation = "copies-elsewhere";
    met.page = "Schedulers might reschedule copies elsewhere.";
    met.verdict = "confirmed";
    met.unit = "s";
    met.evidence = "app.instances{zone=a} became 3";
    met.measured = 12.25;
    met.bound = 40;
    met.margin = 27.75;
    VerdictRecord missed;
    missed.expectation = "apps-continue";
    missed.predicted = "always sum(app.answers) >= 3";
    missed.verdict = "refuted";
    missed.evidence = "it was 2";
    missed.measured = 2;
    missed.bound = 3;
    missed.margin = -1;
    return {met, missed};
  }

  // Times in milliseconds from T; 0 = never.
  static FaultEvidenceRecord evidence(const std::string& node, const std::string& direction,
                                      std::uint32_t group, std::uint64_t dropped,
                                      std::int64_t last_passed_ms, std::int64_t first_dropped_ms) {
    FaultEvidenceRecord one;
    one.node = node;
    one.direction = direction;
    one.group = group;
    one.from_mono_ns = kFault;
    one.until_mono_ns = kFault + 60 * kSecond;
    one.dropped_packets = dropped;
    if (last_passed_ms != 0) one.last_passed_ns = kFault + last_passed_ms * 1'000'000;
    if (first_dropped_ms != 0) one.first_dropped_ns = kFault + first_dropped_ms * 1'000'000;
    return one;
  }

  static PathRecord path(const std::string& stage, const std::string& from, const std::string& to,
                         bool cut, std::uint64_t sent, std::uint64_t received) {
    PathRecord result{stage, from, to, "10.66.0.1", cut, sent, received, 0, 0, 0};
    if (cut) {
      result.sent_in_window = sent;
      result.received_in_window = received;
    }
    return result;
  }

  std::string rendered(RunId run, std::size_t width = 110) {
    return render_run(store(), run, false, width).value_or("no report");
  }
};

TEST_F(ReportTest, AWholeRun) {
  const RunId run = recorded();
  EXPECT_EQ(rendered(run), R"(Run 1: T1-C2, An agent-only zone is partitioned
  verdict     running
  cluster     swarm-3 (experiments/clusters/swarm-3.toml)
  experiment  experiments/catalogue/t1-c2.toml
  started     2026-11-24T22:30:31.000Z
  fault at    T = start +10s, clocks of nodes known to 40us
  labels      release=7, team=platform
  versions    swarm 20.10.24
  variables   replicas = 3, unreachable_max = 7.5

Predictions
  Caveat  Predicted                      Observed                       Evidence                       Margin
  ------  -----------------------------  -----------------------------  -----------------------------  -------
  T1-C2   copies-elsewhere: Schedulers   confirmed: 12.25s (bound 40s)  app.instances{zone=a} became   +27.75s
          might reschedule copies                                       3
          elsewhere.
  T1-C2   apps-continue: always          refuted: 2 (bound 3)           it was 2                       -1
          sum(app.answers) >= 3

Phases
  Phase      Planned             Actual        Lasted
  ---------  ------------------  ------------  ------
  baseline   T-10s to T          T-10s to T    10s
  partition  T to T+1m00s        T to T+1m00s  1m00s
  recovery   T+1m00s to T+1m30s  not reached

Fault evidence: packets inside the windows; times from the opening
  From  To  Window     Fault  Dropped at  Nodes   Dropped  Passed  Exempt  Last pass  First drop
  ----  --  ---------  -----  ----------  ------  -------  ------  ------  ---------  ------------
  a     b   partition  drop   sender      all 2       900       0       0  -2ms       +1ms to +4ms
  b     a   partition  drop   sender      all 1       800       0       0  -1ms       +1ms
  b     a   partition  drop   receiver    1 of 2      300       0       0  -1ms       +2ms
  first drops spread over 3ms on 3 nodes; largest gap between packets around T 7ms

Paths: probes received/sent
  From  To  before      during:partition  after
  ----  --  ----------  ----------------  ----------
  a     a   open 50/50
  a     b   open 50/50  cut 0/600         open 49/50

What the nodes' networks looked like before and after
  identical on 3 of 3 nodes

Events
  When  Kind       Node  What
  ----  ---------  ----  ------------
  T-5s  note             steady
  T+1s  violation  b1    lease lapsed
)");
}

TEST_F(ReportTest, SaysWhyARunIsInvalid) {
  const RunId run = recorded();
  ASSERT_TRUE(store().finish_run(run, RunVerdict::kInvalid, "the lease of b1 lapsed"));
  EXPECT_THAT(rendered(run),
              HasSubstr("verdict     invalid\n  because     the lease of b1 lapsed\n"));
  const auto coloured = render_run(store(), run, true);
  ASSERT_TRUE(coloured);
  EXPECT_THAT(*coloured, HasSubstr("\x1b[33minvalid\x1b[0m"));
}

TEST_F(ReportTest, TheNewestJudgingIsInTheHeader) {
  const RunId run = recorded();
  ASSERT_TRUE(store().add_event(
      run, {kFault + 200 * kSecond, "judged", "", "judged again under a.toml: passed -> failed"}));
  ASSERT_TRUE(store().add_event(
      run, {kFault + 300 * kSecond, "judged", "", "judged again under b.toml: failed -> passed"}));
  ASSERT_TRUE(store().finish_run(run, RunVerdict::kPassed, ""));
  EXPECT_THAT(rendered(run), HasSubstr("verdict     passed\n"
                                       "              judged again under b.toml: failed -> passed\n"
                                       "  cluster "));
}

TEST_F(ReportTest, LeaksDeadPathsAndUntestedOnesAreNamed) {
  const RunId run = recorded();
  ASSERT_TRUE(store().add_paths(
      run, std::vector<PathRecord>{path("during:partition", "a2", "b1", true, 600, 2),
                                   path("after", "a2", "b1", false, 50, 7),
                                   path("before", "b1", "a1", false, 0, 0)}));
  const std::string text = rendered(run);
  EXPECT_THAT(text, HasSubstr("LEAK on 1 of 2 paths, 2/1200"));
  EXPECT_THAT(text, HasSubstr("LOST on 1 of 2 paths, 56/100"));
  EXPECT_THAT(text, HasSubstr("untested"));
}

TEST_F(ReportTest, WhatIsLeftOnANodeIsShown) {
  const RunId run = recorded();
  NodeRecord dirty = node("b1", "b", 1);
  dirty.dump_after = "eth0: qdisc noqueue\neth0: qdisc clsact ffff:\n";
  NodeRecord unknown = node("a2", "a", 0);
  unknown.dump_after.clear();
  ASSERT_TRUE(store().put_nodes(run, std::vector<NodeRecord>{dirty, unknown}));
  EXPECT_THAT(rendered(run), HasSubstr("  identical on 1 of 3 nodes\n"
                                       "  b1: differs\n"
                                       "    + eth0: qdisc clsact ffff:\n"
                                       "  not taken on: a2\n"));
}

TEST_F(ReportTest, WindowsOfNodesWithOtherClocksAreOneWindow) {
  const RunId run = recorded();
  FaultEvidenceRecord other = evidence("a2", "egress", 1, 100, 0, 5);
  other.from_mono_ns += 35'000;
  other.until_mono_ns += 35'000;
  ASSERT_TRUE(store().add_evidence(run, {&other, 1}));
  EXPECT_THAT(rendered(run), HasSubstr("all 3      1000"));
}

TEST_F(ReportTest, ManyEventsAreCutButViolationsStay) {
  const RunId run = recorded();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(store().add_event(run, {kFault + (2 + i) * kSecond, "note", "", "tick"}));
  }
  const std::string text = rendered(run);
  EXPECT_THAT(text, HasSubstr("Events (the newest 60 of 102; --json gives all)"));
  EXPECT_THAT(text, HasSubstr("lease lapsed"));
  EXPECT_THAT(text, Not(HasSubstr("steady")));
}

TEST_F(ReportTest, ARunThatIsNotThere) {
  const auto report = render_run(store(), 99, false);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(report.error().message, HasSubstr("there is no run 99"));
  EXPECT_FALSE(run_json(store(), 99));
}

TEST_F(ReportTest, ListOfRuns) {
  recorded();
  const auto runs = store().runs({});
  ASSERT_TRUE(runs);
  EXPECT_EQ(
      render_runs(*runs, false, 140),
      R"(  Run  Started               Took  Verdict  Caveat  Title                              Cluster  Labels
  ---  --------------------  ----  -------  ------  ---------------------------------  -------  ------------------------
    1  2026-11-24T22:30:31Z        running  T1-C2   An agent-only zone is partitioned  swarm-3  release=7, team=platform
)");
  EXPECT_EQ(render_runs({}, false, 100), "no runs\n");
}

TEST_F(ReportTest, JsonLeavesTextsAndSamplesOut) {
  const RunId run = recorded();
  const auto text = run_json(store(), run);
  ASSERT_TRUE(text);
  const auto document = nlohmann::json::parse(*text);
  EXPECT_EQ(document["verdicts"][0]["margin"], 27.75);
  EXPECT_EQ(document["nodes"][0]["dumps_equal"], true);
  EXPECT_FALSE(document["run"].contains("experiment_text"));
  EXPECT_FALSE(document.contains("series"));
  const auto runs = store().runs({});
  ASSERT_TRUE(runs);
  EXPECT_EQ(nlohmann::json::parse(runs_json(*runs))[0]["labels"]["team"], "platform");
}

}  // namespace
}  // namespace zq
