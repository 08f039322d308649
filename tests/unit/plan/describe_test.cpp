#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/unit/plan/plan_builder.h"

namespace zq {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

struct Example {
  Cluster cluster = three_zones();
  Experiment experiment;
  Plan plan;
};

Example example() {
  Example result;
  add_system(result.cluster, "zk", "role:master");
  result.experiment = experiment(
      {phase("partition", "60s",
             {fault(FaultKind::kPartition, "cut", "!cut"),
              fault(FaultKind::kOneWay, "zone:a", "zone:c")}),
       phase("failure", "90s", {fault(FaultKind::kKill, "cut", {}, Nanos{500'000'000})})});
  result.experiment.select.push_back({"cut", selector("zone:b")});
  auto plan = plan_of(result.cluster, result.experiment);
  if (!plan) ADD_FAILURE() << plan.error().message;
  if (plan) result.plan = *std::move(plan);
  return result;
}

TEST(DescribePlan, SaysEverythingInWords) {
  const Example it = example();
  EXPECT_EQ(describe_plan(it.plan, it.cluster, it.experiment),
            R"(T1-C2: A zone is cut on cluster three

Groups of nodes that all faults treat alike: 3
  group 0: 2 nodes of zone a: a1, a2
  group 1: 2 nodes of zone b: b1, b2
  group 2: 2 nodes of zone c: c1, c2

Selections
  cut = b1, b2

Packets, relative to the fault's instant T
  group 0 <-> group 1
    T to T+1m00s: everything dropped
  group 0 --> group 2
    T to T+1m00s: everything dropped
  group 1 <-> group 2
    T to T+1m00s: everything dropped

Processes
  T+60.5s: all processes killed, and started again at T+2m30s: b1, b2

Phases
  baseline   T-10s to T, 10s
  partition  T to T+1m00s, 1m00s
  failure    T+1m00s to T+2m30s, 1m30s, dead: b1, b2 (killed 500ms into it)
  recovery   T+2m30s to T+2m50s, 20s

Blast radius
  zones cut: a, b
  nodes impaired: 6 of 6
  ordered pairs of nodes impaired: 20 of 30
  systems without a majority at some instant: zk
  every fault ends by T+2m30s
)");
}

TEST(DescribePlan, JsonHoldsTheWholePlan) {
  const Example it = example();
  const auto document = nlohmann::json::parse(plan_to_json(it.plan, it.cluster));
  EXPECT_EQ(document["groups"].size(), 3U);
  EXPECT_EQ(document["groups"][1]["nodes"], (std::vector<std::string>{"b1", "b2"}));
  for (const auto& entry : document["groups"][1]["programme"]) {
    EXPECT_EQ(entry["windows"],
              nlohmann::json::parse(R"([{"from_ns": 0, "until_ns": 60000000000}])"));
    EXPECT_EQ(entry["segments"], nlohmann::json::parse(R"([{"from_ns": 0, "until_ns": 60000000000,
                                                           "scope": {}, "treatment": "drop"}])"));
  }
  ASSERT_EQ(document["groups"][1]["programme"].size(), 4U);
  EXPECT_EQ(document["groups"][1]["programme"][2]["direction"], "ingress");
  EXPECT_EQ(document["groups"][1]["programme"][1]["peer"], 2);
  EXPECT_EQ(document["processes"], nlohmann::json::parse(R"([{"what": "kill", "nodes": ["b1", "b2"],
      "system": "", "hook": "", "at_ns": 60500000000, "undo_at_ns": 150000000000}])"));
  EXPECT_EQ(document["address_book"].size(), 6U);
  EXPECT_EQ(document["address_book"][2]["prefix"], "10.66.2.1");
  EXPECT_EQ(document["address_book"][2]["group"], 1);
  EXPECT_EQ(document["phases"][2]["down"], (std::vector<std::string>{"b1", "b2"}));
  EXPECT_EQ(document["phases"][2]["kill_after_ns"], 500'000'000);
  EXPECT_EQ(document["selections"]["cut"], (std::vector<std::string>{"b1", "b2"}));
  EXPECT_EQ(document["path_targets"]["a1"],
            (std::vector<std::string>{"a2", "b1", "b2", "c1", "c2"}));
  EXPECT_EQ(document["blast"]["pairs_impaired"], 20);
  EXPECT_EQ(document["blast"]["quorum_at_risk"], (std::vector<std::string>{"zk"}));
  EXPECT_EQ(document["fault_end_ns"], 150'000'000'000);
}

TEST(DescribePlan, LongListsAreCutShort) {
  Cluster cluster = three_zones();
  for (unsigned i = 3; i < 20; ++i) {
    add_node(cluster, fmt::format("a{}", i), "a", {"agent"}, {fmt::format("10.66.1.{}", i)});
  }
  const Experiment quiet = experiment({});
  const auto plan = plan_of(cluster, quiet);
  ASSERT_TRUE(plan);
  const std::string text = describe_plan(*plan, cluster, quiet);
  EXPECT_THAT(text, testing::HasSubstr("a1, a2, b1, b2, c1, c2, a3, a4 and 15 more"));
  EXPECT_THAT(text, testing::HasSubstr("  all pass untouched\n"));
}

TEST(DescribePlan, TellsWhatIsBetweenTheZonesOfATestbedAnyway) {
  Cluster cluster = three_zones();
  const Experiment quiet = experiment({});
  const auto plan = plan_of(cluster, quiet);
  ASSERT_TRUE(plan);
  EXPECT_THAT(describe_plan(*plan, cluster, quiet), testing::Not(testing::HasSubstr("testbed")));
  Impairment far;
  far.delay = std::chrono::milliseconds(50);
  cluster.testbed = TestbedSpec{"recipe.toml", {{"a", "b", far, {}}}, {}};
  EXPECT_THAT(describe_plan(*plan, cluster, quiet), testing::HasSubstr("  a <-> b: delay 50ms\n"));
  const auto document = nlohmann::json::parse(plan_to_json(*plan, cluster));
  EXPECT_EQ(document["environment"],
            nlohmann::json::parse(R"([{"between": ["a", "b"], "impairment": "delay 50ms"}])"));
}

TEST(EvaluateNumber, CalculatesAndRefusesWhatIsNotANumber) {
  const std::map<std::string, double> timers{{"lease", 2}};
  EXPECT_DOUBLE_EQ(*evaluate_number(seconds("lease * 3 + 1m - 500ms"), timers), 65.5);
  EXPECT_DOUBLE_EQ(*evaluate_number(seconds("min(lease, 1s) / 4"), timers), 0.25);
  EXPECT_DOUBLE_EQ(*evaluate_number(seconds("-lease + 5"), timers), 3);
  const auto zero = evaluate_number(seconds("1s / (lease - 2s)"), timers);
  ASSERT_FALSE(zero);
  EXPECT_EQ(zero.error().code, ErrorCode::kInput);
  EXPECT_THAT(zero.error().message, testing::HasSubstr("division by zero"));
  const auto signal = evaluate_number(seconds("1s + sum(app.answers)"), timers);
  ASSERT_FALSE(signal);
  EXPECT_EQ(signal.error().code, ErrorCode::kInput);
  EXPECT_THAT(signal.error().message, testing::HasSubstr("not known before the run"));
  const auto unknown = evaluate_number(seconds("1s + leese"), timers);
  ASSERT_FALSE(unknown);
  // The text starts at column 10 of the file.
  EXPECT_THAT(unknown.error().message, testing::HasSubstr("experiment.toml:9:15"));
  EXPECT_FALSE(evaluate_number(Expression{}, timers));
}

}  // namespace
}  // namespace zq
