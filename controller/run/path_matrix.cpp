#include "controller/run/path_matrix.h"

#include <algorithm>

namespace zq {
namespace {

bool wire_is_v4(const std::string& wire) {
  return wire.size() == 16 && wire.compare(0, 12, std::string(10, '\0') + "\xff\xff") == 0;
}

std::string wire_to_text(const std::string& wire) {
  std::array<std::uint8_t, 16> bytes{};
  if (wire.size() != bytes.size()) return {};
  std::copy(wire.begin(), wire.end(), bytes.begin());
  return IpAddress::from_bytes(bytes).to_string();
}

// Counters only grow; a smaller later one means that the agent's life began anew.
std::uint64_t growth(std::uint64_t before, std::uint64_t after) {
  return after >= before ? after - before : after;
}

const PathSnapshot::Counters& counters_of(const PathSnapshot& snapshot,
                                          const PathSnapshot::Key& key) {
  static const PathSnapshot::Counters kNone;
  const auto found = snapshot.paths().find(key);
  return found == snapshot.paths().end() ? kNone : found->second;
}

}  // namespace

void PathSnapshot::add(const Cluster& cluster, NodeId node, const zonequake::PathsReply& reply) {
  const auto id_of = [&](const std::string& name) -> std::optional<NodeId> {
    const Node* found = cluster.find_node(name);
    if (found == nullptr) return std::nullopt;
    return static_cast<NodeId>(found - cluster.nodes.data());
  };
  for (const zonequake::PathSent& sent : reply.sent()) {
    const auto peer = id_of(sent.node());
    if (!peer) continue;
    Counters& counters = paths_[{.from = node, .to = *peer, .v4 = wire_is_v4(sent.address())}];
    counters.address = wire_to_text(sent.address());
    counters.sent = sent.sent();
    counters.sent_in_window = sent.sent_in_window();
    counters.send_errors = sent.send_errors();
    counters.rtt_p50_ns = sent.rtt_p50_ns();
    counters.sender_answered = true;
  }
  for (const zonequake::PathReceived& received : reply.received()) {
    const auto peer = id_of(received.node());
    if (!peer) continue;
    Counters& counters = paths_[{.from = *peer, .to = node, .v4 = wire_is_v4(received.address())}];
    counters.received = received.received();
    counters.received_in_window = received.received_in_window();
  }
  for (auto& [key, counters] : paths_) {
    if (key.to == node) counters.receiver_answered = true;
  }
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

std::vector<PathRecord> path_records(const std::string& stage, const Cluster& cluster,
                                     const Plan& plan, const PathSnapshot& before,
                                     const PathSnapshot& after,
                                     std::optional<std::pair<Nanos, Nanos>> during) {
  std::vector<PathRecord> records;
  for (const auto& [key, now] : after.paths()) {
    if (!now.sender_answered || !now.receiver_answered) continue;
    const PathSnapshot::Counters& then = counters_of(before, key);
    records.push_back(
        {.stage = stage,
         .from = cluster.nodes[key.from].name,
         .to = cluster.nodes[key.to].name,
         .address = now.address,
         .expected_cut = during && plan_cuts(plan, key.from, key.to, during->first, during->second),
         .sent = growth(then.sent, now.sent),
         .received = growth(then.received, now.received),
         .sent_in_window = growth(then.sent_in_window, now.sent_in_window),
         .received_in_window = growth(then.received_in_window, now.received_in_window),
         .rtt_p50_ns = now.rtt_p50_ns});
  }
  return records;
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
    const PathSnapshot::Counters& then = counters_of(before, key);
    Pair& pair = pairs[{key.from, key.to}];
    if (!now.sender_answered || !now.receiver_answered || now.sent <= then.sent) continue;
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
    const auto known = [&](double value) {
      return pair.known ? std::optional(value) : std::nullopt;
    };
    samples.push_back({"net.reachable", labels, at, known(pair.reachable ? 1 : 0)});
    if (pair.rtt_ms > 0) samples.push_back({"net.rtt_ms", labels, at, pair.rtt_ms});
  }
  return samples;
}

}  // namespace zq
