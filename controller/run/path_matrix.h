// What the path probes say: every directed path, over a stretch of the run, asked against measured.
// Pure: snapshots of the agents' counters in, records and signals out.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent.pb.h"
#include "controller/fleet/fleet.h"
#include "controller/plan/plan.h"
#include "controller/run/path_asked.h"
#include "experiments/cluster.h"
#include "experiments/signal.h"
#include "results/store.h"

namespace zq {

// Node names to ids, for what comes back from agents.
class NodeIndex {
 public:
  explicit NodeIndex(const Cluster& cluster);
  [[nodiscard]] std::optional<NodeId> find(const std::string& name) const;

 private:
  std::unordered_map<std::string, NodeId> ids_;
};

// The fleet's path counters at about one instant; agents that did not answer are missing.
class PathSnapshot {
 public:
  struct Key {
    NodeId from = 0;
    NodeId to = 0;
    bool v4 = true;
    auto operator<=>(const Key&) const = default;
  };
  // Of probes that were sent since the stage began.
  struct Latency {
    std::uint64_t count = 0;
    std::int64_t p50_ns = 0, p90_ns = 0;
  };
  struct Counters {
    std::uint64_t sent = 0, sent_in_window = 0, send_errors = 0;
    std::uint64_t received = 0, received_in_window = 0;  // agentless target: what was echoed
    std::uint64_t duplicates = 0, out_of_order = 0;
    std::int64_t rtt_p50_ns = 0;
    bool agentless = false;
    Latency rtt;      // there and back
    Latency one_way;  // receiver's clock minus sender's: see clock()
  };

  // `at` is when the agent counted, on the controller's clock; `clock` is what is known of its own.
  void add(const NodeIndex& nodes, NodeId node, const zonequake::PathsReply& reply, MonoTime at,
           const ClockEstimate& clock = {});
  // When the node counted; nothing if it did not answer.
  [[nodiscard]] std::optional<MonoTime> answered(NodeId node) const;
  [[nodiscard]] std::size_t answers() const { return answered_.size(); }
  [[nodiscard]] const Counters& at(const Key& key) const;
  [[nodiscard]] const std::map<Key, Counters>& paths() const { return paths_; }
  // Of what was counted after `first`; latencies are of their stage in any case.
  [[nodiscard]] PathSnapshot since(const PathSnapshot& first) const;
  // As it was when the node counted.
  [[nodiscard]] ClockEstimate clock(NodeId node) const;

 private:
  std::map<Key, Counters> paths_;
  std::map<NodeId, MonoTime> answered_;
  std::map<NodeId, ClockEstimate> clocks_;
};

// The paths that the plan has measured: from every node with an agent to each of its targets, by
// both families where both ends have them.
struct PlannedPath {
  PathSnapshot::Key key;
  IpAddress address;  // of the target
  bool agentless = false;
};
[[nodiscard]] std::vector<PlannedPath> planned_paths(const Cluster& cluster, const Plan& plan);

// Whether a probe has arrived on each of them. From then on as many are on their way at any moment,
// so that two snapshots differ by what was lost and not by how far the nodes are apart.
[[nodiscard]] bool all_flow(const std::vector<PlannedPath>& paths, const PathSnapshot& now);

// A stretch of a run in which paths are measured. Without `window`, no fault is expected at all.
struct PathStage {
  std::string name;  // "before", "during:PHASE", "after"
  // Where the plan stays the same, in controller time and relative to T: both snapshots must lie
  // inside it.
  struct Inside {
    MonoTime from, until;
    Nanos from_t, until_t;
  };
  std::optional<Inside> window;
  std::uint16_t port = 0;  // of the probes, and
  double probe_rate = 0;   // of each to each of its targets, per second
  bool with_bulk = false;  // bulk data of the run's own fills what is capped
};

// Between what the two ends of the path have counted lie so many seconds, in both snapshots
// together: what was sent in them may be missing, or be too much.
[[nodiscard]] double counting_skew(const PathSnapshot::Key& key, const PathSnapshot& before,
                                   const PathSnapshot& after);

// What the plan asks of the path in the stage; both ways, when only echoes tell of it.
[[nodiscard]] AskedPath asked_in(const PathStage& stage, const Plan& plan, const PlannedPath& path);

struct PathMeasurement {
  std::vector<PathRecord> records;
  std::vector<std::string> unmeasured;  // paths that an agent's silence or lateness leaves open
};

// One record for every path that the plan has measured, from the difference of two snapshots; none
// where the path is cut for a part of the stage only.
[[nodiscard]] PathMeasurement measure_paths(const PathStage& stage, const Cluster& cluster,
                                            const Plan& plan, const PathSnapshot& before,
                                            const PathSnapshot& after);

// Probes that their sender knew to be inside a window, by its own clock and programme, and that
// arrived all the same at any time since arming: one line per path, none = no leak.
[[nodiscard]] std::vector<std::string> leaks(const Cluster& cluster, const PathSnapshot& last);

// net.reachable, net.rtt_ms and net.loss between two polls.
[[nodiscard]] std::vector<Sample> path_samples(const Cluster& cluster, const PathSnapshot& before,
                                               const PathSnapshot& after, MonoTime at);

}  // namespace zq
