// Bulk TCP data between agents as probes, and what their answers mean: net.throughput_mbps.
#pragma once

#include <string>
#include <vector>

#include "controller/systems/adapter.h"
#include "experiments/bulk.h"

namespace zq {

class BulkTraffic {
 public:
  // Agents take bulk data of `run` on `port`.
  BulkTraffic(const Cluster& cluster, std::vector<BulkFlow> flows, std::string run,
              std::uint16_t port);

  [[nodiscard]] std::vector<NodeProbe> probes() const;
  // The value is that of the second before the sample.
  [[nodiscard]] std::vector<Sample> interpret(const Answer& answer) const;

 private:
  const Cluster& cluster_;
  std::vector<BulkFlow> flows_;
  std::string run_;
  std::uint16_t port_;
};

}  // namespace zq
