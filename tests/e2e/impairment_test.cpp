// Every kind of fault from the command line to the store: each run passes, says what was asked and
// what was measured, and leaves the nodes as they were.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/e2e/zonequake.h"

namespace zq::e2e {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string head(const std::string& title) {
  return "title = \"" + title + R"("
caveat = "T1-C4"
[verify]
throughput = true
[[phase]]
name = "baseline"
lasts = "3s"
)";
}

std::string phase(const std::string& name, const std::string& lasts, const std::string& fault) {
  return "[[phase]]\nname = \"" + name + "\"\nlasts = \"" + lasts + "\"\n" +
         (fault.empty() ? "" : "[[phase.fault]]\n" + fault);
}

std::string tail() {
  return R"([[phase]]
name = "recovery"
lasts = "4s"
[[expect]]
id = "healed"
during = "recovery"
eventually = "min(net.reachable) == 1"
within = "4s"
)";
}

void expect_clean(const Workspace& work, const Store& store) {
  for (const NodeRecord& node : value_of(store.nodes(1))) {
    if (node.agentless()) continue;
    EXPECT_FALSE(node.dump_before.empty()) << node.name;
    EXPECT_EQ(node.dump_before, node.dump_after) << node.name;
  }
  EXPECT_THAT(work.leftovers(), IsEmpty());
}

// Rows of a phase by quantity; of phases that were measured in parts, all of them.
using Rows = std::map<std::string, std::vector<MeasurementRecord>>;
Rows rows_of(const Store& store, const std::string& phase) {
  Rows rows;
  for (MeasurementRecord& one : value_of(store.measurements(1))) {
    if (one.stage.starts_with("during:" + phase)) rows[one.quantity].push_back(std::move(one));
  }
  return rows;
}

void expect_all_within(const Rows& rows) {
  for (const auto& [quantity, list] : rows) {
    for (const MeasurementRecord& one : list) {
      EXPECT_EQ(one.within, "yes")
          << one.stage << " " << one.from << " -> " << one.to << " " << quantity << ": asked "
          << one.asked << ", measured " << one.measured.value_or(-1) << " of " << one.samples
          << ", tolerance " << one.low << " to " << one.high;
    }
  }
}

TEST(Impairment, DelayLossRampsAndRatesAreMeasuredAsAsked) {
  Workspace work("bare-3x2.toml");
  const std::string experiment =
      head("A border is bad in every way") +
      phase("far", "5s",
            "kind = \"impair\"\nbetween = [\"zone:a\", \"zone:b\"]\ndelay = \"40ms\"\n") +
      phase("lossy", "6s",
            "kind = \"impair\"\nbetween = [\"zone:a\", \"zone:b\"]\nloss = \"10%\"\n") +
      phase("ramp", "9s",
            "kind = \"impair\"\nfrom = \"zone:a\"\nto = \"zone:c\"\n"
            "delay = [\"10ms\", \"60ms\", \"200ms\"]\n") +
      phase("narrow", "9s",
            "kind = \"impair\"\nbetween = [\"zone:b\", \"zone:c\"]\nrate = \"20mbit\"\n") +
      tail();
  const auto done = run_to_end(work.run_command(work.file("e.toml", experiment)), seconds(150));
  ASSERT_EQ(done.exit_code, 0) << done.out << done.err;
  EXPECT_THAT(done.out, HasSubstr("Asked against measured"));
  const Store store = work.store();

  const Rows far = rows_of(store, "far"), lossy = rows_of(store, "lossy");
  ASSERT_EQ(far.at("delay_ms").size(), 16U);  // 4 pairs, both directions, both families
  EXPECT_DOUBLE_EQ(far.at("delay_ms").front().asked, 40);
  expect_all_within(far);
  EXPECT_DOUBLE_EQ(lossy.at("loss").front().asked, 0.1);
  expect_all_within(lossy);

  std::set<double> steps;
  const Rows ramp = rows_of(store, "ramp");
  for (const MeasurementRecord& one : ramp.at("delay_ms")) {
    steps.insert(one.asked);
    EXPECT_EQ(one.from.front(), 'a');
    EXPECT_EQ(one.to.front(), 'c');
  }
  EXPECT_EQ(steps, (std::set<double>{10, 60, 200}));
  expect_all_within(ramp);

  const Rows narrow = rows_of(store, "narrow");
  ASSERT_EQ(narrow.at("rate_mbps").size(), 2U);  // one pair a direction is enough
  expect_all_within(narrow);

  std::set<std::string> lanes;
  for (const QueueRecord& queue : value_of(store.queues(1))) {
    lanes.insert(queue.lane);
    EXPECT_EQ(queue.dropped_packets, 0U) << queue.node;
  }
  EXPECT_FALSE(lanes.empty());
  const auto exported = run_to_end({zonequake(), "export", "1", "--db", work.db()}, seconds(20));
  const auto document = nlohmann::json::parse(exported.out);
  EXPECT_EQ(document["measurements"].size(), value_of(store.measurements(1)).size());
  EXPECT_FALSE(document["queues"].empty());
  expect_clean(work, store);
}

TEST(Impairment, ScopedRejectedFlappingRollingAndThreeWayCutsAreProven) {
  Workspace work("bare-3x2.toml");
  const std::string experiment =
      head("A border is cut in every way") +
      phase("probes-only", "4s",
            "kind = \"partition\"\nbetween = [\"zone:a\", \"zone:b\"]\nprotocol = \"udp\"\n"
            "ports = \"5799\"\n") +
      phase("rejected", "4s",
            "kind = \"partition\"\nbetween = [\"zone:a\", \"zone:b\"]\nreject = true\n") +
      phase("flapping", "8s",
            "kind = \"partition\"\nbetween = [\"zone:b\", \"zone:c\"]\n"
            "flap = { period = \"1s\", on = \"250ms\" }\n") +
      phase("first", "4s",
            "kind = \"partition\"\nbetween = [\"zone:a\", \"!zone:a\"]\nthrough = \"both\"\n") +
      phase("both", "4s",
            "kind = \"partition\"\nbetween = [\"zone:b\", \"!zone:b\"]\nthrough = \"second\"\n") +
      phase("second", "4s", "") +
      phase("parted", "4s",
            "kind = \"partition\"\nbetween = [\"zone:a\", \"zone:b\", \"zone:c\"]\n") +
      tail();
  const auto done = run_to_end(work.run_command(work.file("e.toml", experiment)), seconds(150));
  ASSERT_EQ(done.exit_code, 0) << done.out << done.err;
  const Store store = work.store();
  const auto zones_cut = [&](const std::string& stage) {
    std::set<std::string> pairs;
    for (const PathRecord& path : value_of(store.paths(1))) {
      if (path.stage != "during:" + stage || !path.expected_cut) continue;
      EXPECT_EQ(path.received, 0U) << stage << " " << path.from << " -> " << path.to;
      pairs.insert({path.from.front(), path.to.front()});
    }
    return pairs;
  };
  using Pairs = std::set<std::string>;
  EXPECT_EQ(zones_cut("probes-only"), (Pairs{"ab", "ba"}));
  EXPECT_EQ(zones_cut("rejected"), (Pairs{"ab", "ba"}));
  EXPECT_EQ(zones_cut("flapping"), Pairs{});
  EXPECT_EQ(zones_cut("first"), (Pairs{"ab", "ba", "ac", "ca"}));
  EXPECT_EQ(zones_cut("both"), (Pairs{"ab", "ba", "ac", "ca", "bc", "cb"}));
  EXPECT_EQ(zones_cut("second"), (Pairs{"ab", "ba", "bc", "cb"}));
  EXPECT_EQ(zones_cut("parted"), (Pairs{"ab", "ba", "ac", "ca", "bc", "cb"}));
  const Rows flapping = rows_of(store, "flapping");
  EXPECT_DOUBLE_EQ(flapping.at("loss").front().asked, 0.25);
  expect_all_within(flapping);
  std::set<std::string> treatments;
  for (const FaultEvidenceRecord& one : value_of(store.evidence(1))) {
    if (one.dropped_packets > 0) treatments.insert(one.asked);
  }
  EXPECT_TRUE(treatments.contains("drop"));
  EXPECT_TRUE(treatments.contains("reject"));
  EXPECT_TRUE(treatments.contains("drop, 250ms of every 1s"));
  expect_clean(work, store);
}

TEST(Impairment, NothingThatMatchesAScopeIsInconclusive) {
  Workspace work("bare-3x2.toml");
  const std::string experiment =
      head("Nobody speaks TCP here") +
      phase("cut", "4s",
            "kind = \"partition\"\nbetween = [\"zone:a\", \"zone:b\"]\nprotocol = \"tcp\"\n"
            "ports = \"2181\"\n") +
      tail();
  const auto done = run_to_end(work.run_command(work.file("e.toml", experiment)), seconds(90));
  EXPECT_EQ(done.exit_code, 2) << done.out << done.err;
  EXPECT_EQ(value_of(work.store().run(1)).verdict, RunVerdict::kInconclusive);
  EXPECT_THAT(done.out, HasSubstr("met 'drop of tcp ports 2181', so nothing proves it"));
}

TEST(Impairment, OneSideAloneImpairsBothDirections) {
  Workspace work("bare-one-sided.toml");
  const std::string experiment =
      head("Only zone a has agents") +
      phase("lossy", "6s",
            "kind = \"impair\"\nbetween = [\"zone:a\", \"zone:b\"]\nloss = \"20%\"\n") +
      phase("cut", "4s", "kind = \"one-way\"\nfrom = \"zone:b\"\nto = \"zone:a\"\n") + tail();
  const auto done = run_to_end(work.run_command(work.file("e.toml", experiment)), seconds(90));
  ASSERT_EQ(done.exit_code, 0) << done.out << done.err;
  const Store store = work.store();
  const Rows lossy = rows_of(store, "lossy");
  EXPECT_NEAR(lossy.at("loss").front().asked, 0.36, 1e-9);  // there and back
  expect_all_within(lossy);
  std::size_t cut = 0;
  for (const PathRecord& path : value_of(store.paths(1))) {
    EXPECT_EQ(path.from.front(), 'a');
    if (path.stage == "during:cut" && path.to.front() == 'b') cut += path.received == 0 ? 1U : 0U;
  }
  EXPECT_GT(cut, 0U);
  expect_clean(work, store);
}

}  // namespace
}  // namespace zq::e2e
