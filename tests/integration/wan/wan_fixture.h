// Testbeds whose zones are joined by links, and what is measured between their nodes.
#pragma once

#include <csignal>

#include "agent/base/capability.h"
#include "agent/dataplane/capability_report.h"
#include "tests/integration/delay_line/bulk_transfer.h"
#include "tests/integration/delay_line/one_way.h"
#include "tests/integration/support/netns_fixture.h"
#include "tests/integration/testbed/testbed_fixture.h"

namespace zq::test {

using namespace std::chrono_literals;

// A testbed that is up for as long as the object lives.
struct WanTestbed {
  std::string name = unique_cluster_name("wan");
  TakenDown cleanup{name};
  Cluster cluster;
  std::optional<Testbed> testbed;

  // Regions east (zones a, b) and west (c, d): bare-2-regions.toml, with these links if there are
  // any.
  explicit WanTestbed(std::vector<TestbedLink> links = {})
      : cluster(shipped_cluster("bare-2-regions.toml", name)) {
    if (!links.empty()) cluster.testbed->links = std::move(links);
  }
  // The words of the error, empty when it is up.
  [[nodiscard]] std::string bring_up() {
    auto up = Testbed::up(cluster, quiet_options());
    if (!up) return up.error().message;
    testbed.emplace(std::move(*up));
    return {};
  }

  [[nodiscard]] TestNetns netns(const std::string& node) const {
    return TestNetns(testbed->netns(node));
  }
  [[nodiscard]] TestNetns core() const { return TestNetns("zq-" + name + "-core"); }
  [[nodiscard]] std::string address(const std::string& node, bool v4 = true) const {
    return cluster.find_node(node)->host(v4)->to_string();
  }
  [[nodiscard]] OneWay measure(const std::string& from, const std::string& to, bool v4 = true,
                               const OneWayPlan& plan = {}) const {
    return measure_one_way(netns(from), address(from, v4), netns(to), address(to, v4), plan);
  }
  [[nodiscard]] Testbed::ProcessInfo environment() const {
    for (const auto& process : value_of(testbed->status())) {
      if (process.node == "core") return process;
    }
    throw std::runtime_error("the testbed has no environment");
  }
};

inline TestbedLink link(const std::string& a, const std::string& b, const Impairment& impairment) {
  return {a, b, impairment, {}};
}

inline Impairment delay_of(Nanos delay, std::uint64_t rate_bps = 0) {
  Impairment impairment;
  impairment.delay = delay;
  impairment.rate_bps = rate_bps;
  return impairment;
}

inline bool kernel_has(const std::string& name) {
  for (const Capability& capability : capability_report()) {
    if (capability.name == name) return capability.present;
  }
  return false;
}

}  // namespace zq::test
