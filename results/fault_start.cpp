#include "results/fault_start.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>

namespace zq {

FaultStart fault_start(MonoTime fault_at, const std::vector<FaultEvidenceRecord>& evidence) {
  // The conversion of clocks rounds; windows that open at T are told by a millisecond, not exactly.
  constexpr std::int64_t kSameInstant = 1'000'000;
  const std::int64_t t = to_ns(fault_at);
  std::map<std::string, FaultStart::AtNode> nodes;
  for (const FaultEvidenceRecord& record : evidence) {
    if (std::abs(record.from_mono_ns - t) > kSameInstant || record.treatment == "impair") continue;
    FaultStart::AtNode& node = nodes[record.node];
    node.node = record.node;
    // Relative to the window's own start, which is T on the node's own clock.
    if (record.last_passed_ns != 0) {
      const Nanos passed{record.last_passed_ns - record.from_mono_ns};
      node.last_passed = std::max(node.last_passed.value_or(passed), passed);
    }
    if (record.first_dropped_ns != 0) {
      const Nanos dropped{record.first_dropped_ns - record.from_mono_ns};
      node.first_dropped = std::min(node.first_dropped.value_or(dropped), dropped);
    }
  }
  FaultStart start;
  std::optional<Nanos> earliest, latest;
  for (auto& [name, node] : nodes) {
    if (node.first_dropped) {
      earliest = std::min(earliest.value_or(*node.first_dropped), *node.first_dropped);
      latest = std::max(latest.value_or(*node.first_dropped), *node.first_dropped);
      if (node.last_passed) {
        const Nanos gap = *node.first_dropped - *node.last_passed;
        start.largest_gap = std::max(start.largest_gap.value_or(gap), gap);
      }
    }
    start.nodes.push_back(std::move(node));
  }
  if (earliest) start.spread = *latest - *earliest;
  return start;
}

std::string FaultStart::to_string() const {
  if (!spread) return "no packet was dropped at T";
  const auto dropped = std::count_if(nodes.begin(), nodes.end(),
                                     [](const AtNode& node) { return node.first_dropped; });
  return fmt::format(
      "first drops spread over {} on {} nodes; largest gap between packets around T {}",
      format_duration(*spread), dropped, largest_gap ? format_duration(*largest_gap) : "unknown");
}

}  // namespace zq
