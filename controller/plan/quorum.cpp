#include "controller/plan/quorum.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "controller/plan/processes.h"

namespace zq {

namespace {

struct VoterGroup {
  GroupId group = 0;
  std::size_t voters = 0;
};

// Searches sets of groups that all reach each other for one that holds `majority` voters. Exact up
// to kMaxSteps, which no real cluster comes near; past it the answer is "none found", the safe one.
class MajoritySearch {
 public:
  MajoritySearch(std::size_t majority, std::function<bool(GroupId, GroupId)> connected)
      : majority_(majority), connected_(std::move(connected)) {}

  bool found(const std::vector<VoterGroup>& candidates, std::size_t held) {
    if (held >= majority_) return true;
    std::size_t left = 0;
    for (const VoterGroup& candidate : candidates) left += candidate.voters;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      if (held + left < majority_ || ++steps_ > kMaxSteps) return false;
      std::vector<VoterGroup> rest;
      for (std::size_t j = i + 1; j < candidates.size(); ++j) {
        if (connected_(candidates[i].group, candidates[j].group)) rest.push_back(candidates[j]);
      }
      if (found(rest, held + candidates[i].voters)) return true;
      left -= candidates[i].voters;
    }
    return false;
  }

 private:
  static constexpr std::size_t kMaxSteps = 200'000;
  std::size_t majority_;
  std::function<bool(GroupId, GroupId)> connected_;
  std::size_t steps_ = 0;
};

bool has_majority(const std::vector<NodeId>& voters, const NodeSet& down, Nanos at,
                  const Asks& asks, const std::vector<GroupId>& group_of) {
  std::map<GroupId, std::size_t> alive;
  for (const NodeId voter : voters) {
    if (!down.contains(voter)) ++alive[group_of[voter]];
  }
  std::vector<VoterGroup> candidates;
  candidates.reserve(alive.size());
  for (const auto& [group, count] : alive) candidates.push_back({group, count});
  std::stable_sort(
      candidates.begin(), candidates.end(),
      [](const VoterGroup& one, const VoterGroup& two) { return one.voters > two.voters; });
  MajoritySearch search(voters.size() / 2 + 1, [&](GroupId one, GroupId two) {
    return !cuts_connections(asks, one, two, at) && !cuts_connections(asks, two, one, at);
  });
  return search.found(candidates, 0);
}

}  // namespace

bool loses_quorum(const SystemSpec& system, const std::vector<NodeId>& voters, const Plan& plan,
                  const Asks& asks, const std::vector<GroupId>& group_of) {
  if (voters.empty()) return false;
  // Things get worse only when something begins.
  std::set<Nanos> instants;
  for (const PlannedPhase& phase : plan.phases) instants.insert(phase.from);
  for (const ProcessStep& step : plan.processes) instants.insert(step.at);
  for (const auto& [pair, list] : asks) {
    for (const Ask& ask : list) instants.insert(ask.window.from);
  }
  return std::any_of(instants.begin(), instants.end(), [&](Nanos at) {
    return !has_majority(voters, dead_nodes(plan, system, at), at, asks, group_of);
  });
}

}  // namespace zq
