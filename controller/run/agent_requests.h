// The plan in the agents' own terms: arm and load requests, and their answers back on the
// controller's clock.
#pragma once

#include <string>
#include <vector>

#include "agent.pb.h"
#include "agent/base/time.h"
#include "controller/fleet/fleet.h"
#include "controller/plan/plan.h"
#include "experiments/cluster.h"
#include "results/store.h"

namespace zq {

struct ArmSettings {
  double probe_rate = 50;  // path probes per second and target
  std::uint16_t probe_port = 5799;
  Nanos lease = std::chrono::seconds(3);
  Nanos orphan = std::chrono::seconds(10);
};

// 16 bytes, IPv4 mapped, as the interface wants them.
[[nodiscard]] std::string to_wire(const IpAddress& address);

// One request per node, in the cluster's order.
[[nodiscard]] std::vector<zonequake::ArmRequest> arm_requests(const Cluster& cluster,
                                                              const Plan& plan,
                                                              const zonequake::RunRef& run,
                                                              const ArmSettings& settings);

// `clocks` by node: each agent gets T in its own time.
[[nodiscard]] std::vector<zonequake::LoadRequest> load_requests(
    const Plan& plan, const zonequake::RunRef& run, MonoTime fault_at,
    const std::vector<ClockEstimate>& clocks);

[[nodiscard]] std::vector<FaultEvidenceRecord> evidence_records(
    const std::string& node, const zonequake::EvidenceReply& reply, Nanos offset);

}  // namespace zq
