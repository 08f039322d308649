// What the path probes say: every directed path, over a stretch of the run, asked against measured.
// Pure: snapshots of the agents' counters in, records and signals out.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent.pb.h"
#include "controller/plan/plan.h"
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
  struct Counters {
    std::uint64_t sent = 0, sent_in_window = 0, send_errors = 0;
    std::uint64_t received = 0, received_in_window = 0;
    std::int64_t rtt_p50_ns = 0;
  };

  // `at` is when the agent counted, on the controller's clock.
  void add(const NodeIndex& nodes, NodeId node, const zonequake::PathsReply& reply, MonoTime at);
  // When the node counted; nothing if it did not answer.
  [[nodiscard]] std::optional<MonoTime> answered(NodeId node) const;
  [[nodiscard]] std::size_t answers() const { return answered_.size(); }
  [[nodiscard]] const Counters& at(const Key& key) const;
  [[nodiscard]] const std::map<Key, Counters>& paths() const { return paths_; }

 private:
  std::map<Key, Counters> paths_;
  std::map<NodeId, MonoTime> answered_;
};

// True when the plan drops packets from one node to the other at some time in [from, until).
[[nodiscard]] bool plan_cuts(const Plan& plan, NodeId from, NodeId to, Nanos begin, Nanos end);

// A stretch of a run in which paths are measured. Without `window`, no fault is expected at all.
struct PathStage {
  std::string name;  // "before", "during:PHASE", "after"
  // The phase, in controller time and relative to T: both snapshots must lie inside it.
  struct Inside {
    MonoTime from, until;
    Nanos from_t, until_t;
  };
  std::optional<Inside> window;
};

struct PathMeasurement {
  std::vector<PathRecord> records;
  std::vector<std::string> unmeasured;  // paths that an agent's silence or lateness leaves open
};

// One record for every path that the plan has measured, from the difference of two snapshots.
[[nodiscard]] PathMeasurement measure_paths(const PathStage& stage, const Cluster& cluster,
                                            const Plan& plan, const PathSnapshot& before,
                                            const PathSnapshot& after);

// Probes that their sender knew to be inside a window, by its own clock and programme, and that
// arrived all the same at any time since arming: one line per path, none = no leak.
[[nodiscard]] std::vector<std::string> leaks(const Cluster& cluster, const PathSnapshot& last);

// net.reachable and net.rtt_ms between two polls.
[[nodiscard]] std::vector<Sample> path_samples(const Cluster& cluster, const PathSnapshot& before,
                                               const PathSnapshot& after, MonoTime at);

}  // namespace zq
