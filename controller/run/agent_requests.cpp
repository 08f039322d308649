#include "controller/run/agent_requests.h"

#include <netinet/in.h>

namespace zq {
namespace {

std::uint32_t mapped_length(const IpPrefix& prefix) {
  return prefix.length() + (prefix.is_v4() ? 96 : 0);
}

std::uint32_t protocol_number(const std::string& protocol) {
  if (protocol == "tcp") return IPPROTO_TCP;
  if (protocol == "udp") return IPPROTO_UDP;
  return 0;
}

}  // namespace

std::string to_wire(const IpAddress& address) {
  return {reinterpret_cast<const char*>(address.bytes().data()), address.bytes().size()};
}

std::vector<zonequake::ArmRequest> arm_requests(const Cluster& cluster, const Plan& plan,
                                                const zonequake::RunRef& run,
                                                const ArmSettings& settings) {
  // What is the same on every node is built once and copied.
  zonequake::ArmRequest common;
  *common.mutable_run() = run;
  common.set_groups(static_cast<std::uint32_t>(plan.groups.size()));
  for (const AddressBookEntry& entry : plan.address_book) {
    zonequake::BookEntry* book = common.add_book();
    book->set_address(to_wire(entry.prefix.address()));
    book->set_length(mapped_length(entry.prefix));
    book->set_group(entry.group);
  }
  for (const Exemption& exemption : cluster.exempt) {
    zonequake::Exempt* exempt = common.add_exempt();
    if (exemption.prefix) {
      exempt->set_address(to_wire(exemption.prefix->address()));
      exempt->set_length(mapped_length(*exemption.prefix));
    }
    exempt->set_protocol(protocol_number(exemption.protocol));
    exempt->set_port(exemption.port);
  }
  common.set_probe_rate(settings.probe_rate);
  common.set_probe_port(settings.probe_port);
  const auto to_ms = [](Nanos duration) {
    return static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
  };
  common.set_lease_ms(to_ms(settings.lease));
  common.set_orphan_ms(to_ms(settings.orphan));

  std::vector<zonequake::ArmRequest> requests;
  requests.reserve(plan.programmes.size());
  for (const NodeProgramme& programme : plan.programmes) {
    zonequake::ArmRequest& request = requests.emplace_back(common);
    request.set_group(programme.group);
    for (const bool v4 : {true, false}) {
      const auto own = cluster.nodes[programme.node].host(v4);
      if (!own) continue;
      request.add_own(to_wire(*own));
      for (const NodeId target : programme.path_targets) {
        const auto address = cluster.nodes[target].host(v4);
        if (!address) continue;
        zonequake::PathTarget* path = request.add_targets();
        path->set_node(cluster.nodes[target].name);
        path->set_address(to_wire(*address));
        path->set_group(plan.programmes[target].group);
      }
    }
  }
  return requests;
}

std::vector<zonequake::LoadRequest> load_requests(const Plan& plan, const zonequake::RunRef& run,
                                                  MonoTime fault_at,
                                                  const std::vector<ClockEstimate>& clocks) {
  std::vector<zonequake::LoadRequest> requests;
  requests.reserve(plan.programmes.size());
  for (const NodeProgramme& programme : plan.programmes) {
    zonequake::LoadRequest& request = requests.emplace_back();
    *request.mutable_run() = run;
    const MonoTime start = fault_at + clocks[programme.node].offset;
    for (const ProgrammeEntry& entry : programme.entries) {
      zonequake::ProgrammeRule* rule = request.add_rules();
      rule->set_direction(entry.direction == Direction::kEgress ? zonequake::EGRESS
                                                                : zonequake::INGRESS);
      rule->set_group(entry.peer);
      for (const Window& window : entry.windows) {
        zonequake::Segment* drop = rule->add_segments();
        drop->set_from_mono_ns(to_ns(start + window.from));
        drop->set_until_mono_ns(to_ns(start + window.until));
      }
    }
  }
  return requests;
}

std::vector<FaultEvidenceRecord> evidence_records(const std::string& node,
                                                  const zonequake::EvidenceReply& reply,
                                                  Nanos offset) {
  const auto local = [&](std::int64_t agent_ns) {
    return agent_ns == 0 ? 0 : agent_ns - offset.count();
  };
  std::vector<FaultEvidenceRecord> records;
  for (const zonequake::WindowEvidence& window : reply.windows()) {
    records.push_back({
        .node = node,
        .direction = window.direction() == zonequake::EGRESS ? "egress" : "ingress",
        .group = window.group(),
        .from_mono_ns = local(window.from_mono_ns()),
        .until_mono_ns = local(window.until_mono_ns()),
        .dropped_packets = window.dropped_packets(),
        .dropped_bytes = window.dropped_bytes(),
        .passed_packets = window.passed_packets(),
        .exempt_packets = window.exempt_packets(),
        .last_passed_ns = local(window.last_passed_mono_ns()),
        .first_dropped_ns = local(window.first_dropped_mono_ns()),
        .last_dropped_ns = local(window.last_dropped_mono_ns()),
        .first_passed_ns = local(window.first_passed_mono_ns()),
    });
  }
  return records;
}

}  // namespace zq
