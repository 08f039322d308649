#include "controller/run/evidence.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace zq {
namespace {

bool passes(const PathRecord& record) {
  return record.received > 0 &&
         (record.received * 10 >= record.sent * 9 || record.received + 2 >= record.sent);
}

std::string path_name(const PathRecord& record) {
  return fmt::format("{} -> {} ({})", record.from, record.to, record.address);
}

// The windows of one border and direction, over all nodes on the sending and receiving side.
struct Border {
  std::uint64_t dropped = 0;
  std::uint64_t passed = 0;
};

std::string group_name(const Plan& plan, const Cluster& cluster, GroupId group) {
  const auto& nodes = plan.groups[group];
  std::string name = "{";
  for (std::size_t i = 0; i < std::min<std::size_t>(nodes.size(), 4); ++i) {
    name += (i == 0 ? "" : " ") + cluster.nodes[nodes[i]].name;
  }
  if (nodes.size() > 4) name += fmt::format(" and {} more", nodes.size() - 4);
  return name + "}";
}

}  // namespace

void Findings::merge(Findings other) {
  std::move(other.invalid.begin(), other.invalid.end(), std::back_inserter(invalid));
  std::move(other.inconclusive.begin(), other.inconclusive.end(), std::back_inserter(inconclusive));
}

Findings assess_paths(const std::vector<PathRecord>& records) {
  Findings findings;
  for (const PathRecord& record : records) {
    if (record.expected_cut) {
      if (record.received_in_window > 0) {
        findings.invalid.push_back(fmt::format(
            "{}: {} of {} probes that were sent inside the fault's window on {} arrived",
            record.stage, record.received_in_window, record.sent_in_window, path_name(record)));
      } else if (record.received > 0) {
        findings.invalid.push_back(fmt::format("{}: {} packets arrived on {}, which is cut",
                                               record.stage, record.received, path_name(record)));
      } else if (record.sent_in_window == 0) {
        findings.inconclusive.push_back(
            fmt::format("{}: nothing was sent on {}, so nothing proves the cut", record.stage,
                        path_name(record)));
      }
    } else if (record.sent == 0) {
      findings.inconclusive.push_back(
          fmt::format("{}: nothing was sent on {}, so nothing proves that it passes", record.stage,
                      path_name(record)));
    } else if (!passes(record)) {
      findings.invalid.push_back(
          fmt::format("{}: only {} of {} probes arrived on {}, which should "
                      "pass; check the addresses in the cluster file",
                      record.stage, record.received, record.sent, path_name(record)));
    }
  }
  return findings;
}

Findings assess_gates(const Plan& plan, const Cluster& cluster, MonoTime fault_at,
                      const std::vector<FaultEvidenceRecord>& evidence) {
  Findings findings;
  // (sender's group, receiver's group) -> what both ends counted.
  std::map<std::pair<GroupId, GroupId>, Border> borders;
  for (const NodeProgramme& programme : plan.programmes) {
    for (const ProgrammeEntry& entry : programme.entries) {
      borders[entry.direction == Direction::kEgress ? std::pair(programme.group, entry.peer)
                                                    : std::pair(entry.peer, programme.group)];
    }
  }
  for (const FaultEvidenceRecord& record : evidence) {
    const Node* node = cluster.find_node(record.node);
    if (node == nullptr) continue;
    const GroupId own =
        plan.programmes[static_cast<std::size_t>(node - cluster.nodes.data())].group;
    Border& border = borders[record.direction == "egress" ? std::pair(own, record.group)
                                                          : std::pair(record.group, own)];
    border.dropped += record.dropped_packets;
    border.passed += record.passed_packets;
    if (record.passed_packets > 0) {
      findings.invalid.push_back(fmt::format(
          "{} let {} packets pass ({} from or to {}) inside the fault's window: its lease had "
          "lapsed",
          record.node, record.passed_packets, record.direction,
          group_name(plan, cluster, record.group)));
    }
  }
  for (const auto& [groups, border] : borders) {
    if (border.dropped > 0) continue;
    findings.invalid.push_back(fmt::format(
        "the fault did not bite: no packet from {} to {} was dropped",
        group_name(plan, cluster, groups.first), group_name(plan, cluster, groups.second)));
  }
  for (const FaultStart::AtNode& start : fault_start(fault_at, evidence).nodes) {
    if (start.first_dropped && *start.first_dropped < Nanos{0}) {
      findings.invalid.push_back(fmt::format("{} dropped a packet {} before T", start.node,
                                             format_duration(-*start.first_dropped)));
    }
    if (start.last_passed && *start.last_passed >= Nanos{0}) {
      findings.invalid.push_back(fmt::format("{} let a packet pass {} after T", start.node,
                                             format_duration(*start.last_passed)));
    }
  }
  return findings;
}

FaultStart fault_start(MonoTime fault_at, const std::vector<FaultEvidenceRecord>& evidence) {
  // The conversion of clocks rounds; windows that open at T are told by a millisecond, not exactly.
  constexpr std::int64_t kSameInstant = 1'000'000;
  const std::int64_t t = to_ns(fault_at);
  std::map<std::string, FaultStart::AtNode> nodes;
  for (const FaultEvidenceRecord& record : evidence) {
    if (std::abs(record.from_mono_ns - t) > kSameInstant) continue;
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
  return fmt::format(
      "first drops spread over {} on {} nodes; largest gap between packets around T {}",
      format_duration(*spread), nodes.size(),
      largest_gap ? format_duration(*largest_gap) : "unknown");
}

}  // namespace zq
