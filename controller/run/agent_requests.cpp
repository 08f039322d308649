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

std::string agent_address(const Node& node, const Testbed* testbed) {
  if (!node.has_agent()) return "";
  return node.agent.empty() && testbed != nullptr ? testbed->agent_endpoint(node.name) : node.agent;
}

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
        path->set_agentless(!cluster.nodes[target].has_agent());
      }
    }
  }
  return requests;
}

}  // namespace zq
