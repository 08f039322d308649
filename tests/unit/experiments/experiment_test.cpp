#include "experiments/experiment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "experiments/bulk.h"
#include "tests/unit/experiments/test_files.h"

namespace zq {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing_files::example_cluster;
using testing_files::example_experiment;
using testing_files::with;

std::string example_text() { return testing_files::read("example_experiment.toml"); }

TEST(ExperimentFile, SaysWhatItIsAboutAndWhatItNeeds) {
  const Experiment experiment = example_experiment();
  EXPECT_EQ(experiment.title, "An agent-only zone is partitioned from the masters' zone");
  EXPECT_EQ(experiment.caveat, "T1-C2");
  EXPECT_THAT(experiment.page, HasSubstr("Apps continue to run"));
  EXPECT_THAT(experiment.needs.systems, ElementsAre("scheduler", "zookeeper"));
  EXPECT_EQ(experiment.needs.zones, 3U);
  EXPECT_EQ(experiment.needs.masters_in, "one zone");
  EXPECT_EQ(experiment.text, example_text());
  EXPECT_EQ(experiment.path, "t1-c2.toml");
}

TEST(ExperimentFile, SelectionsStayInFileOrder) {
  const Experiment experiment = example_experiment();
  ASSERT_EQ(experiment.select.size(), 3U);
  EXPECT_EQ(experiment.select[0].name, "cut");
  EXPECT_EQ(experiment.select[1].name, "rest");
  EXPECT_EQ(experiment.select[2].name, "front");
  EXPECT_TRUE(experiment.select[2].selector.is_dynamic());
  EXPECT_EQ(experiment.select[0].selector.position().to_string(), "t1-c2.toml:7:10");
}

TEST(ExperimentFile, LimitsAndSteadyState) {
  const Experiment experiment = example_experiment();
  EXPECT_EQ(experiment.limits.max_zones_cut, 1U);
  EXPECT_FALSE(experiment.limits.quorum_loss);
  ASSERT_TRUE(experiment.limits.abort_if);
  EXPECT_EQ(experiment.limits.abort_if->text(), "sum(app.answers{zone!=cut}) < 1");
  EXPECT_EQ(experiment.limits.abort_after, 10s);
  EXPECT_EQ(experiment.steady.holds.size(), 2U);
  EXPECT_EQ(experiment.steady.hold_for, 2s);
  EXPECT_EQ(experiment.steady.timeout, 30s);
}

TEST(ExperimentFile, AnAbortConditionWithoutDurationAbortsAtOnce) {
  const auto experiment = parse_experiment(with(example_text(), " for 10s", ""), "x");
  ASSERT_TRUE(experiment) << experiment.error().message;
  EXPECT_EQ(experiment->limits.abort_after, 0s);
}

TEST(ExperimentFile, Workloads) {
  const Experiment experiment = example_experiment();
  ASSERT_EQ(experiment.workloads.size(), 1U);
  EXPECT_EQ(experiment.workloads[0].system, "zookeeper");
  EXPECT_EQ(experiment.workloads[0].every, 50ms);
}

TEST(ExperimentFile, PhasesAndFaults) {
  const Experiment experiment = example_experiment();
  ASSERT_EQ(experiment.phases.size(), 4U);
  EXPECT_EQ(experiment.find_phase("partition"), &experiment.phases[1]);
  EXPECT_EQ(experiment.find_phase("nothing"), nullptr);
  EXPECT_THAT(experiment.phases[1].lasts.variables(),
              ElementsAre("unreachable_max", "reschedule_max"));
  ASSERT_EQ(experiment.phases[1].faults.size(), 2U);
  const Fault& partition = experiment.phases[1].faults[0];
  EXPECT_EQ(partition.kind, FaultKind::kPartition);
  EXPECT_EQ(partition.a.text(), "cut");
  EXPECT_EQ(partition.b.text(), "rest");
  const Fault& one_way = experiment.phases[1].faults[1];
  EXPECT_EQ(one_way.kind, FaultKind::kOneWay);
  EXPECT_EQ(one_way.a.text(), "node:m1");
  EXPECT_EQ(one_way.b.text(), "zone:c");
  const Fault& kill = experiment.phases[2].faults[0];
  EXPECT_EQ(kill.kind, FaultKind::kKill);
  EXPECT_EQ(kill.a.text(), "cut");
  EXPECT_TRUE(kill.b.empty());
  EXPECT_EQ(kill.after, 200ms);
}

TEST(ExperimentFile, Expectations) {
  const Experiment experiment = example_experiment();
  ASSERT_EQ(experiment.expectations.size(), 3U);
  const Expectation& always = experiment.expectations[0];
  EXPECT_EQ(always.id, "apps-continue-in-cut-zone");
  EXPECT_EQ(always.page, "Apps continue to run in that zone.");
  EXPECT_EQ(always.during, "partition");
  EXPECT_EQ(always.temporal, Temporal::kAlways);
  EXPECT_TRUE(always.condition.uses_baseline());
  EXPECT_EQ(always.hold, 1s);
  EXPECT_FALSE(always.within);
  const Expectation& eventually = experiment.expectations[1];
  EXPECT_EQ(eventually.temporal, Temporal::kEventually);
  ASSERT_TRUE(eventually.within);
  EXPECT_EQ(eventually.within->text(), "unreachable_max + reschedule_max");
  EXPECT_EQ(eventually.hold, 2s);
  EXPECT_EQ(experiment.expectations[2].temporal, Temporal::kNever);
  EXPECT_EQ(experiment.expectations[2].hold, 0s);
}

TEST(ExperimentFile, AControlRunHasNoFaults) {
  const std::string head = "title = 't'\ncaveat = 'control'\n";
  const std::string first = "[[phase]]\nname = 'baseline'\nlasts = '5s'\n";
  const std::string middle = "[[phase]]\nname = 'calm'\nlasts = '5s'\n";
  const std::string last = "[[phase]]\nname = 'recovery'\nlasts = '5s'\n";
  const std::string expect =
      "[[expect]]\nid = 'x'\nduring = 'recovery'\nnever = 'sum(master.leads) > 1'\n";
  for (const std::string& phases : {first + last, first + middle + last}) {
    const auto experiment = parse_experiment(head + phases + expect, "control.toml");
    ASSERT_TRUE(experiment) << experiment.error().message;
    EXPECT_TRUE(check_against(*experiment, example_cluster()));
  }
}

TEST(ExperimentFile, TheWholeCatalogueCanBeRead) {
  std::size_t read = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(ZQ_SOURCE_DIR "/experiments/catalogue")) {
    if (entry.path().extension() != ".toml") continue;
    const auto experiment = load_experiment(entry.path());
    EXPECT_TRUE(experiment) << experiment.error().message;
    ++read;
  }
  EXPECT_GT(read, 0U);
}

TEST(ExperimentFile, AMissingFileIsNamed) {
  const auto experiment = load_experiment("/nonexistent/e.toml");
  ASSERT_FALSE(experiment);
  EXPECT_THAT(experiment.error().message,
              HasSubstr("/nonexistent/e.toml: cannot be read: No such file or directory"));
}

TEST(ExperimentFile, WindowsLineEndsAndAByteOrderMarkKeepPositions) {
  std::string text = "\xef\xbb\xbf" + with(example_text(), "\"!cut\"", "\"!kut\"");
  for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2) {
    text.insert(at, "\r");
  }
  const auto experiment = parse_experiment(text, "x.toml");
  ASSERT_FALSE(experiment);
  EXPECT_THAT(experiment.error().message, HasSubstr("x.toml:8:11: no [select] entry"));
}

TEST(CheckAgainst, TheExampleFitsTheExampleCluster) {
  const Status status = check_against(example_experiment(), example_cluster());
  EXPECT_TRUE(status) << status.error().message;
}

TEST(CheckAgainst, UnmetNeedsAreReportedAlone) {
  const auto cluster = parse_cluster(testing_files::read("example_real_cluster.toml"), "real.toml");
  ASSERT_TRUE(cluster) << cluster.error().message;
  const Status status = check_against(example_experiment(), *cluster);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kInput);
  EXPECT_EQ(status.error().message,
            "t1-c2.toml:4:10: the experiment needs a system of kind 'scheduler', but cluster "
            "'real' has only 'etcd-1' (etcd), 'etcd-2' (etcd)\n"
            "t1-c2.toml:4:10: the experiment needs a system of kind 'zookeeper', but cluster "
            "'real' has only 'etcd-1' (etcd), 'etcd-2' (etcd)\n"
            "t1-c2.toml:4:10: the experiment needs 3 zones, but cluster 'real' has 2\n"
            "t1-c2.toml:4:10: the experiment needs all masters in one zone, but those of cluster "
            "'real' are in 2 zones");
}

TEST(CheckAgainst, ReportsEverythingThatTheClusterLacks) {
  const auto cluster = parse_cluster(testing_files::read("example_real_cluster.toml"), "real.toml");
  ASSERT_TRUE(cluster) << cluster.error().message;
  Experiment experiment = example_experiment();
  experiment.needs = {};
  const Status status = check_against(experiment, *cluster);
  ASSERT_FALSE(status);
  for (const char* message :
       {"t1-c2.toml:9:25: cluster 'real' has no system 'swarm'",
        "t1-c2.toml:13:18: signal 'app.answers' is of apps",
        "[[workload]]: cluster 'real' has no system 'zookeeper'",
        "t1-c2.toml:37:14: cluster 'real' has no zone 'c'",
        "t1-c2.toml:42:1: which processes of node 'm2' belong to system 'etcd-2'"}) {
    EXPECT_THAT(status.error().message, HasSubstr(message));
  }
}

// A selection that depends on the leader may turn out empty or overlap; that is for arming to say.
TEST(CheckAgainst, DynamicSelectionsAreCheckedByNameOnly) {
  const std::string text = with(example_text(), "to   = \"zone:c\"", "to   = \"front\"");
  const auto experiment = parse_experiment(text, "x.toml");
  ASSERT_TRUE(experiment) << experiment.error().message;
  EXPECT_TRUE(check_against(*experiment, example_cluster()));
  const auto misspelt = parse_experiment(with(text, "leader(swarm)", "leader(swrm)"), "x.toml");
  ASSERT_TRUE(misspelt) << misspelt.error().message;
  const Status status = check_against(*misspelt, example_cluster());
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message,
            "x.toml:9:25: cluster 'example' has no system 'swrm'; did you mean 'swarm'?");
}

TEST(CheckAgainst, LabelValuesMayBeNamesOfSelections) {
  for (const char* labels : {"{zone=cut}", "{node=front}", "{zone=\"b\"}", "{node=~\"b[12]\"}",
                             "{zone!~\"x\"}", "{instance=\"anything\"}", "{app=web, zone!=cut}"}) {
    const auto experiment =
        parse_experiment(with(example_text(), "\"sum(app.answers{zone=cut}) >= baseline\"",
                              fmt::format("'sum(app.answers{}) >= baseline'", labels)),
                         "x.toml");
    ASSERT_TRUE(experiment) << experiment.error().message;
    const Status status = check_against(*experiment, example_cluster());
    EXPECT_TRUE(status) << labels << ": " << status.error().message;
  }
}

TEST(BulkWorkload, IsEachOfTheOneToEachOfTheOther) {
  Experiment experiment;
  Workload workload;
  workload.kind = WorkloadKind::kBulk;
  const auto selector = [](const std::string& text) { return *Selector::parse(text, {}); };
  experiment.select = {{"senders", selector("zone:a")},
                       {"lead", selector("node_of(leader(zookeeper))")}};
  workload.from = selector("senders & !node:m3");
  workload.to = selector("zone:b");
  workload.streams = 2;
  experiment.workloads = {workload};
  const Cluster cluster = testing_files::example_cluster();
  const auto flows = bulk_flows(cluster, experiment);
  ASSERT_TRUE(flows) << flows.error().message;
  ASSERT_EQ(flows->size(), 4U);
  EXPECT_EQ(cluster.nodes[flows->front().from].name, "m1");
  EXPECT_EQ(cluster.nodes[flows->front().to].name, "b1");
  EXPECT_EQ(flows->front().to_address.to_string(), "10.66.2.1");
  EXPECT_EQ(flows->front().streams, 2U);
  EXPECT_EQ(flows->front().rate_bps, 100'000'000U) << "never without a limit unless asked";

  experiment.workloads.push_back(workload);
  EXPECT_THAT(bulk_flows(cluster, experiment).error().message,
              HasSubstr("two bulk workloads from 'm1' to 'b1'"));
  experiment.workloads.pop_back();
  experiment.workloads[0].streams = 25;  // from two nodes: 50
  EXPECT_THAT(bulk_flows(cluster, experiment).error().message,
              HasSubstr("more than 48 streams of bulk data to node 'b1'"));
  experiment.workloads[0].from = selector("lead");
  EXPECT_THAT(bulk_flows(cluster, experiment).error().message, HasSubstr("depends on who leads"));
}

}  // namespace
}  // namespace zq
