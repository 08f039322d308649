#include "controller/run/path_matrix.h"

#include <algorithm>

namespace zq {
namespace {

bool wire_is_v4(const std::string& wire) {
  return wire.size() == 16 && wire.compare(0, 12, std::string(10, '\0') + "\xff\xff") == 0;
}

// Counters only grow; a smaller later one means that the agent's life began anew.
std::uint64_t growth(std::uint64_t before, std::uint64_t after) {
  return after >= before ? after - before : after;
}

std::string path_name(const Cluster& cluster, const PathSnapshot::Key& key) {
  return fmt::format("{} -> {} (IPv{})", cluster.nodes[key.from].name, cluster.nodes[key.to].name,
                     key.v4 ? 4 : 6);
}

// Why the difference between the snapshots says nothing about the path; empty when it does.
std::string unmeasured_because(const PathStage& stage, const Cluster& cluster,
                               const PathSnapshot::Key& key, const PathSnapshot& before,
                               const PathSnapshot& after) {
  for (const NodeId node : {key.from, key.to}) {
    const auto first = before.answered(node), last = after.answered(node);
    if (!first || !last) {
      return fmt::format("the agent of {} did not answer in time", cluster.nodes[node].name);
    }
    if (stage.window && (*first < stage.window->from || *last >= stage.window->until)) {
      return fmt::format("the agent of {} answered outside the phase", cluster.nodes[node].name);
    }
  }
  return {};
}

}  // namespace

NodeIndex::NodeIndex(const Cluster& cluster) {
  for (NodeId id = 0; id < cluster.nodes.size(); ++id) ids_.emplace(cluster.nodes[id].name, id);
}

std::optional<NodeId> NodeIndex::find(const std::string& name) const {
  const auto found = ids_.find(name);
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

void PathSnapshot::add(const NodeIndex& nodes, NodeId node, const zonequake::PathsReply& reply,
                       MonoTime at) {
  answered_[node] = at;
  for (const zonequake::PathSent& sent : reply.sent()) {
    const auto peer = nodes.find(sent.node());
    if (!peer) continue;
    Counters& counters = paths_[{.from = node, .to = *peer, .v4 = wire_is_v4(sent.address())}];
    counters.sent = sent.sent();
    counters.sent_in_window = sent.sent_in_window();
    counters.send_errors = sent.send_errors();
    counters.rtt_p50_ns = sent.rtt_p50_ns();
  }
  for (const zonequake::PathReceived& received : reply.received()) {
    const auto peer = nodes.find(received.node());
    if (!peer) continue;
    Counters& counters = paths_[{.from = *peer, .to = node, .v4 = wire_is_v4(received.address())}];
    counters.received = received.received();
    counters.received_in_window = received.received_in_window();
  }
}

std::optional<MonoTime> PathSnapshot::answered(NodeId node) const {
  const auto found = answered_.find(node);
  return found == answered_.end() ? std::nullopt : std::optional(found->second);
}

const PathSnapshot::Counters& PathSnapshot::at(const Key& key) const {
  static const Counters kNone;
  const auto found = paths_.find(key);
  return found == paths_.end() ? kNone : found->second;
}

bool plan_cuts(const Plan& plan, NodeId from, NodeId to, Nanos begin, Nanos end) {
  const NodeProgramme& sender = plan.programmes[from];
  const GroupId peer = plan.programmes[to].group;
  return std::any_of(sender.entries.begin(), sender.entries.end(), [&](const auto& entry) {
    return entry.direction == Direction::kEgress && entry.peer == peer &&
           std::any_of(entry.windows.begin(), entry.windows.end(), [&](const Window& window) {
             return window.from < end && begin < window.until;
           });
  });
}

PathMeasurement measure_paths(const PathStage& stage, const Cluster& cluster, const Plan& plan,
                              const PathSnapshot& before, const PathSnapshot& after) {
  PathMeasurement measured;
  for (const NodeProgramme& programme : plan.programmes) {
    for (const NodeId target : programme.path_targets) {
      for (const bool v4 : {true, false}) {
        const auto address = cluster.nodes[target].host(v4);
        if (!address || !cluster.nodes[programme.node].host(v4)) continue;
        const PathSnapshot::Key key{.from = programme.node, .to = target, .v4 = v4};
        const std::string why = unmeasured_because(stage, cluster, key, before, after);
        if (!why.empty()) {
          measured.unmeasured.push_back(
              fmt::format("{}: {} was not measured: {}", stage.name, path_name(cluster, key), why));
          continue;
        }
        const PathSnapshot::Counters& then = before.at(key);
        const PathSnapshot::Counters& now = after.at(key);
        measured.records.push_back(
            {.stage = stage.name,
             .from = cluster.nodes[key.from].name,
             .to = cluster.nodes[key.to].name,
             .address = address->to_string(),
             .expected_cut = stage.window && plan_cuts(plan, key.from, key.to, stage.window->from_t,
                                                       stage.window->until_t),
             .sent = growth(then.sent, now.sent),
             .received = growth(then.received, now.received),
             .sent_in_window = growth(then.sent_in_window, now.sent_in_window),
             .received_in_window = growth(then.received_in_window, now.received_in_window),
             .rtt_p50_ns = now.rtt_p50_ns});
      }
    }
  }
  return measured;
}

std::vector<std::string> leaks(const Cluster& cluster, const PathSnapshot& last) {
  std::vector<std::string> found;
  for (const auto& [key, counters] : last.paths()) {
    if (counters.received_in_window == 0) continue;
    found.push_back(fmt::format("{} of {} probes that were sent inside a window on {} arrived",
                                counters.received_in_window, counters.sent_in_window,
                                path_name(cluster, key)));
  }
  return found;
}

std::vector<Sample> path_samples(const Cluster& cluster, const PathSnapshot& before,
                                 const PathSnapshot& after, MonoTime at) {
  // Both families of a pair make one series: reachable means that every family that is in use
  // passes.
  struct Pair {
    bool known = false;
    bool reachable = true;
    double rtt_ms = 0;
  };
  std::map<std::pair<NodeId, NodeId>, Pair> pairs;
  for (const auto& [key, now] : after.paths()) {
    const PathSnapshot::Counters& then = before.at(key);
    Pair& pair = pairs[{key.from, key.to}];
    const bool both_twice = before.answered(key.from) && before.answered(key.to) &&
                            after.answered(key.from) && after.answered(key.to);
    if (!both_twice || now.sent <= then.sent) continue;
    pair.known = true;
    pair.reachable = pair.reachable && now.received > then.received;
    pair.rtt_ms = std::max(pair.rtt_ms, static_cast<double>(now.rtt_p50_ns) / 1e6);
  }
  std::vector<Sample> samples;
  for (const auto& [key, pair] : pairs) {
    const Node& from = cluster.nodes[key.first];
    const Node& to = cluster.nodes[key.second];
    const Labels labels{
        {"from", from.name}, {"to", to.name}, {"from_zone", from.zone}, {"to_zone", to.zone}};
    std::optional<double> reachable;
    if (pair.known) reachable = pair.reachable ? 1 : 0;
    samples.push_back({"net.reachable", labels, at, reachable});
    if (pair.rtt_ms > 0) samples.push_back({"net.rtt_ms", labels, at, pair.rtt_ms});
  }
  return samples;
}

}  // namespace zq
