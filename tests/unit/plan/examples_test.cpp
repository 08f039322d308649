// Every example experiment fits its cluster and can be planned.
#include <gmock/gmock.h>

#include <filesystem>
#include <set>

#include "tests/unit/plan/plan_builder.h"

namespace zq {
namespace {

namespace fs = std::filesystem;

Cluster shipped_cluster(const std::string& name) {
  auto cluster = load_cluster(ZQ_SOURCE_DIR "/experiments/clusters/" + name + ".toml");
  if (!cluster) ADD_FAILURE() << cluster.error().message;
  return cluster.value_or(Cluster{});
}

TEST(Examples, AreReadCheckedAndPlanned) {
  const Cluster bare = shipped_cluster("bare-3x2");
  const Cluster one_sided = shipped_cluster("bare-one-sided");
  std::set<FaultKind> kinds;
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(ZQ_SOURCE_DIR "/experiments/examples")) {
    SCOPED_TRACE(entry.path().string());
    const auto experiment = load_experiment(entry.path());
    ASSERT_TRUE(experiment) << experiment.error().message;
    const std::string name = entry.path().stem();
    names.insert(name);
    const Cluster& cluster = name == "one-sided" ? one_sided : bare;
    const Status fits = check_against(*experiment, cluster);
    ASSERT_TRUE(fits) << fits.error().message;
    const auto plan = test::plan_of(cluster, *experiment);
    ASSERT_TRUE(plan) << plan.error().message;
    EXPECT_GT(plan->fault_end(), Nanos{0});
    EXPECT_FALSE(plan->blast.nodes_impaired.empty());
    EXPECT_FALSE(describe_plan(*plan, cluster, *experiment).empty());
    EXPECT_FALSE(plan_to_json(*plan, cluster).empty());
    for (const Phase& phase : experiment->phases) {
      for (const Fault& fault : phase.faults) kinds.insert(fault.kind);
    }
  }
  for (const char* name : {"latency", "wan-preset", "lossy", "damaged", "bandwidth-ramp",
                           "flapping", "rolling-cut", "three-way", "zookeeper-ports-only",
                           "masters-port-only", "reject", "one-sided", "zone-down", "pause"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
  EXPECT_EQ(kinds.size(), 7U) << "all but kill, which the catalogue has, and hooks";
}

}  // namespace
}  // namespace zq
