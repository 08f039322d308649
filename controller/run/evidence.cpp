#include "controller/run/evidence.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "controller/run/path_matrix.h"
#include "results/fault_start.h"
#include "results/path_passes.h"

namespace zq {
namespace {

std::string path_name(const PathRecord& record) {
  return fmt::format("{} -> {} ({})", record.from, record.to, record.address);
}

// What both ends of one border and direction say, over all their nodes and windows.
struct Border {
  std::uint64_t dropped = 0;
  bool attempted = false;  // a path probe was sent into a window
};
// By (sender's group, receiver's group).
using Borders = std::map<std::pair<GroupId, GroupId>, Border>;

std::pair<GroupId, GroupId> border_of(GroupId own, bool egress, GroupId peer) {
  return egress ? std::pair(own, peer) : std::pair(peer, own);
}

// Fills in the borders that the plan cuts, and names the nodes that do not tell of all their
// windows.
std::vector<std::string> nodes_without_evidence(const Plan& plan, const Cluster& cluster,
                                                const NodeIndex& nodes,
                                                const std::vector<FaultEvidenceRecord>& evidence,
                                                Borders& borders) {
  std::map<std::tuple<NodeId, bool, GroupId>, std::size_t> told;
  for (const FaultEvidenceRecord& record : evidence) {
    const auto node = nodes.find(record.node);
    if (node) ++told[{*node, record.direction == "egress", record.group}];
  }
  std::vector<std::string> missing;
  for (const NodeProgramme& programme : plan.programmes) {
    bool complete = true;
    for (const ProgrammeEntry& entry : programme.entries) {
      const bool egress = entry.direction == Direction::kEgress;
      borders[border_of(programme.group, egress, entry.peer)];
      const auto found = told.find({programme.node, egress, entry.peer});
      complete = complete && found != told.end() && found->second == entry.windows.size();
    }
    if (!complete) missing.push_back(cluster.nodes[programme.node].name);
  }
  return missing;
}

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
    } else if (!path_passes(record)) {
      findings.invalid.push_back(
          fmt::format("{}: only {} of {} probes arrived on {}, which should "
                      "pass; check the addresses in the cluster file",
                      record.stage, record.received, record.sent, path_name(record)));
    }
  }
  return findings;
}

Findings assess_gates(const Plan& plan, const Cluster& cluster, MonoTime fault_at,
                      const std::vector<FaultEvidenceRecord>& evidence,
                      const std::vector<PathRecord>& paths) {
  Findings findings;
  const NodeIndex nodes(cluster);
  Borders borders;
  for (std::string& node : nodes_without_evidence(plan, cluster, nodes, evidence, borders)) {
    findings.invalid.push_back(std::move(node) +
                               " gave no evidence of every window that it should have opened");
  }
  for (const PathRecord& path : paths) {
    const auto from = nodes.find(path.from), to = nodes.find(path.to);
    if (!from || !to || path.sent_in_window == 0) continue;
    borders[{plan.programmes[*from].group, plan.programmes[*to].group}].attempted = true;
  }
  for (const FaultEvidenceRecord& record : evidence) {
    const auto node = nodes.find(record.node);
    if (!node) continue;
    const GroupId own = plan.programmes[*node].group;
    borders[border_of(own, record.direction == "egress", record.group)].dropped +=
        record.dropped_packets;
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
    const std::string from = group_name(plan, cluster, groups.first);
    const std::string to = group_name(plan, cluster, groups.second);
    if (border.attempted) {
      findings.invalid.push_back(
          fmt::format("the fault did not bite: no packet from {} to {} was dropped", from, to));
    } else {
      findings.inconclusive.push_back(fmt::format(
          "nothing was sent from {} to {} while that was cut, so nothing proves it", from, to));
    }
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

}  // namespace zq
