#include "controller/run/path_matrix.h"

#include <algorithm>
#include <cmath>

#include "results/path_passes.h"

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

PathSnapshot::Latency latency_of(const zonequake::Latency& latency) {
  return {.count = latency.count(), .p50_ns = latency.p50_ns(), .p90_ns = latency.p90_ns()};
}

// Why the difference between the snapshots says nothing about the path; empty when it does.
std::string unmeasured_because(const PathStage& stage, const Cluster& cluster,
                               const PlannedPath& path, const PathSnapshot& before,
                               const PathSnapshot& after) {
  for (const NodeId node : {path.key.from, path.key.to}) {
    if (node == path.key.to && path.agentless) continue;
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
                       MonoTime at, const ClockEstimate& clock) {
  answered_[node] = at;
  clocks_[node] = clock;
  for (const zonequake::PathSent& sent : reply.sent()) {
    const auto peer = nodes.find(sent.node());
    if (!peer) continue;
    Counters& counters = paths_[{.from = node, .to = *peer, .v4 = wire_is_v4(sent.address())}];
    counters.sent = sent.sent();
    counters.sent_in_window = sent.sent_in_window();
    counters.send_errors = sent.send_errors();
    counters.rtt_p50_ns = sent.rtt_p50_ns();
    counters.rtt = latency_of(sent.stage_rtt());
    if (!sent.agentless()) continue;
    counters.agentless = true;
    counters.received = sent.echoed();
    counters.received_in_window = sent.echoed_in_window();
  }
  for (const zonequake::PathReceived& received : reply.received()) {
    const auto peer = nodes.find(received.node());
    if (!peer) continue;
    Counters& counters = paths_[{.from = *peer, .to = node, .v4 = wire_is_v4(received.address())}];
    counters.received = received.received();
    counters.received_in_window = received.received_in_window();
    counters.duplicates = received.duplicates();
    counters.out_of_order = received.out_of_order();
    counters.one_way = latency_of(received.stage_one_way());
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

PathSnapshot PathSnapshot::since(const PathSnapshot& first) const {
  PathSnapshot difference = *this;
  for (auto& [key, now] : difference.paths_) {
    const Counters& then = first.at(key);
    now.sent = growth(then.sent, now.sent);
    now.sent_in_window = growth(then.sent_in_window, now.sent_in_window);
    now.send_errors = growth(then.send_errors, now.send_errors);
    now.received = growth(then.received, now.received);
    now.received_in_window = growth(then.received_in_window, now.received_in_window);
    now.duplicates = growth(then.duplicates, now.duplicates);
    now.out_of_order = growth(then.out_of_order, now.out_of_order);
  }
  return difference;
}

ClockEstimate PathSnapshot::clock(NodeId node) const {
  const auto found = clocks_.find(node);
  return found == clocks_.end() ? ClockEstimate{} : found->second;
}

std::vector<PlannedPath> planned_paths(const Cluster& cluster, const Plan& plan) {
  std::vector<PlannedPath> paths;
  for (const NodeProgramme& programme : plan.programmes) {
    if (!cluster.nodes[programme.node].has_agent()) continue;
    for (const NodeId target : programme.path_targets) {
      for (const bool v4 : {true, false}) {
        const auto address = cluster.nodes[target].host(v4);
        if (!address || !cluster.nodes[programme.node].host(v4)) continue;
        paths.push_back({.key = {.from = programme.node, .to = target, .v4 = v4},
                         .address = *address,
                         .agentless = !cluster.nodes[target].has_agent()});
      }
    }
  }
  return paths;
}

bool all_flow(const std::vector<PlannedPath>& paths, const PathSnapshot& now) {
  return std::ranges::all_of(
      paths, [&](const PlannedPath& path) { return now.at(path.key).received > 0; });
}

AskedPath asked_in(const PathStage& stage, const Plan& plan, const PlannedPath& path) {
  if (!stage.window) return {};
  const ProbeFlow flow{
      .from = path.key.from, .to = path.key.to, .port = stage.port, .icmp = path.agentless};
  return path.agentless ? asked_both_ways(plan, flow, stage.window->from_t, stage.window->until_t)
                        : asked_of(plan, flow, stage.window->from_t, stage.window->until_t);
}

double counting_skew(const PathSnapshot::Key& key, const PathSnapshot& before,
                     const PathSnapshot& after) {
  double seconds = 0;
  for (const PathSnapshot* snapshot : {&before, &after}) {
    const auto sender = snapshot->answered(key.from), receiver = snapshot->answered(key.to);
    if (sender && receiver) seconds += std::abs(to_seconds(*sender - *receiver));
  }
  return seconds;
}

PathMeasurement measure_paths(const PathStage& stage, const Cluster& cluster, const Plan& plan,
                              const PathSnapshot& before, const PathSnapshot& after) {
  PathMeasurement measured;
  for (const PlannedPath& path : planned_paths(cluster, plan)) {
    const PathSnapshot::Key& key = path.key;
    const AskedPath asked = asked_in(stage, plan, path);
    if (asked.mixed) continue;
    const std::string why = unmeasured_because(stage, cluster, path, before, after);
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
         .address = path.address.to_string(),
         .expected_cut = asked.cut,
         .sent = growth(then.sent, now.sent),
         .received = growth(then.received, now.received),
         .sent_in_window = growth(then.sent_in_window, now.sent_in_window),
         .received_in_window = growth(then.received_in_window, now.received_in_window),
         .rtt_p50_ns = now.rtt_p50_ns,
         .allowed_loss = 0});
    PathRecord& record = measured.records.back();
    if (probes_starve(asked, stage.probe_rate, stage.with_bulk)) {
      record.allowed_loss = 1;
    } else if (record.sent > 0 && !path.agentless) {
      const double between = stage.probe_rate * counting_skew(key, before, after);
      record.allowed_loss =
          std::min(0.5, kAllowedLoss + between / static_cast<double>(record.sent));
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
    std::uint64_t sent = 0, received = 0;
  };
  std::map<std::pair<NodeId, NodeId>, Pair> pairs;
  for (const auto& [key, now] : after.paths()) {
    const PathSnapshot::Counters& then = before.at(key);
    Pair& pair = pairs[{key.from, key.to}];
    const bool told_twice = before.answered(key.to) && after.answered(key.to);
    const bool both_twice =
        before.answered(key.from) && after.answered(key.from) && (now.agentless || told_twice);
    if (!both_twice || now.sent <= then.sent) continue;
    pair.known = true;
    pair.reachable = pair.reachable && now.received > then.received;
    pair.sent += now.sent - then.sent;
    pair.received += growth(then.received, now.received);
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
    std::optional<double> loss;
    if (pair.known) {
      // One or two may be on their way between the two agents' countings.
      const bool whole = pair.received + 2 >= pair.sent;
      loss = whole ? 0 : 1 - static_cast<double>(pair.received) / static_cast<double>(pair.sent);
    }
    samples.push_back({"net.loss", labels, at, loss});
    if (pair.rtt_ms > 0) samples.push_back({"net.rtt_ms", labels, at, pair.rtt_ms});
  }
  return samples;
}

}  // namespace zq
