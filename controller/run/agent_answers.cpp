// What agents tell, in the controller's time and the plan's words.
#include <nlohmann/json.hpp>

#include "controller/run/agent_requests.h"

namespace zq {
namespace {

const char* direction_name(zonequake::FlowDirection direction) {
  return direction == zonequake::EGRESS ? "egress" : "ingress";
}

const char* treatment_name(zonequake::Treatment treatment) {
  switch (treatment) {
    case zonequake::REJECT:
      return "reject";
    case zonequake::IMPAIR:
      return "impair";
    default:
      return "drop";
  }
}

std::string verb_name(zonequake::ProcessVerb verb) {
  std::string name = zonequake::ProcessVerb_Name(verb);
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

// The segment of the plan that the evidence is about.
const FaultSegment* planned_segment(const Plan& plan, NodeId node,
                                    const zonequake::WindowEvidence& window) {
  for (const ProgrammeEntry& entry : plan.programmes[node].entries) {
    const bool egress = entry.direction == Direction::kEgress;
    if (egress != (window.direction() == zonequake::EGRESS) || entry.peer != window.group()) {
      continue;
    }
    if (window.segment() < entry.segments.size()) return &entry.segments[window.segment()];
  }
  return nullptr;
}

}  // namespace

std::string segment_text(const Plan& plan, const FaultSegment& segment) {
  std::string text;
  switch (segment.treatment) {
    case Treatment::kDrop:
      text = "drop";
      break;
    case Treatment::kReject:
      text = "reject";
      break;
    case Treatment::kImpair:
      text = to_string(plan.impairments[segment.impairment]);
      break;
  }
  if (!segment.scope.everything()) text += " of " + to_string(segment.scope);
  if (segment.period > Nanos{0}) {
    text += fmt::format(", {} of every {}", format_duration(segment.on),
                        format_duration(segment.period));
  }
  return text;
}

std::vector<FaultEvidenceRecord> evidence_records(const Cluster& cluster, const Plan& plan,
                                                  NodeId node,
                                                  const zonequake::EvidenceReply& reply,
                                                  Nanos offset) {
  const auto local = [&](std::int64_t agent_ns) {
    return agent_ns == 0 ? 0 : agent_ns - offset.count();
  };
  std::vector<FaultEvidenceRecord> records;
  for (const zonequake::WindowEvidence& window : reply.windows()) {
    const FaultSegment* segment = planned_segment(plan, node, window);
    FaultEvidenceRecord& record = records.emplace_back();
    record.node = cluster.nodes[node].name;
    record.direction = direction_name(window.direction());
    record.group = window.group();
    record.from_mono_ns = local(window.from_mono_ns());
    record.until_mono_ns = local(window.until_mono_ns());
    record.dropped_packets = window.dropped_packets();
    record.dropped_bytes = window.dropped_bytes();
    record.passed_packets = window.passed_packets();
    record.exempt_packets = window.exempt_packets();
    record.last_passed_ns = local(window.last_passed_mono_ns());
    record.first_dropped_ns = local(window.first_dropped_mono_ns());
    record.last_dropped_ns = local(window.last_dropped_mono_ns());
    record.first_passed_ns = local(window.first_passed_mono_ns());
    record.segment = window.segment();
    record.treatment = treatment_name(window.treatment());
    if (segment != nullptr) {
      record.scope = to_string(segment->scope);
      record.asked = segment_text(plan, *segment);
    }
    record.impaired_packets = window.impaired_packets();
    record.impaired_bytes = window.impaired_bytes();
    record.impaired_segments = window.impaired_segments();
    record.lost_packets = window.lost_packets();
    record.duplicated_packets = window.duplicated_packets();
    record.held_dropped_packets = window.held_dropped_packets();
    record.held_passed_packets = window.held_passed_packets();
    record.first_impaired_ns = local(window.first_impaired_mono_ns());
    record.last_impaired_ns = local(window.last_impaired_mono_ns());
  }
  return records;
}

std::vector<QueueRecord> queue_records(const Cluster& cluster, const Plan& plan, NodeId node,
                                       const zonequake::EvidenceReply& reply) {
  std::vector<QueueRecord> records;
  for (const zonequake::QueueEvidence& queue : reply.queues()) {
    QueueRecord& record = records.emplace_back();
    record.node = cluster.nodes[node].name;
    record.direction = direction_name(queue.direction());
    record.group = queue.group();
    if (queue.impairment() < plan.impairments.size()) {
      const Impairment& impairment = plan.impairments[queue.impairment()];
      record.asked = to_string(impairment);
      record.rate_bps = impairment.rate_bps;
    }
    record.lane = queue.lane();
    record.limit_packets = queue.limit_packets();
    record.burst_bytes = queue.burst_bytes();
    record.quantum_bytes = queue.quantum_bytes();
    record.drain_ns = queue.drain_ns();
    record.sent_packets = queue.sent_packets();
    record.sent_bytes = queue.sent_bytes();
    record.dropped_packets = queue.dropped_packets();
    record.backlog_packets = queue.backlog_packets();
    record.discarded_packets = queue.discarded_packets();
  }
  return records;
}

std::vector<ProcessRecord> process_records(const std::string& node,
                                           const zonequake::ProcessReply& reply, Nanos offset) {
  std::vector<ProcessRecord> records;
  const auto local = [&](std::int64_t agent_ns) {
    return agent_ns == 0 ? std::nullopt : std::optional(agent_ns - offset.count());
  };
  for (const zonequake::ProcessResult& result : reply.results()) {
    const zonequake::ProcessAction& action = result.action();
    ProcessRecord& record = records.emplace_back();
    record.node = node;
    record.step = verb_name(action.verb());
    record.target = action.unit().empty() ? action.cgroup() : action.unit();
    record.began_mono_ns = local(result.began_mono_ns());
    record.done_mono_ns = local(result.done_mono_ns());
    record.planned_mono_ns = local(action.at_mono_ns()).value_or(record.began_mono_ns.value_or(0));
    record.by_agent = true;
    record.processes = result.processes();
    record.error = result.error();
  }
  return records;
}

std::string capabilities_text(const zonequake::DescribeReply& reply) {
  auto list = nlohmann::json::array();
  for (const zonequake::Capability& one : reply.capabilities()) {
    list.push_back({{"name", one.name()}, {"present", one.present()}, {"text", one.text()}});
  }
  return list.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::set<std::string> capability_names(const zonequake::DescribeReply& reply) {
  std::set<std::string> names;
  for (const zonequake::Capability& one : reply.capabilities()) {
    if (one.present()) names.insert(one.name());
  }
  return names;
}

}  // namespace zq
