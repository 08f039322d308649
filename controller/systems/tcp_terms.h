// How long TCP may pause before it sends again what a cut swallowed: a setting of the nodes, not of
// the systems on them, and a large part of what follows a heal.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controller/systems/adapter.h"
#include "controller/systems/placement.h"

namespace zq {

class TcpTerms {
 public:
  TcpTerms() = default;
  // For probes named after the system that asks.
  TcpTerms(const std::string& system, std::vector<Place> places);

  [[nodiscard]] std::vector<NodeProbe> probes() const;
  // True when the answer was to a probe of these.
  bool learn(const Answer& answer);
  // Seconds, the longest of all nodes; nothing before one has told.
  [[nodiscard]] std::optional<double> rto_max() const;

 private:
  std::string id_;  // of the probe
  std::vector<Place> places_;
  std::map<NodeId, double> rto_max_;
};

}  // namespace zq
