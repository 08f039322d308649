// What the path probes say: every directed path, over a stretch of the run, asked against measured.
// Pure: snapshots of the agents' counters in, records and signals out.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "agent.pb.h"
#include "controller/plan/plan.h"
#include "experiments/cluster.h"
#include "experiments/signal.h"
#include "results/store.h"

namespace zq {

// The fleet's path counters at about one instant.
class PathSnapshot {
 public:
  struct Key {
    NodeId from = 0;
    NodeId to = 0;
    bool v4 = true;
    auto operator<=>(const Key&) const = default;
  };
  struct Counters {
    std::string address;  // of the receiver
    std::uint64_t sent = 0, sent_in_window = 0, send_errors = 0;
    std::uint64_t received = 0, received_in_window = 0;
    std::int64_t rtt_p50_ns = 0;
    bool sender_answered = false, receiver_answered = false;
  };

  void add(const Cluster& cluster, NodeId node, const zonequake::PathsReply& reply);
  [[nodiscard]] const std::map<Key, Counters>& paths() const { return paths_; }

 private:
  std::map<Key, Counters> paths_;
};

// True when the plan drops packets from one node to the other at some time in [from, until).
[[nodiscard]] bool plan_cuts(const Plan& plan, NodeId from, NodeId to, Nanos begin, Nanos end);

// The differences between two snapshots, one record per path. `begin`/`end` relative to T, for what
// is expected; nullopt = no fault is expected at all.
[[nodiscard]] std::vector<PathRecord> path_records(const std::string& stage, const Cluster& cluster,
                                                   const Plan& plan, const PathSnapshot& before,
                                                   const PathSnapshot& after,
                                                   std::optional<std::pair<Nanos, Nanos>> during);

// net.reachable and net.rtt_ms between two polls.
[[nodiscard]] std::vector<Sample> path_samples(const Cluster& cluster, const PathSnapshot& before,
                                               const PathSnapshot& after, MonoTime at);

}  // namespace zq
