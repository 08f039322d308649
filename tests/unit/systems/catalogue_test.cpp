// The experiments that come with the project: readable, and written over what adapters provide.
#include <algorithm>
#include <filesystem>
#include <set>

#include "experiments/experiment.h"
#include "experiments/system_kind.h"
#include "tests/unit/systems/support.h"

namespace zq::test {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> catalogue() {
  std::vector<std::string> files;
  const fs::path folder = fs::path(ZQ_SOURCE_DIR) / "experiments" / "catalogue";
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

// The timers that a healthy system of the kind tells.
std::set<std::string> timers_of(const std::string& kind) {
  std::unique_ptr<Adapter> adapter;
  if (kind == "swarm") {
    adapter = adapter_of(swarm_cluster());
    adapter->interpret(answer(0, "swarm/info", fixture("swarm-info.json")));
    adapter->interpret(answer(0, "swarm/services", fixture("swarm-services.json")));
  } else if (kind == "zookeeper") {
    adapter = adapter_of(coordinator_cluster(kind, "{ip}:2181"));
    adapter->interpret(answer(0, "zookeeper/conf", fixture("zookeeper-conf.txt"), 0));
    adapter->interpret(answer(0, "zookeeper/tcp", "1000\n", 0));
  } else {
    adapter = adapter_of(coordinator_cluster(kind, "http://{ip}:2379"));
  }
  std::set<std::string> names;
  for (const auto& [name, timer] : adapter->timers()) {
    EXPECT_GT(timer.seconds, 0) << name;
    EXPECT_FALSE(timer.derivation.empty()) << name;
    names.insert(name);
  }
  return names;
}

class CatalogueTest : public ::testing::TestWithParam<std::string> {};

// Those of our kinds that answer all that the experiment needs by themselves.
std::vector<std::string> kinds_for(const Experiment& experiment) {
  std::vector<std::string> kinds;
  for (const char* kind : {"swarm", "zookeeper", "etcd"}) {
    if (std::ranges::all_of(experiment.needs.systems,
                            [&](const std::string& need) { return answers_need(kind, need); })) {
      kinds.emplace_back(kind);
    }
  }
  return kinds;
}

TEST_P(CatalogueTest, IsReadableAndOwesNoTimer) {
  const auto experiment = load_experiment(GetParam());
  ASSERT_TRUE(experiment) << experiment.error().message;
  std::vector<Expression> expressions = experiment->steady.holds;
  if (experiment->limits.abort_if) expressions.push_back(*experiment->limits.abort_if);
  for (const Phase& phase : experiment->phases) expressions.push_back(phase.lasts);
  for (const Expectation& expectation : experiment->expectations) {
    expressions.push_back(expectation.condition);
    if (expectation.within) expressions.push_back(*expectation.within);
  }
  for (const std::string& kind : kinds_for(*experiment)) {
    std::set<std::string> known = timers_of(kind);
    known.insert("replicas");
    known.insert("predicted_waiting");  // from what adapters tell of members and apps
    for (const Expression& expression : expressions) {
      for (const std::string& name : expression.variables()) {
        EXPECT_TRUE(known.contains(name))
            << expression.position().to_string() << ": no " << kind << " tells '" << name << "'";
      }
    }
  }
}

// That the sentences are the page's own is for the test of page.toml.
TEST_P(CatalogueTest, QuotesThePageUnlessItIsAControl) {
  const auto experiment = load_experiment(GetParam());
  ASSERT_TRUE(experiment) << experiment.error().message;
  const bool faults = std::ranges::any_of(experiment->phases,
                                          [](const Phase& phase) { return !phase.faults.empty(); });
  EXPECT_EQ(experiment->caveat == "control", !faults);
  const bool quotes = !experiment->page.empty() ||
                      std::ranges::any_of(experiment->expectations,
                                          [](const Expectation& one) { return !one.page.empty(); });
  EXPECT_EQ(quotes, faults);
}

INSTANTIATE_TEST_SUITE_P(All, CatalogueTest, ::testing::ValuesIn(catalogue()),
                         [](const auto& file) {
                           std::string name = fs::path(file.param).stem();
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace zq::test
