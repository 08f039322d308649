#include "controller/plan/programmes.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "controller/plan/flatten.h"
#include "controller/plan/groups.h"

namespace zq {

namespace {

class ProgrammeMaker {
 public:
  ProgrammeMaker(const PlanInput& input, Plan& plan)
      : cluster_(input.cluster),
        path_(input.experiment.path),
        plan_(plan),
        entries_(plan.groups.size()) {}

  Status add_border(GroupId from, GroupId to, const std::vector<Ask>& asks) {
    ZQ_TRY(const std::vector<FaultSegment> all, flatten(asks, table_));
    if (all.size() > kMaxSegmentsPerEntry) {
      return fail(ErrorCode::kRefused,
                  "{}: packets from {} to {} would be treated in {} different stretches, but a "
                  "node's kernel holds {} for each group of peers; use fewer phases or steps, or "
                  "split the experiment",
                  path_, list_nodes(cluster_, plan_.groups[from], 3),
                  list_nodes(cluster_, plan_.groups[to], 3), all.size(), kMaxSegmentsPerEntry);
    }
    std::vector<FaultSegment> cuts = all;
    std::erase_if(cuts,
                  [](const FaultSegment& one) { return one.treatment == Treatment::kImpair; });
    const bool at_sender = has_agent(from);
    if (at_sender) add_entry(from, {Direction::kEgress, to, all, {}});
    if (has_agent(to)) add_entry(to, {Direction::kIngress, from, at_sender ? cuts : all, {}});
    return {};
  }

  Status finish(const std::vector<GroupId>& group_of) {
    plan_.impairments = table_.take();
    for (GroupId group = 0; group < entries_.size(); ++group) {
      std::sort(entries_[group].begin(), entries_[group].end(),
                [](const ProgrammeEntry& one, const ProgrammeEntry& two) {
                  return std::pair(one.direction, one.peer) < std::pair(two.direction, two.peer);
                });
      ZQ_CHECK(check_queues(group));
    }
    std::vector<std::vector<NodeId>> targets = choose_path_targets(cluster_, plan_.groups);
    plan_.programmes.reserve(group_of.size());
    for (NodeId node = 0; node < group_of.size(); ++node) {
      plan_.programmes.push_back({.node = node,
                                  .group = group_of[node],
                                  .entries = entries_[group_of[node]],
                                  .path_targets = std::move(targets[node]),
                                  .has_agent = cluster_.nodes[node].has_agent()});
    }
    return {};
  }

 private:
  [[nodiscard]] bool has_agent(GroupId group) const {
    return cluster_.nodes[plan_.groups[group].front()].has_agent();
  }

  void add_entry(GroupId group, ProgrammeEntry entry) {
    if (entry.segments.empty()) return;
    entry.windows = cut_windows(entry.segments);
    entries_[group].push_back(std::move(entry));
  }

  [[nodiscard]] Status check_queues(GroupId group) const {
    std::set<std::tuple<Direction, GroupId, std::size_t>> queues;
    for (const ProgrammeEntry& entry : entries_[group]) {
      for (const FaultSegment& segment : entry.segments) {
        if (segment.treatment == Treatment::kImpair &&
            plan_.impairments[segment.impairment].queues()) {
          queues.insert({entry.direction, entry.peer, segment.impairment});
        }
      }
    }
    if (queues.size() <= kMaxQueuesPerNode) return {};
    return fail(ErrorCode::kRefused,
                "{}: a node like {} would need {} queues, one for each group of peers and each "
                "impairment of its packets, but it can have {}; use fewer steps or fewer different "
                "groups, or split the experiment",
                path_, list_nodes(cluster_, plan_.groups[group], 1), queues.size(),
                kMaxQueuesPerNode);
  }

  const Cluster& cluster_;
  const std::string& path_;
  Plan& plan_;
  ImpairmentTable table_;
  std::vector<std::vector<ProgrammeEntry>> entries_;  // by group
};

}  // namespace

Status make_programmes(const PlanInput& input, const Asks& asks,
                       const std::vector<GroupId>& group_of, Plan& plan) {
  ProgrammeMaker maker(input, plan);
  for (const auto& [pair, list] : asks) {
    ZQ_CHECK(maker.add_border(pair.first, pair.second, list));
  }
  return maker.finish(group_of);
}

}  // namespace zq
