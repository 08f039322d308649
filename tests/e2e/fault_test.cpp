// The fault itself, end to end: proven on every node, at one instant, and gone afterwards.
#include <gtest/gtest.h>

#include <map>

#include "tests/e2e/bare_experiments.h"
#include "tests/e2e/zonequake.h"

namespace zq::e2e {
namespace {

using std::chrono::seconds;

TEST(Fault, PartitionIsProvenHealedAndLeavesNothing) {
  Workspace work("bare-3x2.toml");
  const auto done =
      run_to_end(work.run_command(work.file("e.toml", partition_experiment("6s"))), seconds(90));
  ASSERT_EQ(done.exit_code, 0) << done.out << done.err;
  const Store store = work.store();
  const RunRecord run = value_of(store.run(1));
  EXPECT_EQ(run.verdict, RunVerdict::kPassed) << run.reason;
  for (const NodeRecord& node : value_of(store.nodes(1))) {
    EXPECT_FALSE(node.dump_before.empty()) << node.name;
    EXPECT_EQ(node.dump_before, node.dump_after) << node.name;
  }
  std::map<std::string, int> stages;
  for (const PathRecord& path : value_of(store.paths(1))) {
    ++stages[path.stage];
    if (path.expected_cut) {
      EXPECT_GT(path.sent_in_window, 0U) << path.from << " -> " << path.to;
      EXPECT_EQ(path.received, 0U) << path.from << " -> " << path.to;
    } else {
      EXPECT_GT(path.received, 0U) << path.stage << " " << path.from << " -> " << path.to;
    }
  }
  EXPECT_GT(stages["before"], 0);
  EXPECT_GT(stages["during:partition"], 0);
  EXPECT_GT(stages["after"], 0);
  EXPECT_TRUE(work.leftovers().empty()) << work.leftovers().front();
}

TEST(Fault, OpensOnAllNodesAtOneInstantUnderFiveThousandPacketsASecond) {
  Workspace work("bare-3x2.toml");
  const auto done = run_to_end(
      work.run_command(work.file("e.toml", partition_experiment("5s")), {"--probe-rate", "1500"}),
      seconds(120));
  ASSERT_EQ(done.exit_code, 0) << done.out << done.err;
  const Store store = work.store();
  const auto evidence = store.evidence(1);
  ASSERT_TRUE(evidence);
  const std::int64_t t = value_of(store.run(1)).fault_mono_ns.value();

  std::map<std::string, std::int64_t> last_passed, first_dropped;
  // Zone pairs are not told apart by the gate, groups are: here {b1 b2} and the others.
  std::map<bool, double> dropped;  // from the cut group? -> packets
  for (const FaultEvidenceRecord& record : *evidence) {
    EXPECT_EQ(record.passed_packets, 0U) << record.node;
    if (record.direction == "egress")
      dropped[record.node.starts_with("b")] += static_cast<double>(record.dropped_packets);
    if (record.last_passed_ns != 0) {
      auto& last = last_passed[record.node];
      last = std::max(last, record.last_passed_ns);
    }
    if (record.first_dropped_ns != 0) {
      auto [first, added] = first_dropped.emplace(record.node, record.first_dropped_ns);
      first->second = std::min(first->second, record.first_dropped_ns);
    }
  }
  ASSERT_EQ(first_dropped.size(), 6U);
  std::int64_t earliest = INT64_MAX, latest = 0, largest_gap = 0;
  for (const auto& [node, first] : first_dropped) {
    EXPECT_LT(last_passed[node], t) << node;
    EXPECT_GE(first, t) << node;
    earliest = std::min(earliest, first);
    latest = std::max(latest, first);
    largest_gap = std::max(largest_gap, first - last_passed[node]);
  }
  EXPECT_LE(latest - earliest, largest_gap);
  EXPECT_GE(dropped[true] / 5, 5000) << "packets a second out of the cut zone";
  EXPECT_GE(dropped[false] / 5, 5000) << "packets a second into the cut zone";
  RecordProperty("spread_us", static_cast<int>((latest - earliest) / 1000));
  RecordProperty("largest_gap_us", static_cast<int>(largest_gap / 1000));
  std::printf("spread %.3f ms, largest gap %.3f ms, %.0f and %.0f dropped/s\n",
              static_cast<double>(latest - earliest) / 1e6, static_cast<double>(largest_gap) / 1e6,
              dropped[true] / 5, dropped[false] / 5);
}

TEST(Fault, OneWayAndPartialCutsDoWhatTheySay) {
  Workspace work("bare-3x2.toml");
  const std::string experiment = R"(title = "a-b cut while c sees both, then one way c to a"
caveat = "T2-C6"
page = "networking partitions are more likely across zones"
[limits]
max_zones_cut = 3
[[phase]]
name = "baseline"
lasts = "3s"
[[phase]]
name = "partial"
lasts = "4s"
[[phase.fault]]
kind = "partition"
between = ["zone:a", "zone:b"]
[[phase]]
name = "one-way"
lasts = "4s"
[[phase.fault]]
kind = "one-way"
from = "zone:c"
to = "zone:a"
[[phase]]
name = "recovery"
lasts = "4s"
[[expect]]
id = "c-sees-both-in-the-partial-cut"
during = "partial"
always = "min(net.reachable{from_zone=c}) == 1"
[[expect]]
id = "the-other-way-stays-whole"
during = "one-way"
always = "min(net.reachable{from_zone=a}) == 1"
for = "2s"
)";
  const auto done = run_to_end(work.run_command(work.file("e.toml", experiment)), seconds(90));
  ASSERT_EQ(done.exit_code, 0) << done.out << done.err;
  const Store store = work.store();
  int cut = 0, whole = 0;
  for (const PathRecord& path : value_of(store.paths(1))) {
    const bool a_b =
        (path.from[0] == 'a' && path.to[0] == 'b') || (path.from[0] == 'b' && path.to[0] == 'a');
    const bool c_to_a = path.from[0] == 'c' && path.to[0] == 'a';
    const bool expected =
        (path.stage == "during:partial" && a_b) || (path.stage == "during:one-way" && c_to_a);
    EXPECT_EQ(path.expected_cut, expected) << path.stage << " " << path.from << path.to;
    EXPECT_EQ(path.received == 0, expected) << path.stage << " " << path.from << path.to;
    ++(expected ? cut : whole);
  }
  EXPECT_GT(cut, 0);
  EXPECT_GT(whole, 0);
}

}  // namespace
}  // namespace zq::e2e
