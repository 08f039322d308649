// The recorded cuts of a real Mesos cluster, judged: from the project's own copy, of which each
// node's unchanged answers were thinned out, and from the whole recordings where they are.
#include <fmt/format.h>

#include <iostream>

#include "tests/unit/systems/recording.h"

namespace zq::test {
namespace {

namespace fs = std::filesystem;

// Pollers asked each node every 0.3 to 1 s, one after another.
constexpr double kSampling = 1.1;

constexpr const char* kFastMasters =
    R"({"flags":{"zk_session_timeout":"4secs","agent_ping_timeout":"1secs",)"
    R"("max_agent_ping_timeouts":"5","registry_store_timeout":"20secs"}})";
constexpr const char* kFastAgents =
    R"({"flags":{"zk_session_timeout":"4secs","registration_backoff_factor":"200ms"}})";

struct Cut {
  const char* file;
  double from, until, end;  // Unix seconds; past the end the pollers saw the next cut
  bool fast;
  const char* rto_max_ms;
};

struct AgentCut {
  Cut cut;
  const char* agent;
  const char* zone;
  const char* leader;
  double unreachable, back;  // seconds after the cut, after the heal: as the recorder noted them
  bool came_back = true;     // while the pollers looked; what frameworks were told is judged below
};
constexpr AgentCut kAgentCuts[] = {
    {{"poll-agent-zone-cut.jsonl", 1795556561.231, 1795556696.171, 1795556760, false, "120000"},
     "a1",
     "a",
     "m1",
     80.7,
     0.44},
    {{"poll-fast-agent-cut.jsonl", 1795557109.770, 1795557142.313, 2e9, true, "120000"},
     "a3",
     "c",
     "m2",
     5.5,
     25.4,
     false},
    {{"poll-fast-agent-cut-rto2s.jsonl", 1795557251.183, 1795557277.920, 2e9, true, "2000"},
     "a2",
     "b",
     "m1",
     6.2,
     1.7},
};

struct LeaderCut {
  Cut cut;
  const char* old;
  const char* next;
  NodeId next_id;
  double elected, exit, overlap, agents;  // seconds; agents: after the election
};
constexpr LeaderCut kLeaderCuts[] = {
    {{"poll-leader-cut.jsonl", 1795556769.790, 1795556889.152, 2e9, false, "120000"},
     "m1",
     "m3",
     kM3,
     7.8,
     13.6,
     5.8,
     1.7},
    {{"poll-leader-cut-again.jsonl", 1795556943.282, 1795556991.164, 2e9, false, "120000"},
     "m3",
     "m2",
     kM2,
     12.2,
     16.6,
     4.4,
     1.7},
    {{"poll-fast-leader-cut.jsonl", 1795557193.838, 1795557235.084, 2e9, true, "120000"},
     "m2",
     "m1",
     kM1,
     3.7,
     6.0,
     2.3,
     0.5},
};

// A cut as it was played, with what the judge needs to judge it.
class Judged {
 public:
  Judged(const fs::path& folder, const Cut& cut) : playback_(recorded_cluster()) {
    std::vector<PolledLine> lines = read_poll(folder / cut.file);
    std::erase_if(lines, [&](const PolledLine& polled) { return polled.at > cut.end; });
    playback_.play(lines);
    const std::string masters = fixture("mesos/master-flags.json");
    const std::string agents = fixture("mesos/agent-flags.json");
    tell_mesos_timers(playback_.adapter(), "mesos", cut.fast ? kFastMasters : masters,
                      cut.fast ? kFastAgents : agents, cut.rto_max_ms);
    series_ = playback_.series();
    for (const auto& [name, timer] : playback_.adapter().timers()) {
      context_.variables[name] = timer.seconds;
    }
    const MonoTime end = recorded_at(lines.back().at);
    const MonoTime from = recorded_at(cut.from);
    const MonoTime until = std::min(recorded_at(cut.until), end);
    context_.phases = {{"baseline", recorded_at(lines.front().at + 2), from},
                       {"early", from, from + from_seconds(variable("unreachable_min"))},
                       {"partition", from, until},
                       {"recovery", until, end}};
    context_.uncertainty = from_seconds(0.01);
  }

  double variable(const std::string& name) const {
    const auto found = context_.variables.find(name);
    EXPECT_NE(found, context_.variables.end()) << name;
    return found == context_.variables.end() ? 0 : found->second;
  }
  Adapter& adapter() { return playback_.adapter(); }
  // A phase from so long after the cut to the heal.
  void add_phase(const std::string& name, double after) {
    const PhaseWindow& cut = context_.phases.at(2);
    context_.phases.push_back({name, cut.from + from_seconds(after), cut.until});
  }

  Verdict always(const std::string& phase, const std::string& text, double hold = 0) {
    return judge(phase, text, Temporal::kAlways, hold, "");
  }
  Verdict never(const std::string& phase, const std::string& text, double hold = 0) {
    return judge(phase, text, Temporal::kNever, hold, "");
  }
  Verdict eventually(const std::string& phase, const std::string& text, const std::string& within) {
    return judge(phase, text, Temporal::kEventually, 0, within);
  }

 private:
  Verdict judge(const std::string& phase, const std::string& text, Temporal temporal, double hold,
                const std::string& within) {
    Expectation expectation;
    expectation.id = text;
    expectation.during = phase;
    expectation.temporal = temporal;
    expectation.hold = from_seconds(hold);
    auto condition = Expression::parse_condition(text, {"test", 1, 1});
    EXPECT_TRUE(condition) << (condition ? "" : condition.error().message);
    if (!condition) return {};
    expectation.condition = *condition;
    if (!within.empty()) {
      expectation.within = Expression::parse_number(within, {"test", 1, 1}).value();
    }
    return judge_expectation(expectation, context_, series_);
  }

  Playback playback_;
  std::vector<Series> series_;
  JudgeContext context_;
};

void expect_confirmed(const Verdict& verdict) {
  EXPECT_EQ(verdict.kind, VerdictKind::kConfirmed)
      << verdict.expectation << ": " << verdict.evidence;
}

void expect_after(const Verdict& verdict, double seconds) {
  expect_confirmed(verdict);
  ASSERT_TRUE(verdict.measured) << verdict.expectation;
  EXPECT_NEAR(*verdict.measured, seconds, kSampling) << verdict.expectation;
}

// For people: what was measured against what the recorder noted.
void show(const char* file, const char* what, const Verdict& verdict, double noted) {
  std::cout << fmt::format("{}: {} after {:.2f} s (noted: {} s; bound {:.2f} s)\n", file, what,
                           verdict.measured.value_or(-1), noted, verdict.bound.value_or(-1));
}

void judge_agent_cut(const fs::path& folder, const AgentCut& cut) {
  Judged judged(folder, cut.cut);
  const std::string member = fmt::format("{{node={}, seen_by={}}}", cut.agent, cut.leader);
  // Nothing before N pings were missed; then within the bound, at the recorded time.
  expect_confirmed(judged.always("early", "max(member.unreachable" + member + ") == 0"));
  const Verdict unreachable = judged.eventually(
      "partition", "max(member.unreachable" + member + ") == 1", "unreachable_max");
  expect_after(unreachable, cut.unreachable);
  show(cut.cut.file, "unreachable", unreachable, cut.unreachable);
  expect_after(
      judged.eventually("partition", "max(member.state" + member + ") == 0", "unreachable_max"),
      cut.unreachable);
  expect_confirmed(judged.always(
      "partition",
      fmt::format("count(member.state{{node!={}, seen_by={}}} == 1) == 2", cut.agent, cut.leader)));
  // The master gives both tasks up, each in its framework's way, while the agent keeps them.
  expect_after(judged.eventually("partition",
                                 "sum(app.instances{source=master, state=unreachable}) == 1 and "
                                 "sum(app.instances{source=master, state=lost}) == 1",
                                 "unreachable_max"),
               cut.unreachable);
  for (const char* const phase : {"baseline", "partition", "recovery"}) {
    expect_confirmed(judged.always(
        phase,
        fmt::format("sum(app.instances{{source=node, zone={}, state=running}}) == 2", cut.zone)));
    expect_confirmed(judged.always(phase, "sum(app.instances{source=node, state=running}) == 6"));
    expect_confirmed(judged.always(phase, "sum(master.leads) == 1"));
  }
  // The heal.
  if (!cut.came_back) return;
  expect_after(
      judged.eventually("recovery", "max(member.state" + member + ") == 1", "reregister_max"),
      cut.back);
  expect_after(
      judged.eventually(
          "recovery",
          fmt::format("sum(app.instances{{source=master, state=running, seen_by={}}}) == 6",
                      cut.leader),
          "reregister_max"),
      cut.back);
}

void judge_leader_cut(const fs::path& folder, const LeaderCut& cut) {
  Judged judged(folder, cut.cut);
  const Verdict exit = judged.eventually(
      "partition", fmt::format("max(master.leads{{node={}}}) == 0", cut.old), "leader_exit_max");
  expect_after(exit, cut.exit);
  const Verdict elected = judged.eventually(
      "partition", fmt::format("sum(master.leads{{node!={}}}) == 1", cut.old), "election_max");
  expect_after(elected, cut.elected);
  show(cut.cut.file, "exit", exit, cut.exit);
  show(cut.cut.file, "elected", elected, cut.elected);
  // Two lead, for the recorded time: not longer than the bound, and really that long.
  expect_confirmed(
      judged.never("partition", "sum(master.leads) > 1", judged.variable("overlap_max")));
  expect_confirmed(judged.never("partition", "sum(master.leads) > 1", cut.overlap + kSampling));
  const Verdict shorter =
      judged.never("partition", "sum(master.leads) > 1", cut.overlap - kSampling);
  EXPECT_EQ(shorter.kind, VerdictKind::kRefuted) << shorter.evidence;
  expect_confirmed(judged.never("partition", "sum(master.leads) > 2"));
  expect_confirmed(judged.always("baseline", "sum(master.leads) == 1"));
  // Every agent is with the new leader soon, none is given up, and all tasks run on.
  const Verdict agents = judged.eventually(
      "partition", fmt::format("count(member.state{{seen_by={}}} == 1) == 3", cut.next),
      "election_max + 3s");
  expect_confirmed(agents);
  if (agents.measured && elected.measured) {
    EXPECT_NEAR(*agents.measured - *elected.measured, cut.agents, kSampling);
  }
  judged.add_phase("led", cut.elected + 2 * kSampling);
  expect_confirmed(
      judged.never("led", fmt::format("sum(member.unreachable{{seen_by={}}}) > 0", cut.next)));
  expect_confirmed(
      judged.always("partition", "sum(app.instances{source=node, state=running}) == 6"));
  EXPECT_EQ(judged.adapter().leader(), cut.next_id);
}

void judge_all_cuts(const fs::path& folder) {
  for (const AgentCut& cut : kAgentCuts) {
    SCOPED_TRACE(cut.cut.file);
    judge_agent_cut(folder, cut);
  }
  for (const LeaderCut& cut : kLeaderCuts) {
    SCOPED_TRACE(cut.cut.file);
    judge_leader_cut(folder, cut);
  }
}

// What a framework was told over all cuts, as its master's stream would have told it to operators.
void judge_events(const fs::path& folder, const char* file, const char* framework,
                  const char* lost_as) {
  SCOPED_TRACE(file);
  Cluster cluster = recorded_cluster();
  cluster.systems[0].options.clear();
  Playback playback(cluster);
  play_events(playback, folder / file);
  JudgeContext context;
  const std::vector<Series> series = playback.series();
  for (const AgentCut& cut : kAgentCuts) {
    SCOPED_TRACE(cut.cut.file);
    context.phases = {{"cut", recorded_at(cut.cut.from), recorded_at(cut.cut.until)},
                      {"heal", recorded_at(cut.cut.until), recorded_at(cut.cut.until + 60)}};
    const auto when = [&](const char* phase, const std::string& state) {
      Expectation expectation;
      expectation.during = phase;
      expectation.temporal = Temporal::kEventually;
      expectation.condition =
          Expression::parse_condition(
              fmt::format("sum(app.instances{{source=master, app=\"{}-3{}\", zone={}, state={}, "
                          "seen_by={}}}) == 1",
                          framework, cut.agent[1], cut.zone, state, cut.leader),
              {"test", 1, 1})
              .value();
      expectation.within = Expression::parse_number("120s", {"test", 1, 1}).value();
      return judge_expectation(expectation, context, series);
    };
    expect_after(when("cut", lost_as), cut.unreachable);
    expect_after(when("heal", "running"), cut.back);
  }
}

void judge_all_events(const fs::path& folder) {
  judge_events(folder, "scheduler-events-partition-aware.jsonl", "pa", "unreachable");
  judge_events(folder, "scheduler-events-not-partition-aware.jsonl", "np", "lost");
}

TEST(RecordedEvents, AreJudgedFromTheProjectsCopy) {
  judge_all_events(fs::path(ZQ_SOURCE_DIR) / "tests/unit/systems/data/mesos");
}

TEST(RecordedEvents, AreJudgedFromTheWholeRecordings) {
  const auto whole = whole_recordings();
  if (whole) judge_all_events(*whole);
}

TEST(RecordedCuts, AreJudgedFromTheProjectsCopy) {
  judge_all_cuts(fs::path(ZQ_SOURCE_DIR) / "tests/unit/systems/data/mesos");
}

TEST(RecordedCuts, AreJudgedFromTheWholeRecordings) {
  const auto whole = whole_recordings();
  if (!whole) {
    std::cout << "the whole recordings are not here (ZQ_RECORDINGS names no directory with "
                 "mesos-1.12): only the project's copy was judged\n";
    return;
  }
  judge_all_cuts(*whole);
}

}  // namespace
}  // namespace zq::test
