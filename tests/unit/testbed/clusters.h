// A cluster to try things on: managers m1, m2 in zone a, a worker w1 in zone b.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "experiments/cluster.h"

namespace zq::testbed {

inline constexpr const char* kSmallCluster = R"(name = "small"
[testbed]
recipe = "recipe.toml"
[[region]]
name = "r"
[[region.zone]]
name = "a"
node = [
  { name = "m1", roles = ["master"], addresses = ["10.66.1.1", "fd66:1::1"], labels = { disk = "ssd" } },
  { name = "m2", roles = ["master"], addresses = ["10.66.1.2", "fd66:1::2"] },
]
[[region.zone]]
name = "b"
node = [{ name = "w1", roles = ["agent"], addresses = ["10.66.2.1"] }]
[[system]]
name = "swarm"
kind = "swarm"
nodes = "all"
endpoint = "unix:{dir}/docker.sock"
[[app]]
name = "web"
system = "swarm"
replicas = 3
ports = "18080-18089"
)";

inline Cluster parse_small_cluster(const std::string& text = kSmallCluster) {
  auto cluster = parse_cluster(text, "small.toml");
  if (!cluster) {
    ADD_FAILURE() << cluster.error().message;
    return {};
  }
  return std::move(*cluster);
}

// The text with the first `from` replaced.
inline std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  if (at == std::string::npos) {
    ADD_FAILURE() << "not in the text: " << from;
    return text;
  }
  return text.replace(at, from.size(), to);
}

}  // namespace zq::testbed
