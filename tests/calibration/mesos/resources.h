// Scalars and ports of agents, offers and tasks, all of role "*".
#pragma once

#include <nlohmann/json.hpp>
#include <set>

namespace zq::calibration {

struct Resources {
  double cpus = 0;
  double mem = 0;
  double disk = 0;
  std::set<int> ports;

  Resources& operator+=(const Resources& other);
  Resources& operator-=(const Resources& other);
  [[nodiscard]] bool contains(const Resources& other) const;
  [[nodiscard]] bool worth_offering() const;  // as --min_allocatable_resources
};

// A list of v1 Resource messages; what is of another name is left out.
[[nodiscard]] Resources parse_resources(const nlohmann::json& list);
// v1: [{"name":"cpus","type":"SCALAR",...}], with an allocation_info when `allocated`.
[[nodiscard]] nlohmann::json v1_resources(const Resources& resources, bool allocated);
// As /state shows them: {"cpus":1.0,...,"ports":"[31000-32000]"}.
[[nodiscard]] nlohmann::json flat_resources(const Resources& resources);

}  // namespace zq::calibration
