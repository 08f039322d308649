// Named links, from the multi-datacenter page of DC/OS ("Hybrid Cloud and Multi-Datacenter",
// Terminology): what it says that servers in one zone, zones of one region and regions have
// between them. It gives ranges; a preset is the worst of its range, so that a cluster that stands
// the preset stands every link that the page describes.
//
//   intra-zone    "1-10+ Gbps", "up to 1 ms"        1 ms,   1 Gbit/s of each server
//   inter-zone    "1-4 Gbps", "up to 10 ms"         10 ms,  1 Gbit/s of all together
//   inter-region  "10-100 Mbps", "100-500 ms"       500 ms, 10 Mbit/s of all together
//   private-link  The page asks for "dedicated private connections between regions" and gives no
//                 numbers for them. The distance stays, the public internet's variation does not,
//                 so that this is the better end of inter-region: 100 ms, 100 Mbit/s together.
//
// Latencies are round trips, as in the measurements that the page cites. Bandwidth between zones is
// a cross section ("the total cross-sectional bandwidth between zones is limited").
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/time.h"

namespace zq {

struct Preset {
  std::string name;
  Nanos rtt{};
  std::uint64_t bandwidth_bps = 0;  // each way
  bool cross_section = true;        // of all nodes of a side together; else of each node
};

[[nodiscard]] const std::vector<Preset>& presets();
// nullptr when there is none of that name.
[[nodiscard]] const Preset* find_preset(std::string_view name);
// One line for each, for help texts.
[[nodiscard]] std::string describe_presets();

}  // namespace zq
