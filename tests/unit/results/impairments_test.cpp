// What version 2 of the store added: evidence by segment, queues, measurements, process steps.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "results/database.h"
#include "results/migrations.h"
#include "results/path_passes.h"
#include "results/report.h"
#include "results/store.h"
#include "tests/unit/results/results_fixture.h"

namespace zq {
namespace {

using test::ResultsTest;
using test::TemporaryDirectory;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

MeasurementRecord delay(const std::string& from, const std::string& to, double measured,
                        const std::string& within) {
  return {.stage = "during:slow",
          .from = from,
          .to = to,
          .address = "10.66.2.1",
          .quantity = "delay_ms",
          .asked = 50,
          .measured = measured,
          .low = 42.5,
          .high = 57.5,
          .samples = 300,
          .within = within};
}

class ImpairmentsTest : public ResultsTest {
 protected:
  RunId filled() {
    const RunId run = begin();
    NodeRecord a1, b1, b2;
    a1.name = "a1";
    a1.zone = "a";
    a1.dump_before = a1.dump_after = "x";
    a1.capabilities = R"([{"name":"gate","present":true,"text":"here"},)"
                      R"({"name":"netem","present":false,"text":"not in this kernel"}])";
    b1 = a1;
    b1.name = "b1";
    b1.zone = "b";
    b1.group = 1;
    b2.name = "b2";
    b2.zone = "b";
    b2.group = 1;
    b2.agent_version = "none";
    EXPECT_TRUE(store().put_nodes(run, std::vector<NodeRecord>{a1, b1, b2}));
    FaultEvidenceRecord evidence;
    evidence.node = "a1";
    evidence.direction = "egress";
    evidence.group = 1;
    evidence.from_mono_ns = 100'000'000'000;
    evidence.until_mono_ns = 110'000'000'000;
    evidence.segment = 3;
    evidence.treatment = "impair";
    evidence.scope = "udp";
    evidence.asked = "delay 50ms";
    evidence.impaired_packets = 100;
    evidence.impaired_bytes = 90'000;
    evidence.impaired_segments = 250;
    evidence.lost_packets = 7;
    evidence.duplicated_packets = 8;
    evidence.held_dropped_packets = 9;
    evidence.held_passed_packets = 10;
    evidence.first_impaired_ns = 100'001'000'000;
    evidence.last_impaired_ns = 109'999'000'000;
    EXPECT_TRUE(store().add_evidence(run, {&evidence, 1}));
    const QueueRecord queue{.node = "a1",
                            .direction = "egress",
                            .group = 1,
                            .asked = "delay 50ms",
                            .lane = "delay-line",
                            .rate_bps = 0,
                            .limit_packets = 1000,
                            .burst_bytes = 1600,
                            .quantum_bytes = 1514,
                            .drain_ns = 50'000'000,
                            .sent_packets = 93,
                            .sent_bytes = 84'000,
                            .dropped_packets = 2,
                            .backlog_packets = 1,
                            .discarded_packets = 3};
    EXPECT_TRUE(store().add_queues(run, {&queue, 1}));
    MeasurementRecord silent = delay("a1", "b2", 0, "unknown");
    silent.measured.reset();
    EXPECT_TRUE(store().add_measurements(
        run, std::vector{delay("a1", "b1", 50.5, "yes"), delay("a2", "b1", 61, "no"), silent}));
    return run;
  }
};

TEST_F(ImpairmentsTest, EverythingIsReadBackAsItWasWritten) {
  const RunId run = filled();
  const auto evidence = store().evidence(run);
  ASSERT_TRUE(evidence) << evidence.error().message;
  ASSERT_THAT(*evidence, SizeIs(1));
  const FaultEvidenceRecord& one = evidence->front();
  EXPECT_EQ(one.segment, 3U);
  EXPECT_EQ(one.treatment, "impair");
  EXPECT_EQ(one.scope, "udp");
  EXPECT_EQ(one.asked, "delay 50ms");
  EXPECT_EQ(one.impaired_packets, 100U);
  EXPECT_EQ(one.impaired_bytes, 90'000U);
  EXPECT_EQ(one.impaired_segments, 250U);
  EXPECT_EQ(one.lost_packets, 7U);
  EXPECT_EQ(one.duplicated_packets, 8U);
  EXPECT_EQ(one.held_dropped_packets, 9U);
  EXPECT_EQ(one.held_passed_packets, 10U);
  EXPECT_EQ(one.first_impaired_ns, 100'001'000'000);
  EXPECT_EQ(one.last_impaired_ns, 109'999'000'000);

  const auto queues = store().queues(run);
  ASSERT_TRUE(queues) << queues.error().message;
  ASSERT_THAT(*queues, SizeIs(1));
  EXPECT_EQ(queues->front().lane, "delay-line");
  EXPECT_EQ(queues->front().drain_ns, 50'000'000);
  EXPECT_EQ(queues->front().dropped_packets, 2U);
  EXPECT_EQ(queues->front().discarded_packets, 3U);

  const auto measurements = store().measurements(run);
  ASSERT_TRUE(measurements) << measurements.error().message;
  ASSERT_THAT(*measurements, SizeIs(3));
  EXPECT_EQ((*measurements)[0].measured, 50.5);
  EXPECT_EQ((*measurements)[1].within, "no");
  EXPECT_EQ((*measurements)[1].high, 57.5);
  EXPECT_EQ((*measurements)[1].samples, 300U);
  EXPECT_FALSE((*measurements)[2].measured);
  const auto nodes = store().nodes(run);
  ASSERT_TRUE(nodes) << nodes.error().message;
  EXPECT_THAT((*nodes)[0].capabilities, HasSubstr("not in this kernel"));
  EXPECT_FALSE((*nodes)[0].agentless());
  EXPECT_TRUE((*nodes)[2].agentless());
}

TEST_F(ImpairmentsTest, AProcessStepIsReplacedByWhatBecameOfIt) {
  const RunId run = begin();
  ProcessRecord step{.node = "b1",
                     .step = "hook power",
                     .target = "/sbin/power b1 off",
                     .planned_mono_ns = 5,
                     .undo = "/sbin/power b1 on"};
  step.began_mono_ns = 6;
  ASSERT_TRUE(store().put_process(run, step));
  step.done_mono_ns = 7;
  step.error = "exit code 3";
  step.output = "no such machine";
  ASSERT_TRUE(store().put_process(run, step));
  const auto steps = store().processes(run);
  ASSERT_TRUE(steps) << steps.error().message;
  ASSERT_THAT(*steps, SizeIs(1));
  EXPECT_EQ(steps->front().began_mono_ns, 6);
  EXPECT_EQ(steps->front().done_mono_ns, 7);
  EXPECT_EQ(steps->front().error, "exit code 3");
  EXPECT_EQ(steps->front().output, "no such machine");
  EXPECT_EQ(steps->front().undo, "/sbin/power b1 on");
  EXPECT_FALSE(steps->front().by_agent);
  const auto text = render_run(store(), run, false, 160);
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_THAT(*text, HasSubstr("exit code 3: no such machine"));
}

TEST_F(ImpairmentsTest, ReportShowsTheWorstPairOfEachBorderAndWhatWasHeld) {
  const RunId run = filled();
  const auto text = render_run(store(), run, false, 200);
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_THAT(*text, HasSubstr("61.000 ms"));
  EXPECT_THAT(*text, HasSubstr("42.500 .. 57.500"));
  EXPECT_THAT(*text, HasSubstr("2.50"));  // wire packets per packet
  EXPECT_THAT(*text, HasSubstr("delay-line, egress"));
  EXPECT_THAT(*text, HasSubstr("has gate; lacks netem; packets were held by delay-line"));
  EXPECT_THAT(*text, HasSubstr("b2: no agent; the other side does its part"));
  EXPECT_THAT(*text, HasSubstr("identical on 2 of 2 nodes"));
  EXPECT_THAT(*text, Not(HasSubstr("Fault evidence: packets inside")));
}

TEST_F(ImpairmentsTest, JsonHoldsAllOfIt) {
  const RunId run = filled();
  const auto text = store().export_json(run);
  ASSERT_TRUE(text) << text.error().message;
  const auto document = nlohmann::json::parse(*text);
  EXPECT_EQ(document["queues"][0]["lane"], "delay-line");
  EXPECT_EQ(document["measurements"][1]["within"], "no");
  EXPECT_TRUE(document["measurements"][2]["measured"].is_null());
  EXPECT_EQ(document["evidence"][0]["impaired_segments"], 250);
  EXPECT_EQ(document["nodes"][0]["capabilities"][1]["name"], "netem");
  EXPECT_TRUE(document["nodes"][2]["agentless"].get<bool>());
  EXPECT_TRUE(document["processes"].is_array());
}

// A file as the first version wrote it keeps what it holds.
TEST(Migration, StoreOfTheFirstVersionIsUpgraded) {
  const TemporaryDirectory directory;
  const std::string path = directory.file("old.db");
  {
    auto old = open_database(path, migrations().first(1));
    ASSERT_TRUE(old) << old.error().message;
    (*old)->exec(
        "INSERT INTO runs (title, caveat, experiment_path, experiment_text, cluster_name, "
        "cluster_path, cluster_text, plan_json, started_wall_ns, started_mono_ns, uncertainty_ns, "
        "verdict, controller_pid, controller_start_ticks, boot_id) VALUES ('old', 'T1-C2', '', '', "
        "'c', '', '', '', 1, 1, 1, 'passed', 1, 1, 'b')");
    (*old)->exec(
        "INSERT INTO nodes VALUES (1, 'a1', 0, 'a', 'r', '', '', 0, 'Linux', '0.1.0', 'b', 0, 0, "
        "'x', 'x')");
    (*old)->exec(
        "INSERT INTO evidence (run, node, direction, group_id, from_mono_ns, until_mono_ns, "
        "dropped_packets, dropped_bytes, passed_packets, exempt_packets, last_passed_ns, "
        "first_dropped_ns, last_dropped_ns, first_passed_ns) VALUES (1, 'a1', 'egress', 1, 2, 3, "
        "4, 5, 0, 0, 1, 2, 3, 4)");
    (*old)->exec(
        "INSERT INTO paths (run, stage, from_node, to_node, address, expected_cut, sent, received, "
        "sent_in_window, received_in_window, rtt_p50_ns) VALUES (1, 'before', 'a1', 'b1', "
        "'10.66.2.1', 0, 100, 99, 0, 0, 1)");
  }
  auto store = Store::open(path);
  ASSERT_TRUE(store) << store.error().message;
  const auto evidence = store->evidence(1);
  ASSERT_TRUE(evidence) << evidence.error().message;
  ASSERT_THAT(*evidence, SizeIs(1));
  EXPECT_EQ(evidence->front().treatment, "drop");
  EXPECT_EQ(evidence->front().dropped_packets, 4U);
  EXPECT_EQ(evidence->front().impaired_packets, 0U);
  const auto paths = store->paths(1);
  ASSERT_TRUE(paths) << paths.error().message;
  EXPECT_TRUE(path_passes(paths->front()));
  const auto nodes = store->nodes(1);
  ASSERT_TRUE(nodes) << nodes.error().message;
  EXPECT_EQ(nodes->front().capabilities, "");
  EXPECT_TRUE(render_run(*store, 1, false, 100));
  EXPECT_TRUE(store->export_json(1));
}

TEST(PathPasses, MayLoseWhatThePlanAllows) {
  PathRecord path;
  path.sent = 1000;
  path.received = 550;
  EXPECT_FALSE(path_passes(path));
  path.allowed_loss = 0.45;
  EXPECT_TRUE(path_passes(path));
  path.received = 540;
  EXPECT_FALSE(path_passes(path));
  path.received = 0;
  EXPECT_FALSE(path_passes(path));
  path.allowed_loss = 1;
  EXPECT_TRUE(path_passes(path));
}

}  // namespace
}  // namespace zq
