#include "controller/systems/member_nodes.h"

namespace zq {

MemberNodes::MemberNodes(const std::vector<Place>& places) {
  for (const Place& place : places) {
    by_name_.emplace(place.name, &place);
    for (const IpAddress& address : place.addresses) by_address_.emplace(address, &place);
  }
}

const Place* MemberNodes::find(const std::string& host) const {
  if (const auto address = IpAddress::parse(host)) {
    const auto found = by_address_.find(*address);
    return found == by_address_.end() ? nullptr : found->second;
  }
  const auto found = by_name_.find(host);
  return found == by_name_.end() ? nullptr : found->second;
}

void MemberNodes::learn(const std::string& id, std::initializer_list<std::string> hosts) {
  if (nodes_.contains(id)) return;
  for (const std::string& host : hosts) {
    if (host.empty()) continue;
    if (const Place* const place = find(host)) {
      nodes_[id] = place;
      return;
    }
  }
}

const Place* MemberNodes::of(const std::string& id) const {
  const auto found = nodes_.find(id);
  return found == nodes_.end() ? nullptr : found->second;
}

}  // namespace zq
