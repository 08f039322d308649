// For random clusters and faults of every kind: what the programmes of every ordered pair of nodes
// do to a packet, at instants around every boundary, is what the faults say when they are read one
// by one.
#include <gmock/gmock.h>

#include <algorithm>

#include "tests/unit/plan/naive_faults.h"

namespace zq {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

Cluster random_cluster(Dice& dice) {
  Cluster cluster = empty_testbed("random");
  const unsigned zones = dice.roll(2, 5);
  for (unsigned zone = 0; zone < zones; ++zone) add_zone(cluster, fmt::format("z{}", zone));
  const unsigned nodes = dice.roll(zones, 12);
  const bool agentless = dice.once_in(3);
  for (unsigned node = 0; node < nodes; ++node) {
    add_node(cluster, fmt::format("n{}", node), fmt::format("z{}", node % zones), {"agent"},
             {fmt::format("10.70.{}.1", node)});
    if (agentless && node % zones == 0) cluster.nodes.back().agent = kNoAgent;
  }
  return cluster;
}

Scope random_scope(Dice& dice, bool two_sides) {
  Scope scope;
  switch (dice.roll(0, 7)) {
    case 0:
      scope.protocol = IPPROTO_ICMP;
      break;
    case 1:
      scope.protocol = IPPROTO_UDP;
      break;
    case 2:
      scope.ports = {{2181, 2181}, {2888, 3888}};
      break;
    case 3:
      scope.protocol = IPPROTO_TCP;
      if (two_sides) scope.source_ports = {{5050, 5050}};
      break;
    default:
      break;
  }
  return scope;
}

Impairment random_impairment(Dice& dice) {
  Impairment one;
  if (dice.once_in(2)) one.delay = std::chrono::milliseconds(dice.roll(1, 500));
  if (one.delay > Nanos{0} && dice.once_in(2)) one.jitter = one.delay / 2;
  if (dice.once_in(3)) one.loss = {LossModel::Kind::kRandom, {dice.roll(1, 99) / 100.0}};
  if (dice.once_in(8)) one.loss = {LossModel::Kind::kGilbertElliott, {0.1, 0.3, 0.9, 0.05}};
  if (dice.once_in(4)) one.rate_bps = dice.roll(1, 50) * 1'000'000ULL;
  if (dice.once_in(4)) one.corrupt = dice.roll(1, 9) / 100.0;
  if (!check(one)) one.duplicate = 0.25;
  return one;
}

std::vector<NodeSet> random_sides(Dice& dice, const Cluster& cluster, std::size_t count) {
  std::vector<NodeSet> sides(count);
  for (NodeId node = 0; node < cluster.nodes.size(); ++node) {
    const std::size_t zone = std::stoul(cluster.nodes[node].zone.substr(1));
    if (zone < count || dice.once_in(3)) sides[zone % count].insert(node);
  }
  if (dice.once_in(2)) std::swap(sides.front(), sides.back());
  return sides;
}

NaiveFault random_fault(Dice& dice, const Cluster& cluster) {
  NaiveFault fault;
  const std::vector<FaultKind> kinds{FaultKind::kPartition, FaultKind::kOneWay,
                                     FaultKind::kImpair,    FaultKind::kImpair,
                                     FaultKind::kImpair,    FaultKind::kZoneDown};
  const FaultKind kind = dice.one_of(kinds);
  std::size_t sides = 2;
  if (kind == FaultKind::kZoneDown) sides = 1;
  if (kind == FaultKind::kPartition && cluster.zones.size() > 2 && dice.once_in(3)) sides = 3;
  fault.sides = random_sides(dice, cluster, sides);
  if (kind == FaultKind::kZoneDown) std::erase_if(fault.sides[0], [](NodeId id) { return id > 1; });
  fault.spec = test::fault(kind, nodes_text(cluster, fault.sides[0]),
                           sides > 1 ? nodes_text(cluster, fault.sides[1]) : "");
  if (sides > 2) fault.spec.more.push_back(selector(nodes_text(cluster, fault.sides[2])));
  if (kind == FaultKind::kZoneDown) return fault;
  fault.spec.scope = random_scope(dice, sides == 2);
  fault.spec.reject = kind != FaultKind::kImpair && dice.once_in(3);
  if (dice.once_in(4)) {
    fault.spec.period = std::chrono::milliseconds(dice.roll(300, 3000));
    fault.spec.on = fault.spec.period * dice.roll(1, 9) / 10;
  }
  if (kind != FaultKind::kImpair) return fault;
  fault.spec.one_way = dice.once_in(3);
  for (unsigned step = dice.once_in(3) ? dice.roll(2, 4) : 1; step > 0; --step) {
    fault.spec.impairments.push_back(random_impairment(dice));
  }
  if (dice.once_in(5)) {
    fault.spec.cross_section_bps = dice.roll(1, 100) * 1'000'000ULL;
    for (Impairment& one : fault.spec.impairments) one.rate_bps = 0;
  }
  return fault;
}

World random_world(unsigned seed) {
  Dice dice(seed);
  World world{random_cluster(dice), {}, {}};
  const unsigned count = dice.roll(1, 4);
  std::vector<unsigned> lengths;
  for (unsigned i = 0; i < count; ++i) lengths.push_back(dice.roll(2, 9));
  std::vector<Phase> phases;
  Nanos start{0};
  for (unsigned number = 0; number < count; ++number) {
    const Nanos end = start + std::chrono::seconds(lengths[number]);
    std::vector<Fault> faults;
    for (unsigned more = dice.roll(0, 3); more > 0; --more) {
      NaiveFault fault = random_fault(dice, world.cluster);
      if (dice.once_in(3)) fault.spec.after = std::chrono::milliseconds(dice.roll(1, 1500));
      fault.from = start + fault.spec.after;
      fault.until = end;
      if (dice.once_in(3)) {
        fault.spec.lasts = std::chrono::milliseconds(dice.roll(100, 500));
        fault.until = fault.from + *fault.spec.lasts;
      } else if (number + 1 < count && dice.once_in(2)) {
        fault.spec.through = fmt::format("p{}", number + 1);
        fault.until = end + std::chrono::seconds(lengths[number + 1]);
      }
      faults.push_back(fault.spec);
      world.faults.push_back(std::move(fault));
    }
    phases.push_back(
        phase(fmt::format("p{}", number), fmt::format("{}s", lengths[number]), std::move(faults)));
    start = end;
  }
  world.experiment = experiment(std::move(phases));
  return world;
}

// As the kernel of one of the two nodes goes through its segments.
Outcome planned(const Plan& plan, const NodeProgramme& programme, Direction direction, GroupId peer,
                const Packet& packet, Nanos at) {
  Outcome outcome;
  const ProgrammeEntry* entry = find_entry(programme, direction, peer);
  if (entry == nullptr) return outcome;
  for (const FaultSegment& segment : entry->segments) {
    const Window& window = segment.window;
    if (at < window.from || window.until <= at || !matches(segment.scope, packet)) continue;
    if (segment.period > Nanos{0} && (at - window.from) % segment.period >= segment.on) continue;
    outcome.dropped = segment.treatment == Treatment::kDrop;
    outcome.rejected = segment.treatment == Treatment::kReject;
    if (segment.treatment == Treatment::kImpair) {
      outcome.impairment = plan.impairments[segment.impairment];
    }
    break;
  }
  return outcome;
}

bool alike(const Outcome& one, const Outcome& other) {
  if (one.dropped != other.dropped || one.rejected != other.rejected ||
      one.impairment.has_value() != other.impairment.has_value()) {
    return false;
  }
  if (!one.impairment) return true;
  const auto near = [](double a, double b) { return std::abs(a - b) < 1e-9; };
  const Impairment& a = *one.impairment;
  const Impairment& b = *other.impairment;
  return a.delay == b.delay && a.jitter == b.jitter && a.rate_bps == b.rate_bps &&
         near(a.corrupt, b.corrupt) && near(a.duplicate, b.duplicate) &&
         near(a.loss.expected(), b.loss.expected());
}

std::string say(const Outcome& outcome) {
  if (outcome.dropped) return "dropped";
  if (outcome.rejected) return "rejected";
  return outcome.impairment ? to_string(*outcome.impairment) : "untouched";
}

std::vector<Nanos> interesting_instants(const World& world, Dice& dice) {
  std::vector<Nanos> instants;
  for (const NaiveFault& fault : world.faults) {
    std::vector<Nanos> edges{fault.from, fault.until};
    const auto steps = static_cast<std::int64_t>(fault.spec.impairments.size());
    for (std::int64_t n = 1; n < steps; ++n) {
      edges.push_back(fault.from + (fault.until - fault.from) * n / steps);
    }
    if (fault.spec.period > Nanos{0}) {
      const Nanos cycle = fault.from + fault.spec.period * dice.roll(0, 3);
      edges.insert(edges.end(), {cycle, cycle + fault.spec.on});
    }
    for (const Nanos edge : edges) {
      for (const int offset : {-1, 0}) instants.push_back(edge + Nanos{offset});
    }
  }
  for (int i = 0; i < 10; ++i) instants.push_back(std::chrono::milliseconds(dice.roll(0, 30'000)));
  return instants;
}

Packet random_packet(Dice& dice) {
  static const std::vector<std::uint8_t> kProtocols{IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, 47};
  static const std::vector<std::uint16_t> kPorts{80, 2181, 3000, 5050, 40000};
  return {dice.one_of(kProtocols), dice.one_of(kPorts), dice.one_of(kPorts)};
}

// The number of comparisons; the first difference is described and ends it.
std::size_t compare(const World& world, const Plan& plan, unsigned seed) {
  Dice dice(seed);
  const std::vector<Nanos> instants = interesting_instants(world, dice);
  std::size_t compared = 0;
  for (NodeId from = 0; from < world.cluster.nodes.size(); ++from) {
    for (NodeId to = 0; to < world.cluster.nodes.size(); ++to) {
      if (from == to) continue;
      const NodeProgramme& sender = plan.programmes[from];
      const NodeProgramme& receiver = plan.programmes[to];
      for (const Nanos at : instants) {
        const Packet packet = random_packet(dice);
        const Outcome wanted = naive(world, plan, from, to, packet, at);
        const Outcome sent = planned(plan, sender, Direction::kEgress, receiver.group, packet, at);
        const Outcome received =
            planned(plan, receiver, Direction::kIngress, sender.group, packet, at);
        const bool cuts = wanted.dropped || wanted.rejected;
        // Impairments happen once, cuts at every end that can.
        const Outcome untouched;
        const bool sent_well = alike(sent, sender.has_agent ? wanted : untouched);
        const bool received_well =
            alike(received, receiver.has_agent && (cuts || !sender.has_agent) ? wanted : untouched);
        ++compared;
        if (sent_well && received_well) continue;
        ADD_FAILURE() << "n" << from << " -> n" << to << " at " << at.count() << " ns, protocol "
                      << int{packet.protocol} << " ports " << packet.source << " "
                      << packet.destination << ": should be " << say(wanted) << ", but is "
                      << say(sent) << " as sent and " << say(received) << " as received\n"
                      << describe_plan(plan, world.cluster, world.experiment);
        return compared;
      }
    }
  }
  return compared;
}

TEST(TreatmentProperty, EveryPacketGetsWhatTheFaultsSayTogether) {
  std::size_t planned_worlds = 0;
  std::size_t compared = 0;
  std::map<std::string, std::size_t> refused;
  for (unsigned seed = 1; seed <= 400 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const World world = random_world(seed);
    const auto plan = plan_of(world.cluster, world.experiment);
    if (!plan) {
      // Nothing else than what is documented.
      bool known = false;
      for (const char* reason : {"cannot be combined", "a packet can be in both", "flaps while",
                                 "has an agent", "act on processes of"}) {
        if (plan.error().message.find(reason) == std::string::npos) continue;
        known = true;
        ++refused[reason];
      }
      ASSERT_TRUE(known) << plan.error().message;
      continue;
    }
    ++planned_worlds;
    compared += compare(world, *plan, seed);
  }
  EXPECT_GT(planned_worlds, 200U);
  EXPECT_GT(compared, 200'000U);
  for (const auto& [reason, times] : refused) RecordProperty(reason, std::to_string(times));
}

TEST(TreatmentProperty, SegmentsAreInOrderAndWithinTheirTimes) {
  for (unsigned seed = 1000; seed < 1200; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const World world = random_world(seed);
    const auto plan = plan_of(world.cluster, world.experiment);
    if (!plan) continue;
    std::set<std::size_t> used;
    for (const NodeProgramme& programme : plan->programmes) {
      EXPECT_EQ(programme.has_agent, world.cluster.nodes[programme.node].has_agent());
      if (!programme.has_agent) {
        EXPECT_TRUE(programme.entries.empty());
        EXPECT_TRUE(programme.path_targets.empty());
      }
      for (const ProgrammeEntry& entry : programme.entries) {
        ASSERT_FALSE(entry.segments.empty());
        EXPECT_LE(entry.segments.size(), kMaxSegmentsPerEntry);
        EXPECT_TRUE(std::is_sorted(entry.segments.begin(), entry.segments.end(),
                                   [](const FaultSegment& one, const FaultSegment& two) {
                                     return one.treatment < two.treatment;
                                   }));
        for (const FaultSegment& segment : entry.segments) {
          EXPECT_LT(segment.window.from, segment.window.until);
          EXPECT_LE(segment.window.until, plan->fault_end());
          EXPECT_LE(segment.on, segment.period);
          if (segment.treatment == Treatment::kImpair) used.insert(segment.impairment);
        }
        for (std::size_t i = 1; i < entry.windows.size(); ++i) {
          EXPECT_LT(entry.windows[i - 1].until, entry.windows[i].from);
        }
      }
    }
    EXPECT_EQ(used.size(), plan->impairments.size());
    for (std::size_t i = 0; i < plan->impairments.size(); ++i) {
      EXPECT_TRUE(check(plan->impairments[i]));
      for (std::size_t j = 0; j < i; ++j) {
        EXPECT_FALSE(plan->impairments[i] == plan->impairments[j]);
      }
    }
  }
}

}  // namespace
}  // namespace zq
