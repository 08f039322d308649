// The permanent environment between the zones of a testbed, as `zonequake testbed up` writes it
// for `zonequake-agent wan`: which packets the router between the zones impairs, and how.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/impairment.h"
#include "agent/base/ip.h"

namespace zq {

struct WanZone {
  std::string name;
  std::string device;               // the router's, that leads to the zone
  std::vector<IpPrefix> addresses;  // of the zone's nodes
  bool operator==(const WanZone&) const = default;
};

// Both directions are impaired alike and apart. All pairs of a link share its queues, so that the
// rate is what they have together, in each direction.
struct WanLink {
  std::string a, b;  // zones or regions, for people
  Impairment impairment;
  struct Pair {
    std::uint32_t a = 0, b = 0;  // indices into WanConfig::zones
    bool operator==(const Pair&) const = default;
  };
  std::vector<Pair> pairs;
  bool operator==(const WanLink&) const = default;
};

struct WanConfig {
  std::vector<WanZone> zones;
  std::vector<WanLink> links;
  bool operator==(const WanConfig&) const = default;
};

// JSON, which parse_wan_config() reads again.
[[nodiscard]] std::string to_text(const WanConfig& config);
// kInput: what is wrong with the text; the configuration returned makes sense as a whole.
Result<WanConfig> parse_wan_config(std::string_view text);

// "a <-> b: delay 50ms, rate 100Mbit/s".
[[nodiscard]] std::string describe_link(const std::string& a, const std::string& b,
                                        const Impairment& impairment);

}  // namespace zq
