#include "controller/run/evidence.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "controller/run/agent_requests.h"
#include "controller/run/path_matrix.h"
#include "results/fault_start.h"
#include "results/path_passes.h"

namespace zq {
namespace {

std::string path_name(const PathRecord& record) {
  return fmt::format("{} -> {} ({})", record.from, record.to, record.address);
}

// Shorter windows may open and close between two probes.
constexpr Nanos kSurelyProbed = std::chrono::seconds(1);
// Of a step that was to be taken at an instant.
constexpr Nanos kLateStep = std::chrono::milliseconds(500);

// A segment as both ends of one border have it: sender's group, receiver's group, when, what.
struct BorderSegment {
  GroupId from = 0, to = 0;
  Window window;
  std::string what;
  auto operator<=>(const BorderSegment&) const = default;
};

// What both ends say of it, over all their nodes.
struct Seen {
  const FaultSegment* segment = nullptr;
  std::uint64_t dropped = 0, impaired = 0;
};
using Borders = std::map<BorderSegment, Seen>;

// Path probes of a border in the fault phases.
struct Probed {
  bool in_window = false;  // one was sent into a window
  std::uint64_t sent = 0, received = 0;
};
using ProbedBorders = std::map<std::pair<GroupId, GroupId>, Probed>;

BorderSegment border_of(const Plan& plan, GroupId own, const ProgrammeEntry& entry,
                        const FaultSegment& segment) {
  const bool egress = entry.direction == Direction::kEgress;
  // Source and destination ports are those of the packet at both ends, so that the text is the
  // same.
  return {.from = egress ? own : entry.peer,
          .to = egress ? entry.peer : own,
          .window = segment.window,
          .what = segment_text(plan, segment)};
}

// Fills in what the plan does at which border, and names the nodes that do not tell of all their
// segments.
std::vector<std::string> nodes_without_evidence(const Plan& plan, const Cluster& cluster,
                                                const NodeIndex& nodes,
                                                const std::vector<FaultEvidenceRecord>& evidence,
                                                Borders& borders) {
  std::map<std::tuple<NodeId, bool, GroupId>, std::map<std::uint32_t, const FaultEvidenceRecord*>>
      told;
  for (const FaultEvidenceRecord& record : evidence) {
    if (const auto node = nodes.find(record.node)) {
      told[{*node, record.direction == "egress", record.group}][record.segment] = &record;
    }
  }
  std::vector<std::string> missing;
  for (const NodeProgramme& programme : plan.programmes) {
    bool complete = true;
    for (const ProgrammeEntry& entry : programme.entries) {
      const bool egress = entry.direction == Direction::kEgress;
      const auto& records = told[{programme.node, egress, entry.peer}];
      for (std::uint32_t i = 0; i < entry.segments.size(); ++i) {
        Seen& seen = borders[border_of(plan, programme.group, entry, entry.segments[i])];
        seen.segment = &entry.segments[i];
        const auto found = records.find(i);
        if (found == records.end()) {
          complete = false;
          continue;
        }
        seen.dropped += found->second->dropped_packets;
        seen.impaired += found->second->impaired_packets;
      }
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
      } else if (record.sent == 0) {
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

namespace {

ProbedBorders probed_borders(const Plan& plan, const NodeIndex& nodes,
                             const std::vector<PathRecord>& paths) {
  ProbedBorders probed;
  for (const PathRecord& path : paths) {
    const auto from = nodes.find(path.from), to = nodes.find(path.to);
    if (!from || !to || !path.stage.starts_with("during:")) continue;
    Probed& border = probed[{plan.programmes[*from].group, plan.programmes[*to].group}];
    border.in_window = border.in_window || path.sent_in_window > 0;
    border.sent += path.sent;
    border.received += path.received;
  }
  return probed;
}

void assess_border(const BorderSegment& border, const Seen& seen, const Probed& probed,
                   const std::string& from, const std::string& to, Findings& findings) {
  const FaultSegment& segment = *seen.segment;
  if (segment.treatment == Treatment::kImpair) {
    if (seen.impaired > 0) return;
    findings.inconclusive.push_back(fmt::format(
        "no packet from {} to {} met '{}', so nothing proves it", from, to, border.what));
    return;
  }
  const bool whole = segment.scope.everything();
  const bool flaps = segment.period > Nanos{0};
  if (flaps && whole && seen.dropped > 0 && probed.sent > 0 && probed.received == 0) {
    findings.invalid.push_back(
        fmt::format("'{}' from {} to {} never let anything pass", border.what, from, to));
  }
  if (seen.dropped > 0) return;
  const bool surely_probed =
      probed.in_window && border.window.until - border.window.from >= kSurelyProbed;
  if (whole && !flaps && surely_probed) {
    findings.invalid.push_back(
        fmt::format("the fault did not bite: no packet from {} to {} was dropped", from, to));
  } else if (whole) {
    findings.inconclusive.push_back(fmt::format(
        "nothing was sent from {} to {} while that was cut, so nothing proves it", from, to));
  } else {
    findings.inconclusive.push_back(fmt::format(
        "no packet from {} to {} met '{}', so nothing proves it", from, to, border.what));
  }
}

}  // namespace

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
  for (const FaultEvidenceRecord& record : evidence) {
    if (record.passed_packets == 0 || record.treatment == "impair") continue;
    findings.invalid.push_back(fmt::format(
        "{} let {} packets pass ({} from or to {}) inside the fault's window: its lease had lapsed",
        record.node, record.passed_packets, record.direction,
        group_name(plan, cluster, record.group)));
  }
  ProbedBorders probed = probed_borders(plan, nodes, paths);
  for (const auto& [border, seen] : borders) {
    assess_border(border, seen, probed[{border.from, border.to}],
                  group_name(plan, cluster, border.from), group_name(plan, cluster, border.to),
                  findings);
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

Findings assess_counters(const std::string& node, const zonequake::EvidenceReply& reply) {
  Findings findings;
  std::uint64_t unqueued = 0;
  for (const zonequake::GateCounter& counter : reply.counters()) {
    unqueued += counter.unqueued_packets();
  }
  if (unqueued > 0) {
    findings.invalid.push_back(fmt::format(
        "{} let {} packets go undelayed because its queues were not served in time; give the "
        "agent more of the machine, or send less through it",
        node, unqueued));
  }
  return findings;
}

Findings assess_queues(const std::vector<QueueRecord>& queues) {
  Findings findings;
  for (const QueueRecord& queue : queues) {
    if (queue.dropped_packets == 0) continue;  // what a cap on the rate drops is not among them
    findings.invalid.push_back(fmt::format(
        "{}: the queue for '{}' ({}) overflowed and lost {} packets that nobody asked for (it "
        "holds {}); send less through it, or ask for less delay",
        queue.node, queue.asked, queue.lane, queue.dropped_packets, queue.limit_packets));
  }
  return findings;
}

Findings assess_steps(const std::vector<ProcessRecord>& steps) {
  Findings findings;
  for (const ProcessRecord& step : steps) {
    const std::string what = fmt::format("{}: {} of {}", step.node, step.step, step.target);
    if (!step.error.empty()) {
      findings.invalid.push_back(what + " failed: " + step.error);
    } else if (!step.began_mono_ns) {
      findings.invalid.push_back(what + " was never begun");
    } else if (const Nanos late{*step.began_mono_ns - step.planned_mono_ns}; late > kLateStep) {
      findings.invalid.push_back(fmt::format("{} began {} too late", what, format_duration(late)));
    }
  }
  return findings;
}

}  // namespace zq
