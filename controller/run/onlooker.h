// Looks at a cluster through its agents and changes nothing in it: the way of `zonequake check`. It
// has no means to load a programme or to act on processes; path probes are armed with a gate that
// lets everything pass, and disarmed again whatever happens.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "controller/check/facts.h"
#include "controller/run/signal_hub.h"
#include "controller/testbed/testbed.h"
#include "experiments/cluster.h"

namespace zq {

struct OnlookOptions {
  Nanos patience = std::chrono::seconds(20);  // for the systems to have told everything
  Nanos paths = std::chrono::seconds(4);      // of path probes; 0 = none
  double probe_rate = 100;                    // per second and target
  std::uint16_t probe_port = 5799;
  bool throughput = false;  // 3 s of TCP at full speed between each pair of zones
  std::stop_token stop;
};

// Everything that the agents of the cluster and the systems behind them tell. Nodes that cannot be
// asked, and systems that do not answer, are named in the facts. kInput for what adapters refuse,
// kRefused when a run holds a node, kCancelled when asked to stop.
Result<Facts> gather_facts(const Cluster& cluster, const Testbed* testbed,
                           const OnlookOptions& options);

}  // namespace zq
