#include "controller/systems/placement.h"

#include <algorithm>

#include "controller/systems/endpoint.h"

namespace zq {

bool Place::has_role(std::string_view role) const {
  return std::find(roles.begin(), roles.end(), role) != roles.end();
}

std::vector<Place> node_places(const Cluster& cluster, const SystemSpec& system) {
  const auto nodes = system.nodes.resolve(cluster, {}, nullptr);
  std::vector<Place> places;
  if (!nodes) return places;
  for (const NodeId id : *nodes) {
    const Node& node = cluster.nodes.at(id);
    Place place{id, node.name, node.zone, node.roles, {}, {}};
    for (const IpPrefix& prefix : node.addresses) {
      if (prefix.is_host()) place.addresses.push_back(prefix.address());
    }
    places.push_back(std::move(place));
  }
  return places;
}

Result<std::vector<Place>> places_of(const Cluster& cluster, const SystemSpec& system) {
  if (auto nodes = system.nodes.resolve(cluster, {}, nullptr); !nodes) {
    return tl::unexpected<Error>(std::move(nodes).error());
  }
  std::vector<Place> places = node_places(cluster, system);
  for (Place& place : places) {
    ZQ_TRY(place.endpoint, expand_endpoint(system, cluster.nodes.at(place.id)));
  }
  if (places.empty()) {
    return fail(ErrorCode::kInput, "{}: system '{}' runs on no node; '{}' selects nothing",
                system.position.to_string(), system.name, system.nodes.text());
  }
  return places;
}

const Place* find_place(const std::vector<Place>& places, NodeId id) {
  const auto found = std::ranges::lower_bound(places, id, {}, &Place::id);
  return found == places.end() || found->id != id ? nullptr : &*found;
}

SeriesId node_series(const std::string& signal, const Place& place, const std::string& system) {
  return {signal, Labels{{"node", place.name}, {"zone", place.zone}, {"system", system}}};
}

NodeProbe new_probe(const Place& place, const std::string& id, Nanos interval, Nanos timeout) {
  const auto milliseconds = [](Nanos time) {
    return static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
  };
  NodeProbe result;
  result.node = place.id;
  result.probe.set_id(id);
  result.probe.set_interval_ms(milliseconds(interval));
  result.probe.set_timeout_ms(milliseconds(timeout));
  return result;
}

std::string seconds_text(double seconds) { return fmt::format("{:.6g}s", seconds); }

}  // namespace zq
