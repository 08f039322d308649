#include "controller/cli/run_series.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "controller/run/judging.h"

namespace zq {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

Experiment experiment_of(const std::string& name) {
  auto experiment = load_experiment(ZQ_SOURCE_DIR "/experiments/catalogue/" + name + ".toml");
  if (!experiment) ADD_FAILURE() << experiment.error().message;
  return experiment.value_or(Experiment{});
}

Cluster swarm() {
  auto cluster = load_cluster(ZQ_SOURCE_DIR "/experiments/clusters/swarm-cross-zone.toml");
  if (!cluster) ADD_FAILURE() << cluster.error().message;
  return cluster.value_or(Cluster{});
}

RunRecord record_of(const Experiment& experiment, const Cluster& cluster) {
  RunRecord record;
  record.title = experiment.title;
  record.experiment_path = experiment.path;
  record.experiment_text = experiment.text;
  record.cluster_name = cluster.name;
  record.cluster_text = cluster.text;
  record.labels = {{"series", "x"}, {"host", "h"}};
  return record;
}

TEST(RunSeries, CountsOnlyRunsOfExactlyThisThatSaySomething) {
  const std::string file = testing::TempDir() + "zq_run_series_test.db";
  std::filesystem::remove(file);
  auto store = Store::open(file);
  ASSERT_TRUE(store) << store.error().message;
  const Experiment experiment = experiment_of("t2-c5-follower-zone");
  const Cluster cluster = swarm();
  const auto add = [&](RunRecord record, RunVerdict verdict) {
    const auto id = store->begin_run(record);
    ASSERT_TRUE(id);
    ASSERT_TRUE(store->finish_run(*id, verdict, ""));
  };
  const RunRecord same = record_of(experiment, cluster);
  add(same, RunVerdict::kPassed);
  add(same, RunVerdict::kFailed);
  add(same, RunVerdict::kInvalid);
  add(same, RunVerdict::kAborted);
  RunRecord edited = same;
  edited.experiment_text += "# edited\n";
  add(edited, RunVerdict::kPassed);
  RunRecord elsewhere = same;
  elsewhere.cluster_text += "# edited\n";
  add(elsewhere, RunVerdict::kPassed);
  RunRecord unlabelled = same;
  unlabelled.labels = {};
  add(unlabelled, RunVerdict::kPassed);
  EXPECT_EQ(repetitions_done(*store, experiment, cluster, {{"series", "x"}}), 2U);
  EXPECT_EQ(repetitions_done(*store, experiment, cluster, {{"series", "y"}}), 0U);
  EXPECT_EQ(repetitions_done(*store, experiment, cluster, {}), 3U);
  std::filesystem::remove(file);
}

TEST(RunSeries, SaysWhereItStandsAndWhatCameOut) {
  const Experiment one = experiment_of("t2-c5-follower-zone");
  const Experiment other = experiment_of("control-scheduler");
  RunSeries series(4);
  EXPECT_EQ(series.next_place(), "1 of 4");
  series.add(one, RunVerdict::kPassed, seconds(90));
  series.add(other, RunVerdict::kPassed, seconds(30));
  series.add(one, RunVerdict::kFailed, seconds(91));
  EXPECT_EQ(series.next_place(), "4 of 4");
  const std::string summary = series.summary(false);
  EXPECT_THAT(summary, HasSubstr("t2-c5-follower-zone"));
  EXPECT_THAT(summary, HasSubstr("passed, failed"));
  EXPECT_THAT(summary, HasSubstr("3m01s"));
  EXPECT_THAT(summary, HasSubstr("3 of 4 runs in 3m31s; 1 were not run"));
  EXPECT_EQ(RunSeries(1).next_place(), "");
  EXPECT_EQ(RunSeries(1).summary(false), "");
}

// Only for the version that the run found, on a system of that kind.
TEST(KnownDeviations, AreThoseOfTheDetectedVersion) {
  const auto deviations = load_deviations(ZQ_SOURCE_DIR "/experiments/deviations.toml");
  ASSERT_TRUE(deviations) << deviations.error().message;
  const Experiment experiment = experiment_of("t2-c5-follower-zone");
  RunRecord record = record_of(experiment, swarm());
  EXPECT_TRUE(deviations_of(record, experiment, *deviations).empty()) << "no version is known";
  record.versions = {{"swarm", "20.10.24+dfsg1"}};
  const auto known = deviations_of(record, experiment, *deviations);
  ASSERT_EQ(known.size(), 1U);
  EXPECT_EQ(known.front().id, "swarm-no-pre-vote");
  EXPECT_EQ(known.front().instead.during, "recovery");
  record.versions = {{"swarm", "1.12.6"}};
  EXPECT_TRUE(deviations_of(record, experiment, *deviations).empty());
}

}  // namespace
}  // namespace zq
