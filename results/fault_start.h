// How exactly a fault began, told from what the gates counted. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/base/time.h"
#include "results/store.h"

namespace zq {

// Per node the packets around T, over all nodes the spread.
struct FaultStart {
  struct AtNode {
    std::string node;
    std::optional<Nanos> last_passed;    // relative to T, negative
    std::optional<Nanos> first_dropped;  // relative to T, not negative
  };
  std::vector<AtNode> nodes;
  std::optional<Nanos> spread;       // of first drops, between nodes
  std::optional<Nanos> largest_gap;  // first dropped - last passed, on one node

  // "first drops spread over 120us on 6 nodes; largest gap between packets around T 180us"
  [[nodiscard]] std::string to_string() const;
};

// Of the windows that open at T, both directions. A node's times are relative to its window's own
// start, which is T on the node's own clock.
[[nodiscard]] FaultStart fault_start(MonoTime fault_at,
                                     const std::vector<FaultEvidenceRecord>& evidence);

}  // namespace zq
