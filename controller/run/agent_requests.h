// The plan in the agents' own terms: arm and load requests, and their answers back on the
// controller's clock.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "agent.pb.h"
#include "agent/base/time.h"
#include "controller/fleet/fleet.h"
#include "controller/plan/plan.h"
#include "controller/run/process_schedule.h"
#include "controller/testbed/testbed.h"
#include "experiments/cluster.h"
#include "results/store.h"

namespace zq {

struct ArmSettings {
  double probe_rate = 50;  // path probes per second and target
  std::uint16_t probe_port = 5799;
  Nanos lease = std::chrono::seconds(3);
  Nanos orphan = std::chrono::seconds(10);
};

// Where the node's agent listens: its own address, or the testbed's; empty = it has none.
[[nodiscard]] std::string agent_address(const Node& node, const Testbed* testbed);

// 16 bytes, IPv4 mapped, as the interface wants them.
[[nodiscard]] std::string to_wire(const IpAddress& address);

// One request per node, in the cluster's order.
[[nodiscard]] std::vector<zonequake::ArmRequest> arm_requests(const Cluster& cluster,
                                                              const Plan& plan,
                                                              const zonequake::RunRef& run,
                                                              const ArmSettings& settings);

// `clocks` by node: each agent gets T in its own time, and the process steps that are its own.
[[nodiscard]] std::vector<zonequake::LoadRequest> load_requests(
    const Plan& plan, const zonequake::RunRef& run, MonoTime fault_at,
    const std::vector<ClockEstimate>& clocks, const std::vector<AgentStep>& steps);

// "drop of tcp ports 2181, 200ms of every 1s"; "delay 50ms, loss 1%".
[[nodiscard]] std::string segment_text(const Plan& plan, const FaultSegment& segment);

// What a node's agent tells, in the controller's time and the plan's words.
[[nodiscard]] std::vector<FaultEvidenceRecord> evidence_records(
    const Cluster& cluster, const Plan& plan, NodeId node, const zonequake::EvidenceReply& reply,
    Nanos offset);
[[nodiscard]] std::vector<QueueRecord> queue_records(const Cluster& cluster, const Plan& plan,
                                                     NodeId node,
                                                     const zonequake::EvidenceReply& reply);
[[nodiscard]] std::vector<ProcessRecord> process_records(const std::string& node,
                                                         const zonequake::ProcessReply& reply,
                                                         Nanos offset);
// Describe's capabilities as the store keeps them, and the names of those that are present.
[[nodiscard]] std::string capabilities_text(const zonequake::DescribeReply& reply);
[[nodiscard]] std::set<std::string> capability_names(const zonequake::DescribeReply& reply);

}  // namespace zq
