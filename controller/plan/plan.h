// Cluster x experiment -> what every node's kernel is told. Pure: no I/O, no system known by name.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/impairment.h"
#include "agent/base/ip.h"
#include "agent/base/time.h"
#include "experiments/cluster.h"
#include "experiments/experiment.h"

namespace zq {

using GroupId = std::uint32_t;
// What the gate holds per (direction, group).
inline constexpr std::size_t kMaxSegmentsPerEntry = 64;
inline constexpr std::size_t kMaxQueuesPerNode = 1000;  // (direction, group, impairment)

enum class Direction { kEgress, kIngress };  // as the node itself sees it

// A stretch of time, relative to the fault's instant T. Half open: [from, until).
struct Window {
  Nanos from{};
  Nanos until{};
  auto operator<=>(const Window&) const = default;
};

// What happens to the packets of `scope` in a stretch of time; with a period, only while
// (t - from) % period < on.
struct FaultSegment {
  Window window;
  Nanos period{};  // 0 = all the time
  Nanos on{};
  Scope scope{};
  Treatment treatment = Treatment::kDrop;
  std::size_t impairment = 0;  // kImpair: index into Plan::impairments
};

// What happens to packets between the node and `peer` in `direction`: of the segments that are in
// force and match a packet, the first decides. Drops come before rejects before impairments, and
// impairments of one packet are combined, so that order is no surprise.
struct ProgrammeEntry {
  Direction direction{};
  GroupId peer = 0;
  std::vector<FaultSegment> segments;  // at most kMaxSegmentsPerEntry
  // When nothing at all passes without a break (drops and rejects of everything, no flapping):
  // disjoint, ordered, maximal (touching ones are merged). Follows from `segments`.
  std::vector<Window> windows;
};

struct NodeProgramme {
  NodeId node = 0;
  GroupId group = 0;
  std::vector<ProgrammeEntry> entries;  // only impaired pairs
  // Nodes that this node sends path probes to throughout: at most two per other group (and one in
  // its own), so that the total stays linear in nodes.
  std::vector<NodeId> path_targets;
  bool has_agent = true;  // else entries and path targets are empty: its peers do its part
};

struct AddressBookEntry {
  IpPrefix prefix;
  GroupId group = 0;
};

// Something done to processes of nodes, or by an outside command, in user space.
struct ProcessStep {
  enum class What { kKill, kStop, kPause, kRestart, kHook };
  What what = What::kKill;
  std::vector<NodeId> nodes;
  std::string system;  // only this system's processes; empty = all of the node's
  std::string hook;    // kHook: a name from the cluster's [[hook]]
  Nanos at{};          // relative to T
  Nanos undo_at{};     // started again, resumed, or the hook's undo; kRestart: equal to `at`
};

struct PlannedPhase {
  std::string name;
  Nanos from{};  // relative to T; baseline ends at 0
  Nanos until{};
  std::vector<NodeId> down;  // nodes whose processes are dead during the phase
  Nanos kill_after{};        // after `from` the last of those that were alive before is killed
};

struct BlastRadius {
  // Of each fault that drops or rejects the zones of all its sides but the largest (the most zones,
  // then the most nodes, then the side named last), and the zones of the nodes on whose processes a
  // fault acts; in the cluster's order.
  std::vector<std::string> zones_cut;
  std::vector<NodeId> nodes_impaired;  // nodes with at least one entry, or acted upon
  std::size_t pairs_impaired = 0;      // ordered node pairs with a segment
  std::size_t pairs_total = 0;
  // Systems of which, at some instant, no majority of voters is alive and mutually reachable.
  // See voters_of() in experiments/cluster.h. What was dead still counts as dead to the end of the
  // phase in which it is started. A paused node is dead, and so is one that a hook was run for; a
  // border is cut where any of TCP's or UDP's ports is, and all the time where it flaps.
  std::vector<std::string> quorum_at_risk;
};

struct Plan {
  std::vector<std::vector<NodeId>> groups;     // GroupId -> nodes; every node is in exactly one
  std::vector<AddressBookEntry> address_book;  // the same on every node, ordered
  std::vector<NodeProgramme> programmes;       // by NodeId
  std::vector<Impairment> impairments;         // distinct; rates are those of one node
  std::vector<PlannedPhase> phases;            // in order; contiguous
  std::vector<ProcessStep> processes;          // by `at`
  std::map<std::string, NodeSet> selections;   // [select], resolved
  BlastRadius blast;

  [[nodiscard]] Nanos fault_end() const;  // end of the last window or kill; T itself when none
};

// What the plan needs from the live cluster, resolved by the caller.
struct PlanInput {
  const Cluster& cluster;
  const Experiment& experiment;
  std::map<std::string, double> variables;  // for `lasts`; durations in seconds
  const LiveCluster* live = nullptr;        // for dynamic selectors
  // By NodeId: names of agent/base/capability.h that the node's agent reported as present. Empty =
  // not asked (offline plan): nothing is refused for lack of one.
  std::vector<std::set<std::string>> capabilities = {};
};

// kInput: an empty selection, an unknown variable, a side that overlaps the other, addresses shared
// between groups, faults that cannot be combined, a border without any agent. kRefused: [limits]
// are exceeded, or a node cannot do what it would have to.
Result<Plan> make_plan(const PlanInput& input);

// Seconds, from an expression without signals.
Result<double> evaluate_number(const Expression& expression,
                               const std::map<std::string, double>& variables);

// The plan for people, and for programs.
[[nodiscard]] std::string describe_plan(const Plan& plan, const Cluster& cluster,
                                        const Experiment& experiment);
[[nodiscard]] std::string plan_to_json(const Plan& plan, const Cluster& cluster);

}  // namespace zq
