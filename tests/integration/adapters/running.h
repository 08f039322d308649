// An adapter whose probes really run, each node's in an engine of its own as its agent would run
// them.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/integration/probe/harness.h"
#include "tests/unit/systems/mesos_support.h"

namespace zq::test {

class Running {
 public:
  Running(const Cluster& cluster, const SystemSpec& system, const std::vector<NodeId>& nodes)
      : adapter_(make_adapter(cluster, system).value()) {
    for (const NodeId node : nodes) {
      std::vector<zonequake::Probe> probes;
      for (const NodeProbe& probe : adapter_->probes()) {
        if (probe.node == node) probes.push_back(probe.probe);
      }
      auto& agent = agents_[node];
      agent.collector = std::make_unique<probe_test::Collector>();
      agent.engine = std::make_unique<ProbeEngine>(agent.collector->sink());
      agent.engine->set_probes(probe_test::make_set(probes));
    }
  }

  // What the adapter says of the probe's results up to number `count`.
  std::vector<Sample> samples(NodeId node, const std::string& probe, std::size_t count = 1) {
    EXPECT_TRUE(agents_.at(node).collector->wait_count(probe, count)) << probe;
    return take(node, probe, count);
  }

  // False once time has run out without results of the probe that make samples that `matches`.
  bool eventually(NodeId node, const std::string& probe,
                  const std::function<bool(const std::vector<Sample>&)>& matches,
                  Nanos within = std::chrono::seconds(20)) {
    const MonoTime until = mono_now() + within;
    while (mono_now() < until) {
      const std::size_t next = agents_.at(node).taken[probe] + 1;
      if (!agents_.at(node).collector->wait_count(probe, next, until - mono_now())) break;
      if (matches(take(node, probe, next))) return true;
    }
    return false;
  }

  Adapter& adapter() { return *adapter_; }

 private:
  struct Agent {
    std::unique_ptr<probe_test::Collector> collector;
    std::unique_ptr<ProbeEngine> engine;  // gone before its collector
    std::map<std::string, std::size_t> taken;
    std::map<std::string, std::vector<Sample>> newest;
  };

  std::vector<Sample> take(NodeId node, const std::string& probe, std::size_t count) {
    Agent& agent = agents_.at(node);
    const auto all = agent.collector->all(probe);
    for (std::size_t& i = agent.taken[probe]; i < std::min(count, all.size()); ++i) {
      Answer told;
      told.node = node;
      told.probe = probe;
      told.at = mono_from_ns(all[i].at_mono_ns());
      told.observation = all[i];
      agent.newest[probe] = adapter_->interpret(told);
    }
    return agent.newest[probe];
  }

  std::unique_ptr<Adapter> adapter_;
  std::map<NodeId, Agent> agents_;
};

}  // namespace zq::test
