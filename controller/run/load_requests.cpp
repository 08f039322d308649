// Programmes and process steps on their way to the agents.
#include "controller/run/agent_requests.h"

namespace zq {
namespace {

void put_ports(const std::vector<PortRange>& ranges,
               google::protobuf::RepeatedPtrField<zonequake::PortRange>& ports) {
  for (const PortRange& range : ranges) {
    zonequake::PortRange* put = ports.Add();
    put->set_first(range.first);
    put->set_last(range.last);
  }
}

void put_segment(const FaultSegment& segment, MonoTime start, zonequake::Segment& message) {
  message.set_from_mono_ns(to_ns(start + segment.window.from));
  message.set_until_mono_ns(to_ns(start + segment.window.until));
  message.set_period_ns(segment.period.count());
  message.set_on_ns(segment.on.count());
  if (!segment.scope.everything()) {
    zonequake::Scope& scope = *message.mutable_scope();
    scope.set_protocol(segment.scope.protocol);
    put_ports(segment.scope.ports, *scope.mutable_ports());
    put_ports(segment.scope.source_ports, *scope.mutable_source_ports());
    put_ports(segment.scope.destination_ports, *scope.mutable_destination_ports());
  }
  switch (segment.treatment) {
    case Treatment::kDrop:
      message.set_treatment(zonequake::DROP);
      break;
    case Treatment::kReject:
      message.set_treatment(zonequake::REJECT);
      break;
    case Treatment::kImpair:
      message.set_treatment(zonequake::IMPAIR);
      message.set_impairment(static_cast<std::uint32_t>(segment.impairment));
      break;
  }
}

void put_impairment(const Impairment& impairment, zonequake::Impairment& message) {
  message.set_delay_ns(impairment.delay.count());
  message.set_jitter_ns(impairment.jitter.count());
  message.set_delay_correlation(impairment.delay_correlation);
  message.set_distribution(static_cast<std::uint32_t>(impairment.distribution));
  for (const std::int16_t value : impairment.table) message.add_table(value);
  message.set_loss_kind(static_cast<std::uint32_t>(impairment.loss.kind));
  for (const double value : impairment.loss.parameters) message.add_loss_parameters(value);
  message.set_duplicate(impairment.duplicate);
  message.set_corrupt(impairment.corrupt);
  message.set_reorder(impairment.reorder);
  message.set_rate_bps(impairment.rate_bps);
}

}  // namespace

std::vector<zonequake::LoadRequest> load_requests(const Plan& plan, const zonequake::RunRef& run,
                                                  MonoTime fault_at,
                                                  const std::vector<ClockEstimate>& clocks,
                                                  const std::vector<AgentStep>& steps) {
  zonequake::LoadRequest common;
  *common.mutable_run() = run;
  for (const Impairment& impairment : plan.impairments) {
    put_impairment(impairment, *common.add_impairments());
  }
  std::vector<zonequake::LoadRequest> requests;
  requests.reserve(plan.programmes.size());
  for (const NodeProgramme& programme : plan.programmes) {
    zonequake::LoadRequest& request = requests.emplace_back(common);
    const MonoTime start = fault_at + clocks[programme.node].offset;
    for (const ProgrammeEntry& entry : programme.entries) {
      zonequake::ProgrammeRule* rule = request.add_rules();
      rule->set_direction(entry.direction == Direction::kEgress ? zonequake::EGRESS
                                                                : zonequake::INGRESS);
      rule->set_group(entry.peer);
      for (const FaultSegment& segment : entry.segments) {
        put_segment(segment, start, *rule->add_segments());
      }
    }
  }
  for (const AgentStep& step : steps) {
    zonequake::ProcessAction& action = *requests[step.node].add_processes();
    action.set_verb(step.verb);
    action.set_unit(step.target.unit);
    action.set_cgroup(step.target.cgroup);
    action.set_at_mono_ns(to_ns(fault_at + clocks[step.node].offset + step.at));
  }
  return requests;
}

}  // namespace zq
