// For random clusters and faults: what the two programmes of every ordered pair of nodes do, at
// instants around every boundary, is what the faults say when they are read pair by pair.
#include <algorithm>
#include <chrono>
#include <optional>
#include <random>

#include "tests/unit/plan/plan_builder.h"

namespace zq {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

class Dice {
 public:
  explicit Dice(unsigned seed) : engine_(seed) {}
  unsigned roll(unsigned from, unsigned to) {
    return std::uniform_int_distribution<unsigned>(from, to)(engine_);
  }
  bool once_in(unsigned count) { return roll(1, count) == 1; }

 private:
  std::mt19937 engine_;
};

// A fault as the test knows it, beside what the planner is given.
struct NaiveFault {
  std::size_t phase = 0;
  FaultKind kind{};
  NodeSet a, b;

  [[nodiscard]] bool drops(NodeId from, NodeId to) const {
    if (kind == FaultKind::kKill) return false;
    if (a.contains(from) && b.contains(to)) return true;
    return kind == FaultKind::kPartition && b.contains(from) && a.contains(to);
  }
};

struct World {
  Cluster cluster;
  Experiment experiment;
  std::vector<NaiveFault> faults;
};

Cluster random_cluster(Dice& dice) {
  Cluster cluster = empty_testbed("random");
  const unsigned regions = dice.roll(1, 4);
  unsigned zones = 0;
  for (unsigned region = 0; region < regions; ++region) {
    for (unsigned zone = dice.roll(1, 3); zone > 0; --zone) {
      add_zone(cluster, fmt::format("z{}", zones++), fmt::format("r{}", region));
    }
  }
  const unsigned nodes = dice.roll(2, 40);
  for (unsigned node = 0; node < nodes; ++node) {
    std::vector<std::string> addresses;
    const unsigned families = dice.roll(1, 3);
    if ((families & 1U) != 0) addresses.push_back(fmt::format("10.70.{}.1", node));
    if ((families & 2U) != 0) addresses.push_back(fmt::format("fd66:{:x}::1", node + 1));
    if (dice.once_in(4)) addresses.push_back(fmt::format("10.70.{}.0/24", node));
    if (dice.once_in(4)) addresses.push_back(fmt::format("fd66:{:x}::/32", node + 1));
    add_node(cluster, fmt::format("n{}", node), fmt::format("z{}", dice.roll(0, zones - 1)),
             {dice.once_in(3) ? "master" : "agent"}, addresses);
  }
  return cluster;
}

// Two disjoint sides, neither empty; often whole zones, as real experiments have them.
std::pair<NodeSet, NodeSet> random_sides(Dice& dice, const Cluster& cluster) {
  std::pair<NodeSet, NodeSet> sides;
  std::map<std::string, unsigned> side_of_zone;
  for (const Zone& zone : cluster.zones) side_of_zone[zone.name] = dice.roll(0, 2);
  const bool by_zone = dice.once_in(2);
  for (NodeId node = 0; node < cluster.nodes.size(); ++node) {
    const unsigned side = by_zone ? side_of_zone[cluster.nodes[node].zone] : dice.roll(0, 2);
    if (side == 0) sides.first.insert(node);
    if (side == 1) sides.second.insert(node);
  }
  if (sides.first.empty()) {
    sides.first.insert(0);
    sides.second.erase(0);
  }
  if (sides.second.empty()) {
    const auto last = static_cast<NodeId>(cluster.nodes.size() - 1);
    sides.second.insert(last);
    sides.first.erase(last);
    if (sides.first.empty()) sides.first.insert(0);
  }
  return sides;
}

World random_world(unsigned seed) {
  Dice dice(seed);
  World world{random_cluster(dice), {}, {}};
  std::vector<Phase> phases;
  for (unsigned number = dice.roll(1, 5); number > 0; --number) {
    std::vector<Fault> faults;
    for (unsigned count = dice.roll(0, 4); count > 0; --count) {
      NaiveFault naive;
      naive.phase = phases.size() + 1;
      naive.kind =
          std::array{FaultKind::kPartition, FaultKind::kOneWay, FaultKind::kKill}[dice.roll(0, 2)];
      std::tie(naive.a, naive.b) = random_sides(dice, world.cluster);
      if (naive.kind == FaultKind::kKill) naive.b.clear();
      faults.push_back(fault(naive.kind, nodes_text(world.cluster, naive.a),
                             nodes_text(world.cluster, naive.b)));
      world.faults.push_back(naive);
    }
    phases.push_back(phase(fmt::format("p{}", phases.size()), fmt::format("{}s", dice.roll(1, 9)),
                           std::move(faults)));
  }
  world.experiment = experiment(std::move(phases));
  return world;
}

// Longest match, as the kernel does it.
std::optional<GroupId> look_up(const Plan& plan, const IpAddress& address) {
  std::optional<GroupId> group;
  unsigned best = 0;
  for (const AddressBookEntry& entry : plan.address_book) {
    if (!entry.prefix.contains(address) || (group && entry.prefix.length() < best)) continue;
    group = entry.group;
    best = entry.prefix.length();
  }
  return group;
}

bool dropped(const NodeProgramme& programme, Direction direction, GroupId peer, Nanos at) {
  const ProgrammeEntry* entry = find_entry(programme, direction, peer);
  if (entry == nullptr) return false;
  return std::any_of(entry->windows.begin(), entry->windows.end(),
                     [&](const Window& window) { return window.from <= at && at < window.until; });
}

std::vector<Nanos> interesting_instants(const Plan& plan) {
  std::vector<Nanos> instants;
  for (const PlannedPhase& phase : plan.phases) {
    for (const Nanos border : {phase.from, phase.until}) {
      for (const int offset : {-1, 0, 1}) instants.push_back(border + Nanos{offset});
    }
    instants.push_back(phase.from + (phase.until - phase.from) / 2);
  }
  std::sort(instants.begin(), instants.end());
  instants.erase(std::unique(instants.begin(), instants.end()), instants.end());
  return instants;
}

// Index of the phase at each instant; none before the first and after the last.
std::vector<std::optional<std::size_t>> phases_at(const World& world,
                                                  const std::vector<Nanos>& instants) {
  std::vector<std::optional<std::size_t>> result;
  for (const Nanos at : instants) {
    std::optional<std::size_t> found;
    Nanos from = -10_sec;
    for (std::size_t i = 0; i < world.experiment.phases.size(); ++i) {
      const Nanos until = from + from_seconds(std::stod(world.experiment.phases[i].lasts.text()));
      if (from <= at && at < until) found = i;
      from = until;
    }
    result.push_back(found);
  }
  return result;
}

// The number of pairs and instants that differ from the naive reading; the first is described.
std::size_t compare(const World& world, const Plan& plan) {
  const std::vector<Nanos> instants = interesting_instants(plan);
  const auto phase_at = phases_at(world, instants);
  std::size_t differences = 0;
  const auto count = static_cast<NodeId>(world.cluster.nodes.size());
  std::vector<std::vector<GroupId>> groups_by_address(count);
  for (NodeId node = 0; node < count; ++node) {
    for (const IpPrefix& prefix : world.cluster.nodes[node].addresses) {
      groups_by_address[node].push_back(look_up(plan, prefix.address()).value_or(~0U));
    }
  }
  for (NodeId from = 0; from < count; ++from) {
    for (NodeId to = 0; to < count; ++to) {
      if (from == to) continue;
      for (std::size_t i = 0; i < instants.size(); ++i) {
        const bool expected =
            std::any_of(world.faults.begin(), world.faults.end(), [&](const NaiveFault& fault) {
              return fault.phase == phase_at[i] && fault.drops(from, to);
            });
        bool equal = true;
        for (const GroupId peer : groups_by_address[to]) {
          equal &=
              dropped(plan.programmes[from], Direction::kEgress, peer, instants[i]) == expected;
        }
        for (const GroupId peer : groups_by_address[from]) {
          equal &= dropped(plan.programmes[to], Direction::kIngress, peer, instants[i]) == expected;
        }
        if (!equal && differences++ == 0) {
          ADD_FAILURE() << "n" << from << " -> n" << to << " at " << instants[i].count()
                        << " ns should be " << (expected ? "dropped" : "passed");
        }
      }
    }
  }
  return differences;
}

// Whether some fault treats the two nodes differently: towards a third node, towards each other, or
// by killing one of them.
bool told_apart(const World& world, NodeId one, NodeId two) {
  for (const NaiveFault& fault : world.faults) {
    if (fault.kind == FaultKind::kKill) {
      if (fault.a.contains(one) != fault.a.contains(two)) return true;
      continue;
    }
    if (fault.drops(one, two) || fault.drops(two, one)) return true;
    for (NodeId third = 0; third < world.cluster.nodes.size(); ++third) {
      if (third == one || third == two) continue;
      if (fault.drops(one, third) != fault.drops(two, third)) return true;
      if (fault.drops(third, one) != fault.drops(third, two)) return true;
    }
  }
  return false;
}

TEST(PlanProperty, EveryPairGetsExactlyWhatTheFaultsSay) {
  std::size_t cut_worlds = 0;
  for (unsigned seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const World world = random_world(seed);
    const auto plan = plan_of(world.cluster, world.experiment);
    ASSERT_TRUE(plan) << plan.error().message;
    if (plan->blast.pairs_impaired > 0) ++cut_worlds;
    ASSERT_EQ(compare(world, *plan), 0U);
  }
  EXPECT_GT(cut_worlds, 100U);
}

TEST(PlanProperty, GroupsAreTheCoarsestPartition) {
  for (unsigned seed = 1000; seed < 1150; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const World world = random_world(seed);
    const auto plan = plan_of(world.cluster, world.experiment);
    ASSERT_TRUE(plan) << plan.error().message;
    std::vector<int> seen(world.cluster.nodes.size(), 0);
    for (std::size_t group = 0; group < plan->groups.size(); ++group) {
      for (const NodeId node : plan->groups[group]) {
        ++seen[node];
        EXPECT_EQ(plan->programmes[node].group, group);
        EXPECT_FALSE(told_apart(world, node, plan->groups[group].front()));
      }
      if (group > 0) {
        EXPECT_LT(plan->groups[group - 1].front(), plan->groups[group].front());
      }
      for (std::size_t other = 0; other < group; ++other) {
        EXPECT_TRUE(told_apart(world, plan->groups[group].front(), plan->groups[other].front()))
            << "groups " << other << " and " << group << " could be one";
      }
    }
    EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), static_cast<std::ptrdiff_t>(seen.size()));
  }
}

TEST(PlanProperty, WindowsAreDisjointOrderedAndMaximalAndPairsAreCounted) {
  for (unsigned seed = 2000; seed < 2100; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const World world = random_world(seed);
    const auto plan = plan_of(world.cluster, world.experiment);
    ASSERT_TRUE(plan) << plan.error().message;
    for (const NodeProgramme& programme : plan->programmes) {
      for (const ProgrammeEntry& entry : programme.entries) {
        ASSERT_FALSE(entry.windows.empty());
        for (std::size_t i = 0; i < entry.windows.size(); ++i) {
          EXPECT_LT(entry.windows[i].from, entry.windows[i].until);
          if (i > 0) {
            EXPECT_LT(entry.windows[i - 1].until, entry.windows[i].from);
          }
        }
      }
    }
    std::size_t pairs = 0;
    std::set<NodeId> touched;
    for (NodeId from = 0; from < world.cluster.nodes.size(); ++from) {
      for (NodeId to = 0; to < world.cluster.nodes.size(); ++to) {
        for (const NaiveFault& fault : world.faults) {
          if (from == to || !fault.drops(from, to)) continue;
          ++pairs;
          touched.insert({from, to});
          break;
        }
      }
    }
    for (const NaiveFault& fault : world.faults) {
      if (fault.kind == FaultKind::kKill) touched.insert(fault.a.begin(), fault.a.end());
    }
    EXPECT_EQ(plan->blast.pairs_impaired, pairs);
    EXPECT_EQ(plan->blast.nodes_impaired, (std::vector<NodeId>{touched.begin(), touched.end()}));
  }
}

TEST(PlanProperty, PathTargetsAreFewSpreadAndReachable) {
  for (unsigned seed = 3000; seed < 3100; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const World world = random_world(seed);
    const auto plan = plan_of(world.cluster, world.experiment);
    ASSERT_TRUE(plan) << plan.error().message;
    const auto can_reach = [&](NodeId one, NodeId two) {
      const Node& a = world.cluster.nodes[one];
      const Node& b = world.cluster.nodes[two];
      return (a.host(true) && b.host(true)) || (a.host(false) && b.host(false));
    };
    for (const NodeProgramme& programme : plan->programmes) {
      std::map<GroupId, std::set<NodeId>> chosen;
      for (const NodeId target : programme.path_targets) {
        EXPECT_NE(target, programme.node);
        EXPECT_TRUE(can_reach(programme.node, target));
        EXPECT_TRUE(chosen[plan->programmes[target].group].insert(target).second);
      }
      for (GroupId group = 0; group < plan->groups.size(); ++group) {
        const auto reachable = static_cast<std::size_t>(
            std::count_if(plan->groups[group].begin(), plan->groups[group].end(), [&](NodeId node) {
              return node != programme.node && can_reach(programme.node, node);
            }));
        const std::size_t most = group == programme.group ? 1 : 2;
        EXPECT_EQ(chosen[group].size(), std::min(most, reachable));
      }
    }
  }
}

TEST(PlanProperty, TheSameInputGivesTheSamePlan) {
  const World world = random_world(77);
  const auto one = plan_of(world.cluster, world.experiment);
  const auto two = plan_of(world.cluster, world.experiment);
  ASSERT_TRUE(one && two);
  EXPECT_EQ(plan_to_json(*one, world.cluster), plan_to_json(*two, world.cluster));
}

TEST(PlanSize, FiveThousandNodesTakeAboutASecond) {
  Cluster cluster = empty_testbed("big");
  for (unsigned zone = 0; zone < 10; ++zone) {
    add_zone(cluster, fmt::format("z{}", zone), fmt::format("r{}", zone / 3));
    for (unsigned node = 0; node < 500; ++node) {
      const unsigned number = zone * 500 + node;
      add_node(
          cluster, fmt::format("n{}", number), fmt::format("z{}", zone),
          {node == 0 ? "master" : "agent"},
          {fmt::format("10.{}.{}.{}", 66 + number / 62500, number / 250 % 250, number % 250 + 1),
           fmt::format("fd66::{:x}", number + 1)});
    }
  }
  add_system(cluster, "zk", "role:master");
  add_system(cluster, "swarm", "role:agent");
  std::vector<Phase> phases;
  for (unsigned i = 0; i < 10; ++i) {
    phases.push_back(phase(
        fmt::format("p{}", i), "5s",
        {fault(FaultKind::kPartition, fmt::format("zone:z{}", i), fmt::format("!zone:z{}", i)),
         fault(FaultKind::kOneWay, fmt::format("zone:z{}", (i + 1) % 10),
               fmt::format("zone:z{}", (i + 2) % 10)),
         fault(FaultKind::kKill, fmt::format("zone:z{} & role:agent", i))}));
  }
  const Experiment big = experiment(std::move(phases));
  const auto start = std::chrono::steady_clock::now();
  const auto plan = plan_of(cluster, big);
  const auto took = std::chrono::steady_clock::now() - start;
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->groups.size(), 20U);
  EXPECT_EQ(plan->address_book.size(), 10'000U);
  std::size_t targets = 0;
  for (const NodeProgramme& programme : plan->programmes) targets += programme.path_targets.size();
  EXPECT_LE(targets, 5000U * (2 * 20));
  RecordProperty(
      "milliseconds",
      std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(took).count()));
  // Alone it takes a fraction of this; the bound leaves room for sanitizers and a busy machine.
  EXPECT_LT(took, std::chrono::seconds(5));
  EXPECT_FALSE(plan_to_json(*plan, cluster).empty());
}

}  // namespace
}  // namespace zq
