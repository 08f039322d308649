#include "controller/check/placement_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <regex>

namespace zq {
namespace {

constexpr double kSlack = 1e-9;  // resources are sums of decimal fractions

using Placed = std::vector<const MemberFacts*>;

unsigned whole(const std::string& text) {
  unsigned value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

bool matches(const std::string& text, const std::string& pattern) {
  try {
    return std::regex_match(text, std::regex(pattern));
  } catch (const std::regex_error&) {
    return false;
  }
}

bool fits(const Resources& want, const Resources& room) {
  return want.cpus <= room.cpus + kSlack && want.memory_mib <= room.memory_mib + kSlack &&
         want.disk_mib <= room.disk_mib + kSlack && want.gpus <= room.gpus + kSlack &&
         want.ports <= room.ports + kSlack;
}

void take(Resources& room, const Resources& used) {
  room.cpus -= used.cpus;
  room.memory_mib -= used.memory_mib;
  room.disk_mib -= used.disk_mib;
  room.gpus -= used.gpus;
  room.ports -= used.ports;
}

// The largest share of the whole cluster's resources that it takes.
double weight(const Resources& want, const Resources& all) {
  const auto share = [](double part, double whole_) { return whole_ > 0 ? part / whole_ : 0; };
  return std::max({share(want.cpus, all.cpus), share(want.memory_mib, all.memory_mib),
                   share(want.disk_mib, all.disk_mib), share(want.gpus, all.gpus),
                   share(want.ports, all.ports)});
}

bool allows_one(const Cluster& cluster, const PlacementConstraint& one, const Placed& placed,
                const MemberFacts& candidate) {
  const std::string own = field_of(cluster, candidate, one.field);
  std::map<std::string, unsigned> groups;
  for (const MemberFacts* member : placed) ++groups[field_of(cluster, *member, one.field)];
  const auto same = groups.find(own);
  if (one.op == "IS") return own == one.value;
  if (one.op == "IS_NOT") return own != one.value;
  if (one.op == "LIKE") return !own.empty() && matches(own, one.value);
  if (one.op == "UNLIKE") return !matches(own, one.value);
  if (one.op == "UNIQUE") return same == groups.end();
  if (one.op == "MAX_PER") return same == groups.end() || same->second < whole(one.value);
  if (one.op == "CLUSTER") {
    if (!one.value.empty()) return own == one.value;
    return groups.empty() || same != groups.end();
  }
  if (one.op == "GROUP_BY") {
    if (same == groups.end()) return true;
    unsigned smallest = same->second;
    for (const auto& [value, count] : groups) smallest = std::min(smallest, count);
    return groups.size() >= whole(one.value) && same->second == smallest;
  }
  return true;
}

// Marathon takes offers of other regions than its masters' only for apps that name a region or a
// zone (ResourceMatcher.scala). Empty: every region will do.
std::string home_region(const Cluster& cluster, const Facts& facts, const AppFacts& app) {
  const SystemSpec* const system = cluster.find_system(app.system);
  if (system == nullptr || system->kind != "marathon") return "";
  for (const PlacementConstraint& one : app.constraints) {
    if (one.field == "@region" || one.field == "@zone") return "";
  }
  for (const VoterFacts& voter : facts.voters) {
    if (voter.region) return *voter.region;
  }
  return "";
}

struct Instance {
  const AppFacts* app;
  double weight;
};

// The state of one packing.
class Packing {
 public:
  Packing(const Cluster& cluster, const Facts& facts, const std::set<std::string>& zones)
      : cluster_(cluster), facts_(facts) {
    for (const MemberFacts& member : facts.members) {
      const bool lost = zones.contains(zone_of_member(cluster, member));
      by_id_[{member.system, member.id}] = {&member, lost};
      if (lost || !member.active) continue;
      if (!member.unused) {
        result_.unknown.push_back(
            fmt::format("{} does not tell what is unused on {}", member.system, member.hostname));
        continue;
      }
      room_.emplace_back(&member, *member.unused);
      all_.cpus += member.unused->cpus;
      all_.memory_mib += member.unused->memory_mib;
      all_.disk_mib += member.unused->disk_mib;
      all_.gpus += member.unused->gpus;
      all_.ports += member.unused->ports;
    }
  }

  Prediction pack() {
    std::vector<Instance> moving;
    for (const AppFacts& app : facts_.apps) collect(app, moving);
    std::stable_sort(moving.begin(), moving.end(),
                     [](const Instance& a, const Instance& b) { return a.weight > b.weight; });
    for (const Instance& instance : moving) place(*instance.app);
    return std::move(result_);
  }

 private:
  struct Known {
    const MemberFacts* member;
    bool lost;
  };

  AppPrediction& prediction(const AppFacts& app) { return result_.apps[{app.system, app.id}]; }

  // What runs on, and what has to move.
  void collect(const AppFacts& app, std::vector<Instance>& moving) {
    AppPrediction& predicted = prediction(app);
    Placed& placed = placed_[&app];
    for (const std::string& id : app.running_on) {
      const auto found = find(app, id);
      if (found.member == nullptr) {
        result_.unknown.push_back(
            fmt::format("{} runs on a member '{}' that nobody told of", app.id, id));
        continue;
      }
      if (!found.lost) {
        placed.push_back(found.member);
        continue;
      }
      ++predicted.lost;
      if (!app.reschedules || (app.local_volumes && app.bound_to_volumes)) {
        ++predicted.left;
        predicted.why =
            app.reschedules ? "it waits for its local volumes" : "it is not rescheduled";
        continue;
      }
      moving.push_back({&app, weight(app.each, all_)});
    }
  }

  // Members are told of by their masters, which need not be the app's scheduler.
  Known find(const AppFacts& app, const std::string& id) const {
    const auto own = by_id_.find({app.system, id});
    if (own != by_id_.end()) return own->second;
    for (const auto& [key, known] : by_id_) {
      if (key.second == id) return known;
    }
    return {nullptr, false};
  }

  void place(const AppFacts& app) {
    AppPrediction& predicted = prediction(app);
    Placed& placed = placed_[&app];
    const std::string home = home_region(cluster_, facts_, app);
    bool allowed = false;
    for (auto& [member, room] : room_) {
      if (!home.empty() && member->region.value_or(home) != home) continue;
      if (!allows(cluster_, app, placed, *member)) continue;
      allowed = true;
      if (!fits(app.each, room)) continue;
      take(room, app.each);
      placed.push_back(member);
      ++predicted.moved;
      return;
    }
    ++predicted.waiting;
    predicted.why = allowed ? "no member that its constraints allow has room left"
                            : "its constraints, or its home region, allow no member outside";
  }

  const Cluster& cluster_;
  const Facts& facts_;
  std::map<std::pair<std::string, std::string>, Known> by_id_;
  std::vector<std::pair<const MemberFacts*, Resources>> room_;
  Resources all_;
  std::map<const AppFacts*, Placed> placed_;
  Prediction result_;
};

}  // namespace

std::string zone_of_member(const Cluster& cluster, const MemberFacts& member) {
  if (member.node) return cluster.nodes[*member.node].zone;
  if (member.zone) return *member.zone;
  const auto tag = member.attributes.find("zone");
  return tag == member.attributes.end() ? "" : tag->second;
}

std::string region_of_member(const Cluster& cluster, const MemberFacts& member) {
  if (member.node) return cluster.nodes[*member.node].region;
  if (member.region) return *member.region;
  const auto tag = member.attributes.find("region");
  return tag == member.attributes.end() ? "" : tag->second;
}

std::string field_of(const Cluster& cluster, const MemberFacts& member, const std::string& field) {
  if (field == "hostname" || field == "@hostname") return member.hostname;
  if (field == "@zone") return member.zone.value_or(zone_of_member(cluster, member));
  if (field == "@region") return member.region.value_or(region_of_member(cluster, member));
  const auto found = member.attributes.find(field);
  return found == member.attributes.end() ? "" : found->second;
}

bool allows(const Cluster& cluster, const AppFacts& app, const Placed& placed,
            const MemberFacts& candidate) {
  return std::all_of(
      app.constraints.begin(), app.constraints.end(),
      [&](const PlacementConstraint& one) { return allows_one(cluster, one, placed, candidate); });
}

unsigned Prediction::waiting() const {
  unsigned sum = 0;
  for (const auto& [key, app] : apps) sum += app.waiting;
  return sum;
}

Prediction predict_loss(const Cluster& cluster, const Facts& facts,
                        const std::set<std::string>& zones) {
  return Packing(cluster, facts, zones).pack();
}

std::string why_bound(const Cluster& cluster, const Facts& facts, const AppFacts& app,
                      const std::string& zone) {
  if (!app.reschedules) return "its scheduler is told not to replace what is lost";
  if (app.local_volumes) {
    return app.bound_to_volumes ? "it waits for the volumes on the lost nodes"
                                : "its volumes stay on the lost nodes: a copy starts without them";
  }
  // Room without end, so that only constraints count.
  Facts roomy = facts;
  std::erase_if(roomy.apps, [&](const AppFacts& other) {
    return other.id != app.id || other.system != app.system;
  });
  for (MemberFacts& member : roomy.members) {
    constexpr double kEndless = 1e12;
    member.unused = Resources{kEndless, kEndless, kEndless, kEndless, kEndless};
  }
  const Prediction prediction = predict_loss(cluster, roomy, {zone});
  const auto found = prediction.apps.find({app.system, app.id});
  if (found == prediction.apps.end() || found->second.waiting == 0) return "";
  std::string list;
  for (const PlacementConstraint& one : app.constraints) {
    list += fmt::format("{}{} {}{}{}", list.empty() ? "" : ", ", one.field, one.op,
                        one.value.empty() ? "" : " ", one.value);
  }
  if (list.empty())
    return "it stays in its scheduler's own region: it has no constraint on @region";
  return fmt::format("{} of {} instances have no place outside by its constraints ({})",
                     found->second.waiting, found->second.lost, list);
}

}  // namespace zq
