#include "agent/wire.h"

#include "agent/orders.h"

namespace zq {
namespace {

zonequake::FlowDirection to_wire(FlowDirection direction) {
  return direction == FlowDirection::kEgress ? zonequake::EGRESS : zonequake::INGRESS;
}

zonequake::Latency to_wire(const LatencyFigures& figures) {
  zonequake::Latency message;
  message.set_count(figures.count);
  message.set_min_ns(figures.min_ns);
  message.set_p50_ns(figures.p50_ns);
  message.set_p90_ns(figures.p90_ns);
  message.set_p99_ns(figures.p99_ns);
  message.set_max_ns(figures.max_ns);
  return message;
}

}  // namespace

zonequake::Uplink to_wire(const Uplink& uplink) {
  zonequake::Uplink message;
  message.set_device(uplink.device);
  message.set_index(uplink.index);
  return message;
}

zonequake::GateCounter to_wire(const GateCounter& counter) {
  zonequake::GateCounter message;
  message.set_direction(to_wire(counter.direction));
  message.set_group(counter.group);
  message.set_passed_packets(counter.passed_packets);
  message.set_passed_bytes(counter.passed_bytes);
  message.set_dropped_packets(counter.dropped_packets);
  message.set_dropped_bytes(counter.dropped_bytes);
  message.set_exempt_packets(counter.exempt_packets);
  message.set_transit_packets(counter.transit_packets);
  message.set_rejected_packets(counter.rejected_packets);
  message.set_lost_packets(counter.lost_packets);
  message.set_duplicated_packets(counter.duplicated_packets);
  message.set_queued_packets(counter.queued_packets);
  message.set_unqueued_packets(counter.unqueued_packets);
  return message;
}

zonequake::WindowEvidence to_wire(const WindowEvidence& evidence) {
  zonequake::WindowEvidence message;
  message.set_direction(to_wire(evidence.direction));
  message.set_group(evidence.group);
  message.set_segment(evidence.segment);
  message.set_treatment(static_cast<zonequake::Treatment>(evidence.window.treatment));
  message.set_from_mono_ns(to_ns(evidence.window.from));
  message.set_until_mono_ns(to_ns(evidence.window.until));
  message.set_dropped_packets(evidence.dropped_packets);
  message.set_dropped_bytes(evidence.dropped_bytes);
  message.set_passed_packets(evidence.passed_packets);
  message.set_exempt_packets(evidence.exempt_packets);
  message.set_last_passed_mono_ns(evidence.last_passed_ns);
  message.set_first_dropped_mono_ns(evidence.first_dropped_ns);
  message.set_last_dropped_mono_ns(evidence.last_dropped_ns);
  message.set_first_passed_mono_ns(evidence.first_passed_ns);
  message.set_impaired_packets(evidence.impaired_packets);
  message.set_impaired_bytes(evidence.impaired_bytes);
  message.set_impaired_segments(evidence.impaired_segments);
  message.set_lost_packets(evidence.lost_packets);
  message.set_duplicated_packets(evidence.duplicated_packets);
  message.set_first_impaired_mono_ns(evidence.first_impaired_ns);
  message.set_last_impaired_mono_ns(evidence.last_impaired_ns);
  message.set_held_dropped_packets(evidence.held_dropped_packets);
  message.set_held_passed_packets(evidence.held_passed_packets);
  message.set_last_held_mono_ns(evidence.last_held_ns);
  return message;
}

zonequake::QueueEvidence to_wire(const QueueState& state) {
  zonequake::QueueEvidence message;
  message.set_direction(to_wire(state.queue.direction));
  message.set_group(state.queue.group);
  message.set_impairment(state.queue.impairment_index);
  message.set_lane(state.lane);
  message.set_limit_packets(state.limit_packets);
  message.set_burst_bytes(state.burst_bytes);
  message.set_quantum_bytes(state.quantum_bytes);
  message.set_drain_ns(state.drain.count());
  message.set_sent_packets(state.sent_packets);
  message.set_sent_bytes(state.sent_bytes);
  message.set_dropped_packets(state.dropped_packets);
  message.set_backlog_packets(state.backlog_packets);
  message.set_discarded_packets(state.discarded_packets);
  return message;
}

zonequake::PathsReply to_wire(const PathCounts& counts) {
  zonequake::PathsReply message;
  for (const auto& sent : counts.sent) {
    auto* const out = message.add_sent();
    out->set_node(sent.node);
    out->set_address(write_address(sent.address));
    out->set_sent(sent.sent);
    out->set_sent_in_window(sent.sent_in_window);
    out->set_send_errors(sent.send_errors);
    out->set_echoed(sent.echoed);
    out->set_rtt_min_ns(sent.rtt_min_ns);
    out->set_rtt_p50_ns(sent.rtt_p50_ns);
    out->set_rtt_max_ns(sent.rtt_max_ns);
    *out->mutable_stage_rtt() = to_wire(sent.stage_rtt);
    out->set_echoed_in_window(sent.echoed_in_window);
    out->set_agentless(sent.agentless);
  }
  for (const auto& received : counts.received) {
    auto* const out = message.add_received();
    out->set_node(received.node);
    out->set_address(write_address(received.address));
    out->set_received(received.received);
    out->set_received_in_window(received.received_in_window);
    *out->mutable_stage_one_way() = to_wire(received.stage_one_way);
    out->set_duplicates(received.duplicates);
    out->set_out_of_order(received.out_of_order);
    out->set_corrupted(received.corrupted);
  }
  return message;
}

}  // namespace zq
