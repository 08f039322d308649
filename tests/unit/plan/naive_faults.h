// Faults read one by one, without the planner: what they say together happens to a packet.
#pragma once

#include <netinet/in.h>

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tests/unit/plan/plan_builder.h"

namespace zq::test {

class Dice {
 public:
  explicit Dice(unsigned seed) : engine_(seed) {}
  unsigned roll(unsigned from, unsigned to) {
    return std::uniform_int_distribution<unsigned>(from, to)(engine_);
  }
  bool once_in(unsigned count) { return roll(1, count) == 1; }
  template <class T>
  const T& one_of(const std::vector<T>& list) {
    return list[roll(0, static_cast<unsigned>(list.size()) - 1)];
  }

 private:
  std::mt19937 engine_;
};

struct Packet {
  std::uint8_t protocol = IPPROTO_TCP;
  std::uint16_t source = 0, destination = 0;
};

struct Outcome {
  bool dropped = false;
  bool rejected = false;
  std::optional<Impairment> impairment;
  [[nodiscard]] bool nothing() const { return !dropped && !rejected && !impairment; }
};

inline bool in(const std::vector<PortRange>& ranges, std::uint16_t port) {
  return std::any_of(ranges.begin(), ranges.end(), [&](const PortRange& range) {
    return range.first <= port && port <= range.last;
  });
}

inline bool matches(const Scope& scope, const Packet& packet) {
  if (scope.protocol != 0 && scope.protocol != packet.protocol) return false;
  const bool narrow =
      !scope.ports.empty() || !scope.source_ports.empty() || !scope.destination_ports.empty();
  if (!narrow) return true;
  if (packet.protocol != IPPROTO_TCP && packet.protocol != IPPROTO_UDP) return false;
  if (!scope.ports.empty() && !in(scope.ports, packet.source) &&
      !in(scope.ports, packet.destination)) {
    return false;
  }
  return (scope.source_ports.empty() || in(scope.source_ports, packet.source)) &&
         (scope.destination_ports.empty() || in(scope.destination_ports, packet.destination));
}

// A fault as the test knows it, beside what the planner is given.
struct NaiveFault {
  Fault spec;
  std::vector<NodeSet> sides;
  Nanos from{}, until{};

  // Whether packets between the nodes are its business, and as whose side the sender is.
  [[nodiscard]] bool between(NodeId from_node, NodeId to_node, bool& reversed) const {
    if (spec.kind == FaultKind::kZoneDown) {
      return sides[0].contains(from_node) || sides[0].contains(to_node);
    }
    for (std::size_t i = 0; i < sides.size(); ++i) {
      for (std::size_t j = 0; j < sides.size(); ++j) {
        if (i == j || !sides[i].contains(from_node) || !sides[j].contains(to_node)) continue;
        reversed = i > j;
        return !reversed || !(spec.one_way || spec.kind == FaultKind::kOneWay);
      }
    }
    return false;
  }

  [[nodiscard]] bool on(Nanos at) const {
    if (at < from || until <= at) return false;
    return spec.period == Nanos{0} || (at - from) % spec.period < spec.on;
  }

  [[nodiscard]] Impairment step(Nanos at) const {
    std::size_t step = 0;
    const auto steps = static_cast<std::int64_t>(spec.impairments.size());
    for (std::int64_t n = 1; n < steps; ++n) {
      if (from + (until - from) * n / steps <= at) step = static_cast<std::size_t>(n);
    }
    return spec.impairments[step];
  }
};

struct World {
  Cluster cluster;
  Experiment experiment;
  std::vector<NaiveFault> faults;
};

inline void meet(std::optional<Impairment>& all, const Impairment& one) {
  if (!all) {
    all = one;
    return;
  }
  const auto either = [](double a, double b) { return 1 - (1 - a) * (1 - b); };
  all->delay += one.delay;
  all->jitter += one.jitter;
  all->duplicate = either(all->duplicate, one.duplicate);
  all->corrupt = either(all->corrupt, one.corrupt);
  if (one.rate_bps != 0) {
    all->rate_bps = all->rate_bps == 0 ? one.rate_bps : std::min(all->rate_bps, one.rate_bps);
  }
  // Only the long run, which is all that a chain and an independent loss have in common.
  all->loss = {LossModel::Kind::kRandom, {either(all->loss.expected(), one.loss.expected())}};
}

// All faults, one by one.
inline Outcome naive(const World& world, const Plan& plan, NodeId from, NodeId to,
                     const Packet& packet, Nanos at) {
  Outcome outcome;
  for (const NaiveFault& fault : world.faults) {
    bool reversed = false;
    if (!fault.on(at) || !fault.between(from, to, reversed)) continue;
    const Packet seen =
        reversed ? Packet{packet.protocol, packet.destination, packet.source} : packet;
    if (!matches(fault.spec.scope, seen)) continue;
    if (fault.spec.kind != FaultKind::kImpair) {
      (fault.spec.reject ? outcome.rejected : outcome.dropped) = true;
      continue;
    }
    Impairment step = fault.step(at);
    if (fault.spec.cross_section_bps > 0) {
      // Of the total a share for each pair of nodes, times the pairs of one node's queue.
      const GroupId peer = plan.programmes[world.cluster.nodes[from].has_agent() ? to : from].group;
      step.rate_bps = fault.spec.cross_section_bps * plan.groups[peer].size() /
                      (fault.sides[0].size() * fault.sides[1].size());
    }
    meet(outcome.impairment, step);
  }
  if (outcome.dropped) outcome.rejected = false;
  if (outcome.dropped || outcome.rejected) outcome.impairment.reset();
  return outcome;
}

}  // namespace zq::test
