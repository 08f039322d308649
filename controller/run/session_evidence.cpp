// What the agents have to tell once the run is over: counters, queues, steps.
#include <algorithm>

#include "controller/run/session.h"
#include "results/fault_start.h"

namespace zq {
namespace {

constexpr Nanos kAnswerTime = std::chrono::seconds(3);

}  // namespace

void RunSession::collect_evidence() {
  zonequake::EvidenceRequest evidence_request;
  *evidence_request.mutable_run() = run_;
  std::vector<FaultEvidenceRecord> evidence;
  std::vector<QueueRecord> queues;
  const auto replies = fleet_->read_evidence(evidence_request, kAnswerTime);
  for (std::size_t i = 0; i < replies.size(); ++i) {
    const auto node = static_cast<NodeId>(i);
    const std::string& name = cluster_.nodes[i].name;
    if (replies[i]) {
      // With the offset that the programme was loaded with, so that T is T again.
      const Nanos offset{nodes_[i].clock_offset_ns};
      const auto records = evidence_records(cluster_, plan_, node, *replies[i], offset);
      evidence.insert(evidence.end(), records.begin(), records.end());
      const auto held = queue_records(cluster_, plan_, node, *replies[i]);
      queues.insert(queues.end(), held.begin(), held.end());
      findings_.merge(assess_counters(name, *replies[i]));
    } else if (fleet_->has_agent(i) && !lost_agents_.contains(name) && fired_) {
      invalidate(fmt::format("{} did not give its evidence: {}", name, replies[i].error().message));
    }
  }
  if (Status added = store_.add_evidence(record_.id, evidence); !added) {
    invalidate("evidence could not be stored: " + added.error().message);
  }
  if (Status added = store_.add_queues(record_.id, queues); !added) {
    invalidate("queues could not be stored: " + added.error().message);
  }
  if (fault_at_ && !evidence.empty()) {
    event("fault", "", fault_start(*fault_at_, evidence).to_string());
  }
  findings_.merge(assess_queues(queues));
  if (fault_at_ && !early_) {
    findings_.merge(assess_gates(plan_, cluster_, *fault_at_, evidence, path_records_));
  }
}

void RunSession::collect_process_results() {
  if (agent_steps_.empty() || !fired_) return;
  zonequake::ProcessRequest request;
  *request.mutable_run() = run_;
  const auto replies = fleet_->control_processes(request, kAnswerTime);
  for (std::size_t i = 0; i < replies.size(); ++i) {
    const std::string& name = cluster_.nodes[i].name;
    const bool asked = std::any_of(agent_steps_.begin(), agent_steps_.end(),
                                   [&](const AgentStep& step) { return step.node == i; });
    if (!asked) continue;
    if (!replies[i]) {
      if (lost_agents_.contains(name)) continue;
      invalidate(fmt::format("{} did not say what became of its process steps: {}", name,
                             replies[i].error().message));
      continue;
    }
    const auto records = process_records(name, *replies[i], Nanos{nodes_[i].clock_offset_ns});
    for (const ProcessRecord& record : records) {
      if (Status put = store_.put_process(record_.id, record); !put) {
        invalidate("process steps could not be stored: " + put.error().message);
      }
    }
    if (!early_) findings_.merge(assess_steps(records));
  }
}

}  // namespace zq
