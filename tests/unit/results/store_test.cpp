#include "results/store.h"

#include <gmock/gmock.h>
#include <sys/wait.h>

#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "results/database.h"
#include "results/migrations.h"
#include "tests/unit/results/results_fixture.h"

namespace zq {
namespace {

using test::ResultsTest;
using test::TemporaryDirectory;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST_F(ResultsTest, ARunIsReadBackAsItWasWritten) {
  const RunRecord written = record();
  const RunId run = begin();
  const auto read = store().run(run);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->id, run);
  EXPECT_EQ(read->title, written.title);
  EXPECT_EQ(read->caveat, written.caveat);
  EXPECT_EQ(read->experiment_text, written.experiment_text);
  EXPECT_EQ(read->cluster_text, written.cluster_text);
  EXPECT_EQ(read->labels, written.labels);
  EXPECT_EQ(read->variables, written.variables);
  EXPECT_EQ(read->versions, written.versions);
  EXPECT_EQ(read->started_wall_ns, written.started_wall_ns);
  EXPECT_EQ(read->controller_start_ticks, written.controller_start_ticks);
  EXPECT_EQ(read->verdict, RunVerdict::kRunning);
  EXPECT_FALSE(read->ended_wall_ns);
  EXPECT_FALSE(read->fault_mono_ns);
}

TEST_F(ResultsTest, UpdatesHoldUntilTheRunEnds) {
  RunRecord changed = record();
  changed.id = begin();
  changed.plan_json = R"({"groups": []})";
  changed.fault_mono_ns = 110'000'000'000;
  changed.uncertainty_ns = 77;
  changed.variables = {{"replicas", 4}};
  ASSERT_TRUE(store().update_run(changed));
  auto read = store().run(changed.id);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->plan_json, changed.plan_json);
  EXPECT_EQ(read->fault_mono_ns, changed.fault_mono_ns);
  EXPECT_EQ(read->uncertainty_ns, 77);
  EXPECT_EQ(read->variables, changed.variables);

  ASSERT_TRUE(store().finish_run(changed.id, RunVerdict::kFailed, "too late"));
  const auto late = store().update_run(changed);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::kRefused);
  const auto ended = store().run(changed.id);
  ASSERT_TRUE(ended && ended->ended_wall_ns);
  EXPECT_EQ(ended->reason, "too late");

  // Judged again: another verdict, the same end.
  ASSERT_TRUE(store().finish_run(changed.id, RunVerdict::kPassed, ""));
  read = store().run(changed.id);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->verdict, RunVerdict::kPassed);
  EXPECT_EQ(read->ended_wall_ns, ended->ended_wall_ns);
  EXPECT_FALSE(store().finish_run(changed.id, RunVerdict::kRunning, ""));
}

TEST_F(ResultsTest, WhatBelongsToARunKeepsItsOrder) {
  const RunId run = begin();
  const std::vector<PhaseRecord> phases{{"baseline", -10, 0, {}, {}}, {"cut", 0, 60, {}, {}}};
  ASSERT_TRUE(store().put_phases(run, phases));
  const std::vector<PhaseRecord> reached{{"baseline", -10, 0, 90, 100}};
  ASSERT_TRUE(store().put_phases(run, reached));
  const auto read = store().phases(run);
  ASSERT_TRUE(read);
  ASSERT_THAT(*read, SizeIs(2));
  EXPECT_EQ(read->at(0).name, "baseline");
  EXPECT_EQ(read->at(0).from_mono_ns, 90);
  EXPECT_EQ(read->at(1).name, "cut");
  EXPECT_FALSE(read->at(1).from_mono_ns);

  NodeRecord node;
  node.name = "m1";
  node.zone = "a";
  node.group = 2;
  node.dump_before = "before";
  ASSERT_TRUE(store().put_nodes(run, {&node, 1}));
  node.dump_after = "after";
  ASSERT_TRUE(store().put_nodes(run, {&node, 1}));
  const auto nodes = store().nodes(run);
  ASSERT_TRUE(nodes);
  ASSERT_THAT(*nodes, SizeIs(1));
  EXPECT_EQ(nodes->at(0).dump_after, "after");
  EXPECT_EQ(nodes->at(0).group, 2U);

  const FaultEvidenceRecord evidence{"m1", "egress", 1, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
  ASSERT_TRUE(store().add_evidence(run, {&evidence, 1}));
  const auto windows = store().evidence(run);
  ASSERT_TRUE(windows);
  ASSERT_THAT(*windows, SizeIs(1));
  EXPECT_EQ(windows->at(0).dropped_packets, 7U);
  EXPECT_EQ(windows->at(0).first_passed_ns, 14);

  const PathRecord path{"before", "m1", "m2", "10.66.1.2", true, 1, 2, 3, 4, 5};
  ASSERT_TRUE(store().add_paths(run, {&path, 1}));
  const auto paths = store().paths(run);
  ASSERT_TRUE(paths);
  ASSERT_THAT(*paths, SizeIs(1));
  EXPECT_TRUE(paths->at(0).expected_cut);
  EXPECT_EQ(paths->at(0).received_in_window, 4U);

  ASSERT_TRUE(store().add_event(run, {20, "note", "", "second"}));
  ASSERT_TRUE(store().add_event(run, {10, "note", "m1", "first"}));
  const auto events = store().events(run);
  ASSERT_TRUE(events);
  ASSERT_THAT(*events, SizeIs(2));
  EXPECT_EQ(events->at(0).text, "first");

  std::vector<VerdictRecord> verdicts(2);
  verdicts[0].expectation = "one";
  verdicts[0].measured = 1.5;
  verdicts[1].expectation = "two";
  ASSERT_TRUE(store().put_verdicts(run, verdicts));
  verdicts.pop_back();
  ASSERT_TRUE(store().put_verdicts(run, verdicts));
  const auto judged = store().verdicts(run);
  ASSERT_TRUE(judged);
  ASSERT_THAT(*judged, SizeIs(1));
  EXPECT_EQ(judged->at(0).measured, 1.5);
  EXPECT_FALSE(judged->at(0).bound);
}

TEST_F(ResultsTest, NothingIsStoredForARunThatIsNotThere) {
  const EventRecord event{1, "note", "", "x"};
  EXPECT_EQ(store().add_event(9, event).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(add(9, sample(1, 1)).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(store().finish_run(9, RunVerdict::kPassed, "").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(store().run(9).error().code, ErrorCode::kNotFound);
}

TEST_F(ResultsTest, RunsAreFilteredNewestFirst) {
  RunRecord other = record();
  other.caveat = "control";
  other.labels = {{"release", "8"}};
  const RunId first = begin();
  const auto second = store().begin_run(other);
  ASSERT_TRUE(second);
  const auto ids = [&](const RunFilter& filter) {
    std::vector<RunId> result;
    const auto runs = store().runs(filter);
    if (!runs) ADD_FAILURE() << runs.error().message;
    for (const RunRecord& run : *runs) {
      result.push_back(run.id);
      EXPECT_THAT(run.experiment_text, IsEmpty());
    }
    return result;
  };
  EXPECT_THAT(ids({}), ElementsAre(*second, first));
  EXPECT_THAT(ids({.labels = {}, .caveat = {}, .limit = 1}), ElementsAre(*second));
  EXPECT_THAT(ids({.labels = {}, .caveat = "T1-C2"}), ElementsAre(first));
  EXPECT_THAT(ids({.labels = {{"release", "7"}, {"team", "platform"}}, .caveat = {}}),
              ElementsAre(first));
  EXPECT_THAT(ids({.labels = {{"release", "8"}, {"team", "platform"}}, .caveat = {}}), IsEmpty());
}

TEST_F(ResultsTest, OnlyRunsWhoseControllerIsGoneAreInterrupted) {
  const RunId own = begin();
  RunRecord other_boot = record();
  other_boot.boot_id = "another";
  RunRecord reused_pid = record();
  reused_pid.controller_start_ticks += 1;
  // A child that has died but is not waited for still has its pid and start time.
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    pause();
    _exit(0);
  }
  RunRecord dead = record();
  dead.controller_pid = child;
  std::ifstream stat(fmt::format("/proc/{}/stat", child));
  std::string word;
  for (int field = 1; field <= 22; ++field) stat >> word;
  dead.controller_start_ticks = std::stoull(word);
  const auto dead_run = store().begin_run(dead);
  ASSERT_TRUE(dead_run && store().begin_run(other_boot) && store().begin_run(reused_pid));

  auto marked = store().mark_interrupted();
  ASSERT_TRUE(marked) << marked.error().message;
  EXPECT_THAT(*marked, SizeIs(2));

  ASSERT_EQ(kill(child, SIGKILL), 0);
  siginfo_t info{};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
  marked = store().mark_interrupted();
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  ASSERT_TRUE(marked) << marked.error().message;
  ASSERT_THAT(*marked, SizeIs(1));
  EXPECT_EQ(marked->at(0).id, *dead_run);
  EXPECT_EQ(marked->at(0).verdict, RunVerdict::kInterrupted);

  EXPECT_THAT(*store().mark_interrupted(), IsEmpty());
  EXPECT_EQ(store().run(own)->verdict, RunVerdict::kRunning);
  EXPECT_EQ(store().run(*dead_run)->verdict, RunVerdict::kInterrupted);
  EXPECT_THAT(store().run(*dead_run)->reason, HasSubstr("without finishing"));
}

TEST_F(ResultsTest, SecretsDoNotReachTheFile) {
  RunRecord secret = record();
  secret.experiment_text = "url = \"http://admin:hunter2@10.66.1.1:8080/v2\"\n";
  secret.cluster_text = "password = \"hunter2\"\npassword_file = \"/etc/zq/pw\"\n";
  secret.plan_json = R"({"endpoint": "https://u:hunter2@h/"})";
  const auto run = store().begin_run(secret);
  ASSERT_TRUE(run);
  ASSERT_TRUE(store().add_event(*run, {1, "note", "", "asked http://u:hunter2@h/x"}));
  ASSERT_TRUE(store().finish_run(*run, RunVerdict::kAborted, "http://u:hunter2@h failed"));
  const auto text = store().export_json(*run);
  ASSERT_TRUE(text);
  EXPECT_THAT(*text, testing::Not(HasSubstr("hunter2")));
  EXPECT_THAT(*text, HasSubstr("/etc/zq/pw"));
  EXPECT_THAT(store().run(*run)->cluster_text, HasSubstr("password = \"[redacted]\"\n"));
}

TEST_F(ResultsTest, ExportHoldsEverything) {
  const RunId run = begin();
  ASSERT_TRUE(add(run, sample(1, 1)));
  ASSERT_TRUE(add(run, sample(2, std::nullopt)));
  const PhaseRecord phase{"baseline", -10, 0, 90, 100};
  ASSERT_TRUE(store().put_phases(run, {&phase, 1}));
  const auto text = store().export_json(run);
  ASSERT_TRUE(text) << text.error().message;
  const auto document = nlohmann::json::parse(*text);
  EXPECT_EQ(document["format"], "zonequake-run");
  EXPECT_EQ(document["schema_version"], migrations().size());
  EXPECT_EQ(document["run"]["title"], record().title);
  EXPECT_EQ(document["run"]["experiment_text"], record().experiment_text);
  EXPECT_EQ(document["run"]["verdict"], "running");
  EXPECT_TRUE(document["run"]["fault_mono_ns"].is_null());
  EXPECT_EQ(document["phases"][0]["until_mono_ns"], 100);
  for (const char* part : {"nodes", "verdicts", "evidence", "paths", "events"}) {
    EXPECT_TRUE(document[part].is_array()) << part;
  }
  ASSERT_EQ(document["series"].size(), 1U);
  EXPECT_EQ(document["series"][0]["labels"]["zone"], "a");
  EXPECT_EQ(document["series"][0]["stale_after_ns"], 3'000'000'000);
  EXPECT_EQ(
      document["series"][0]["segments"],
      nlohmann::json::parse("[[1000000000, 1000000000, 1.0], [2000000000, 2000000000, null]]"));
}

TEST(RunVerdictText, GoesBothWays) {
  for (const RunVerdict verdict :
       {RunVerdict::kRunning, RunVerdict::kPassed, RunVerdict::kFailed, RunVerdict::kInconclusive,
        RunVerdict::kInvalid, RunVerdict::kAborted, RunVerdict::kInterrupted}) {
    EXPECT_EQ(parse_run_verdict(to_string(verdict)), verdict);
  }
  EXPECT_FALSE(parse_run_verdict("green"));
}

TEST(StoreFile, OtherFilesAreLeftAlone) {
  const TemporaryDirectory directory;
  std::ofstream(directory.file("notes.txt")) << "these are notes, and more than a header long\n";
  const auto text = Store::open(directory.file("notes.txt"));
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, ErrorCode::kInput);
  {
    SQLite::Database other(directory.file("other.db"),
                           SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    other.exec("CREATE TABLE songs (name TEXT)");
  }
  const auto songs = Store::open(directory.file("other.db"));
  ASSERT_FALSE(songs);
  EXPECT_EQ(songs.error().code, ErrorCode::kInput);
  EXPECT_THAT(songs.error().message, HasSubstr("another program"));
  EXPECT_FALSE(std::filesystem::exists(directory.file("other.db-wal")));
  const auto nowhere = Store::open(directory.file("no/such/dir.db"));
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().code, ErrorCode::kInput);
}

TEST(StoreFile, ANewerSchemaIsRefusedAndUntouched) {
  const TemporaryDirectory directory;
  const std::string path = directory.file("newer.db");
  ASSERT_TRUE(Store::open(path));
  {
    SQLite::Database newer(path, SQLite::OPEN_READWRITE);
    newer.exec(fmt::format("PRAGMA user_version = {}", migrations().size() + 1));
  }
  const auto opened = Store::open(path);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kRefused);
  EXPECT_THAT(opened.error().message, HasSubstr("newer zonequake"));
}

TEST(StoreFile, MigratesStepByStepAndWholeOrNotAtAll) {
  const TemporaryDirectory directory;
  const std::string path = directory.file("old.db");
  const auto version_of = [](SQLite::Database& database) {
    return database.execAndGet("PRAGMA user_version").getInt();
  };
  const std::array<std::string_view, 3> versions{
      "CREATE TABLE runs (id INTEGER PRIMARY KEY) STRICT; INSERT INTO runs VALUES (7);",
      "ALTER TABLE runs ADD COLUMN title TEXT NOT NULL DEFAULT 'old';",
      "CREATE TABLE extra (run INTEGER); INSERT INTO no_such_table VALUES (1);"};
  ASSERT_TRUE(open_database(path, std::span(versions).first(1)));
  {
    const auto second = open_database(path, std::span(versions).first(2));
    ASSERT_TRUE(second) << second.error().message;
    EXPECT_EQ(version_of(**second), 2);
    EXPECT_EQ((*second)->execAndGet("SELECT title FROM runs WHERE id = 7").getString(), "old");
  }
  EXPECT_FALSE(open_database(path, versions));
  const auto kept = open_database(path, std::span(versions).first(2));
  ASSERT_TRUE(kept) << kept.error().message;
  EXPECT_EQ(version_of(**kept), 2);
  EXPECT_FALSE((*kept)->tableExists("extra"));
}

TEST(StoreFile, OpensWithTheSettingsItReliesOn) {
  const TemporaryDirectory directory;
  const auto database = open_database(directory.file("x.db"), migrations());
  ASSERT_TRUE(database) << database.error().message;
  EXPECT_EQ((*database)->execAndGet("PRAGMA journal_mode").getString(), "wal");
  EXPECT_EQ((*database)->execAndGet("PRAGMA foreign_keys").getInt(), 1);
  EXPECT_EQ((*database)->execAndGet("PRAGMA user_version").getInt(),
            static_cast<int>(migrations().size()));
  EXPECT_EQ((*database)
                ->execAndGet("SELECT count(*) FROM pragma_table_list WHERE schema = 'main' "
                             "AND strict = 0 AND name NOT LIKE 'sqlite_%'")
                .getInt(),
            0);
}

TEST(StoreFile, SeveralMayOpenANewFileAtOnce) {
  const TemporaryDirectory directory;
  std::vector<std::thread> threads;
  std::vector<std::string> errors(8);
  for (std::string& error : errors) {
    threads.emplace_back([&] {
      auto store = Store::open(directory.file("shared.db"));
      if (!store) {
        error = store.error().message;
        return;
      }
      RunRecord run;
      run.title = "x";
      if (const auto begun = store->begin_run(run); !begun) error = begun.error().message;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(errors, testing::Each(IsEmpty()));
  const auto store = Store::open(directory.file("shared.db"));
  ASSERT_TRUE(store);
  EXPECT_THAT(*store->runs({}), SizeIs(8));
}

}  // namespace
}  // namespace zq
