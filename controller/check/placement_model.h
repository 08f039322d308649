// Where a scheduler could put an app's instances once zones are lost: its constraints and the
// members' unused resources, as Marathon and Swarm go by them. Pure.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "controller/check/facts.h"

namespace zq {

// The zone and region of a member: the cluster file's, or what the member itself says; empty:
// unknown.
[[nodiscard]] std::string zone_of_member(const Cluster& cluster, const MemberFacts& member);
[[nodiscard]] std::string region_of_member(const Cluster& cluster, const MemberFacts& member);

// What a constraint's field is on that member; empty: it has none.
[[nodiscard]] std::string field_of(const Cluster& cluster, const MemberFacts& member,
                                   const std::string& field);

// May one more instance of the app go to `candidate` while others are on `placed`? The rules are
// those of Marathon's Constraints.scala (1.10); IS_NOT is Swarm's "!=". A value that is no regular
// expression matches nothing, as there.
[[nodiscard]] bool allows(const Cluster& cluster, const AppFacts& app,
                          const std::vector<const MemberFacts*>& placed,
                          const MemberFacts& candidate);

struct AppPrediction {
  unsigned lost = 0;     // instances that ran in the lost zones
  unsigned moved = 0;    // of these: have a place elsewhere
  unsigned waiting = 0;  // have none, and the scheduler goes on trying
  unsigned left = 0;     // are not replaced at all: the scheduler waits for the node itself
  std::string why;       // of `waiting` and `left`, for people
};

struct Prediction {
  std::map<std::pair<std::string, std::string>, AppPrediction> apps;  // (system, app)
  std::vector<std::string> unknown;  // why it cannot be told exactly: empty = it can

  [[nodiscard]] unsigned waiting() const;
};

// First-fit-decreasing of everything that runs in `zones` into the unused resources of active
// members elsewhere, honouring constraints. Exact where all instances that move are of one size; in
// general a lower bound of what a scheduler can place, that schedulers of one pass over their
// offers reach.
[[nodiscard]] Prediction predict_loss(const Cluster& cluster, const Facts& facts,
                                      const std::set<std::string>& zones);

// Why instances of the app that run in `zone` could not go elsewhere even if there were room
// without end; empty: they could.
[[nodiscard]] std::string why_bound(const Cluster& cluster, const Facts& facts, const AppFacts& app,
                                    const std::string& zone);

}  // namespace zq
