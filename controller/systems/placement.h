// Where a system's processes are, and small helpers that all adapters share.
#pragma once

#include <string>
#include <vector>

#include "controller/systems/adapter.h"
#include "controller/systems/series_book.h"

namespace zq {

struct Place {
  NodeId id = 0;
  std::string name, zone;
  std::vector<std::string> roles;
  std::vector<IpAddress> addresses;
  std::string endpoint;  // expanded

  [[nodiscard]] bool has_role(std::string_view role) const;
};

// The system's nodes in file order, without endpoints. A selector that cannot be resolved (the
// reader of cluster files refuses those) gives none.
[[nodiscard]] std::vector<Place> node_places(const Cluster& cluster, const SystemSpec& system);
// The same with endpoints; kInput when there are none.
Result<std::vector<Place>> places_of(const Cluster& cluster, const SystemSpec& system);
// `places` in file order, as all functions here give them.
[[nodiscard]] const Place* find_place(const std::vector<Place>& places, NodeId id);

[[nodiscard]] SeriesId node_series(const std::string& signal, const Place& place,
                                   const std::string& system);

// An empty probe of a node; `what` is up to the caller.
[[nodiscard]] NodeProbe new_probe(const Place& place, const std::string& id, Nanos interval,
                                  Nanos timeout);

// "6.5s", "0.2s", "12s".
[[nodiscard]] std::string seconds_text(double seconds);

}  // namespace zq
