#include "tests/calibration/mesos/resources.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "controller/systems/json.h"

namespace zq::calibration {

using nlohmann::json;

namespace {

constexpr double kTolerance = 0.0005;  // Mesos' own fixed-point precision is a thousandth

std::vector<std::pair<int, int>> ranges_of(const std::set<int>& ports) {
  std::vector<std::pair<int, int>> ranges;
  for (const int port : ports) {
    if (!ranges.empty() && ranges.back().second + 1 == port) {
      ranges.back().second = port;
    } else {
      ranges.emplace_back(port, port);
    }
  }
  return ranges;
}

}  // namespace

Resources& Resources::operator+=(const Resources& other) {
  cpus += other.cpus;
  mem += other.mem;
  disk += other.disk;
  ports.insert(other.ports.begin(), other.ports.end());
  return *this;
}

Resources& Resources::operator-=(const Resources& other) {
  cpus -= other.cpus;
  mem -= other.mem;
  disk -= other.disk;
  for (const int port : other.ports) ports.erase(port);
  return *this;
}

bool Resources::contains(const Resources& other) const {
  return cpus + kTolerance >= other.cpus && mem + kTolerance >= other.mem &&
         disk + kTolerance >= other.disk && std::ranges::includes(ports, other.ports);
}

bool Resources::worth_offering() const {
  constexpr double kMinCpus = 0.01;
  constexpr double kMinMem = 32;
  return cpus + kTolerance >= kMinCpus || mem + kTolerance >= kMinMem;
}

Resources parse_resources(const json& list) {
  Resources resources;
  if (!list.is_array()) return resources;
  for (const auto& one : list) {
    const auto name = json_string(one, {"name"}).value_or("");
    const double amount = json_number(one, {"scalar", "value"}).value_or(0);
    if (name == "cpus") resources.cpus += amount;
    if (name == "mem") resources.mem += amount;
    if (name == "disk") resources.disk += amount;
    const json* const ranges = json_at(one, {"ranges", "range"});
    if (name != "ports" || ranges == nullptr || !ranges->is_array()) continue;
    for (const auto& range : *ranges) {
      const auto begin = static_cast<int>(json_number(range, {"begin"}).value_or(1));
      const auto end = static_cast<int>(json_number(range, {"end"}).value_or(0));
      for (int port = begin; port <= end; ++port) resources.ports.insert(port);
    }
  }
  return resources;
}

json v1_resources(const Resources& resources, bool allocated) {
  json list = json::array();
  const auto add = [&](json one) {
    one["role"] = "*";
    if (allocated) one["allocation_info"] = {{"role", "*"}};
    list.push_back(std::move(one));
  };
  const auto scalar = [&](const char* name, double value) {
    if (value > kTolerance) {
      add({{"name", name}, {"type", "SCALAR"}, {"scalar", {{"value", value}}}});
    }
  };
  scalar("cpus", resources.cpus);
  scalar("mem", resources.mem);
  scalar("disk", resources.disk);
  if (resources.ports.empty()) return list;
  json ranges = json::array();
  for (const auto& [begin, end] : ranges_of(resources.ports)) {
    ranges.push_back({{"begin", begin}, {"end", end}});
  }
  add({{"name", "ports"}, {"type", "RANGES"}, {"ranges", {{"range", ranges}}}});
  return list;
}

json flat_resources(const Resources& resources) {
  json flat = {
      {"cpus", resources.cpus}, {"mem", resources.mem}, {"disk", resources.disk}, {"gpus", 0.0}};
  std::string text;
  for (const auto& [begin, end] : ranges_of(resources.ports)) {
    text += fmt::format("{}{}-{}", text.empty() ? "" : ", ", begin, end);
  }
  if (!text.empty()) flat["ports"] = "[" + text + "]";
  return flat;
}

}  // namespace zq::calibration
