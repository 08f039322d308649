#include "controller/plan/scopes.h"

#include <netinet/in.h>

#include <algorithm>
#include <utility>

namespace zq {

namespace {

using Ports = std::vector<PortRange>;

const Ports& any_port() {
  static const Ports kAny{{0, 65535}};
  return kAny;
}

Ports intersect(const Ports& one, const Ports& other) {
  Ports both;
  for (const PortRange& a : one) {
    for (const PortRange& b : other) {
      const PortRange range{std::max(a.first, b.first), std::min(a.last, b.last)};
      if (range.first <= range.last) both.push_back(range);
    }
  }
  return both;
}

Ports or_any(const Ports& ports) { return ports.empty() ? any_port() : ports; }

bool names_ports(const Scope& scope) {
  return !scope.ports.empty() || !scope.source_ports.empty() || !scope.destination_ports.empty();
}

bool protocols_overlap(const Scope& one, const Scope& other) {
  if (one.protocol != 0 && other.protocol != 0) return one.protocol == other.protocol;
  const Scope& open = one.protocol == 0 ? one : other;
  const std::uint8_t protocol = std::max(one.protocol, other.protocol);
  return protocol == 0 || !names_ports(open) || has_ports(protocol);
}

}  // namespace

Scope reversed(Scope scope) {
  std::swap(scope.source_ports, scope.destination_ports);
  return scope;
}

bool overlap(const Scope& one, const Scope& other) {
  if (!protocols_overlap(one, other)) return false;
  const Ports source = intersect(or_any(one.source_ports), or_any(other.source_ports));
  const Ports destination =
      intersect(or_any(one.destination_ports), or_any(other.destination_ports));
  if (source.empty() || destination.empty()) return false;
  // `ports` of each must be met by one of the two ends.
  const Ports first = or_any(one.ports);
  const Ports second = or_any(other.ports);
  const Ports source_first = intersect(source, first);
  const Ports source_second = intersect(source, second);
  const Ports destination_first = intersect(destination, first);
  const Ports destination_second = intersect(destination, second);
  return (!source_first.empty() && !destination_second.empty()) ||
         (!source_second.empty() && !destination_first.empty()) ||
         !intersect(source_first, second).empty() || !intersect(destination_first, second).empty();
}

bool carries_connections(const Scope& scope) {
  return scope.protocol == 0 || scope.protocol == IPPROTO_TCP || scope.protocol == IPPROTO_UDP;
}

}  // namespace zq
