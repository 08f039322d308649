// First-fit-decreasing against every way that there is, for small cases.
#include <random>

#include "tests/unit/check/cluster_fixture.h"

namespace zq::test {
namespace {

struct Small {
  Cluster cluster = one_zone();
  Facts facts;
};

// Up to three apps of up to three instances, on a1, b1 and c1.
Small random_case(std::mt19937& random, bool same_size) {
  Small small;
  small.facts = sound_facts(small.cluster);
  std::uniform_int_distribution<int> cores(0, 6), size(1, 3), count(1, 3), member(0, 2), apps(1, 3),
      constraint(0, 4);
  for (MemberFacts& one : small.facts.members) {
    one.unused = Resources{.cpus = static_cast<double>(cores(random))};
  }
  small.facts.apps.clear();
  const int each = size(random);
  for (int i = apps(random); i > 0; --i) {
    AppFacts app;
    app.system = "swarm";
    app.id = fmt::format("app{}", i);
    app.each.cpus = same_size ? each : size(random);
    app.instances = static_cast<unsigned>(count(random));
    for (unsigned n = 0; n < app.instances; ++n) {
      app.running_on.push_back(small.facts.members[static_cast<std::size_t>(member(random))].id);
    }
    if (!same_size) {
      switch (constraint(random)) {
        case 0:
          app.constraints = {{"hostname", "UNIQUE", ""}};
          break;
        case 1:
          app.constraints = {{"zone", "IS_NOT", "c"}};
          break;
        case 2:
          app.constraints = {{"zone", "MAX_PER", "2"}};
          break;
        default:
          break;
      }
    }
    small.facts.apps.push_back(std::move(app));
  }
  return small;
}

// The fewest that can wait, by trying every choice for every lost instance.
class Exhaustive {
 public:
  Exhaustive(const Small& small, const std::string& zone) : small_(small) {
    for (const MemberFacts& member : small.facts.members) {
      if (zone_of_member(small.cluster, member) == zone) continue;
      members_.push_back(&member);
      room_.push_back(member.unused->cpus);
    }
    for (const AppFacts& app : small.facts.apps) {
      for (const std::string& id : app.running_on) {
        const auto kept = std::find_if(members_.begin(), members_.end(),
                                       [&](const auto* member) { return member->id == id; });
        if (kept != members_.end()) {
          placed_[&app].push_back(*kept);
        } else {
          lost_.push_back(&app);
        }
      }
    }
  }

  unsigned fewest(std::size_t from = 0) {
    if (from == lost_.size()) return 0;
    const AppFacts& app = *lost_[from];
    unsigned best = 1 + fewest(from + 1);
    for (std::size_t i = 0; i < members_.size(); ++i) {
      if (room_[i] < app.each.cpus) continue;
      if (!allows(small_.cluster, app, placed_[&app], *members_[i])) continue;
      room_[i] -= app.each.cpus;
      placed_[&app].push_back(members_[i]);
      best = std::min(best, fewest(from + 1));
      placed_[&app].pop_back();
      room_[i] += app.each.cpus;
    }
    return best;
  }

 private:
  const Small& small_;
  std::vector<const MemberFacts*> members_;
  std::vector<double> room_;
  std::map<const AppFacts*, std::vector<const MemberFacts*>> placed_;
  std::vector<const AppFacts*> lost_;
};

TEST(Packing, IsExactWhereAllAreOfOneSize) {
  std::mt19937 random(20261125);
  unsigned some_wait = 0;
  for (int round = 0; round < 300; ++round) {
    const Small small = random_case(random, true);
    for (const char* zone : {"b", "c"}) {
      const unsigned predicted = predict_loss(small.cluster, small.facts, {zone}).waiting();
      ASSERT_EQ(predicted, Exhaustive(small, zone).fewest()) << "round " << round;
      some_wait += predicted > 0 ? 1U : 0U;
    }
  }
  EXPECT_GT(some_wait, 50U);
}

TEST(Packing, NeverPlacesMoreThanAnyWayCould) {
  std::mt19937 random(5);
  unsigned equal = 0, rounds = 0;
  for (int round = 0; round < 300; ++round) {
    const Small small = random_case(random, false);
    for (const char* zone : {"b", "c"}) {
      const Prediction prediction = predict_loss(small.cluster, small.facts, {zone});
      const unsigned least = Exhaustive(small, zone).fewest();
      ASSERT_GE(prediction.waiting(), least) << "round " << round;
      for (const auto& [key, app] : prediction.apps) {
        ASSERT_EQ(app.lost, app.moved + app.waiting + app.left);
      }
      ++rounds;
      equal += prediction.waiting() == least ? 1U : 0U;
    }
  }
  EXPECT_GT(10 * equal, 8 * rounds);  // seldom worse than the best there is
}

TEST(Packing, WhatIsNotReplacedDoesNotWait) {
  Cluster cluster = one_zone();
  Facts facts = sound_facts(cluster);
  facts.apps[0].reschedules = false;
  const Prediction prediction = predict_loss(cluster, facts, {"b"});
  EXPECT_EQ(prediction.waiting(), 0U);
  EXPECT_EQ(prediction.apps.at({"swarm", "web"}).left, 1U);
}

TEST(Packing, AnUnknownRestIsSaid) {
  Cluster cluster = one_zone();
  Facts facts = sound_facts(cluster);
  facts.members[2].unused.reset();
  EXPECT_FALSE(predict_loss(cluster, facts, {"b"}).unknown.empty());
  EXPECT_TRUE(predict_loss(cluster, facts, {"c"}).unknown.empty());
}

TEST(Packing, MarathonStaysInItsRegionUnlessTold) {
  Cluster cluster = agents_abroad();
  cluster.systems[0].kind = "marathon";
  Facts facts = sound_facts(cluster);
  for (MemberFacts& member : facts.members) {
    member.region = cluster.nodes[*member.node].region;
    if (member.region == "r1") member.unused = Resources{};  // room is in r2 only
  }
  facts.voters[0].region = "r1";
  EXPECT_EQ(predict_loss(cluster, facts, {"a"}).waiting(), 1U);
  facts.apps[0].constraints = {{"@region", "LIKE", "r[12]"}};
  EXPECT_EQ(predict_loss(cluster, facts, {"a"}).waiting(), 0U);
}

}  // namespace
}  // namespace zq::test
