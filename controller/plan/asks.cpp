#include "controller/plan/asks.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "controller/plan/scopes.h"

namespace zq {

namespace {

class Collector {
 public:
  Collector(const Cluster& cluster, const std::vector<std::vector<NodeId>>& groups,
            const std::vector<GroupId>& group_of)
      : cluster_(cluster), groups_(groups), group_of_(group_of) {}

  Status add(const ResolvedFault& fault) {
    if (fault.fault->kind == FaultKind::kZoneDown) return add_zone_down(fault);
    Status status;
    for_each_direction(fault, [&](const NodeSet& from, const NodeSet& to, bool back) {
      if (status) status = add_direction(fault, from, to, back);
    });
    return status;
  }

  Asks take() { return std::move(asks_); }

 private:
  [[nodiscard]] std::set<GroupId> groups_in(const NodeSet& nodes) const {
    std::set<GroupId> groups;
    for (const NodeId node : nodes) groups.insert(group_of_[node]);
    return groups;
  }
  [[nodiscard]] bool has_agent(GroupId group) const {
    return cluster_.nodes[groups_[group].front()].has_agent();
  }

  // Everything from and to the nodes, among themselves too. (What other machines, which are in no
  // group, send to them passes: the address book does not know it.)
  Status add_zone_down(const ResolvedFault& fault) {
    const std::set<GroupId> down = groups_in(fault.sides[0]);
    for (const GroupId group : down) {
      for (GroupId other = 0; other < groups_.size(); ++other) {
        if (group == other && groups_[group].size() == 1) continue;
        ZQ_CHECK(add_drop(fault, group, other));
        if (!down.contains(other)) ZQ_CHECK(add_drop(fault, other, group));
      }
    }
    return {};
  }

  Status add_drop(const ResolvedFault& fault, GroupId from, GroupId to) {
    ZQ_CHECK(check_agents(*fault.fault, from, to));
    asks_[{from, to}].push_back({.fault = fault.fault,
                                 .window = fault.window,
                                 .begin = fault.window.from,
                                 .scope = {},
                                 .treatment = Treatment::kDrop,
                                 .impairment = {}});
    return {};
  }

  Status add_direction(const ResolvedFault& resolved, const NodeSet& from_nodes,
                       const NodeSet& to_nodes, bool back) {
    const Fault& fault = *resolved.fault;
    const std::set<GroupId> receivers = groups_in(to_nodes);
    for (const GroupId from : groups_in(from_nodes)) {
      for (const GroupId to : receivers) {
        ZQ_CHECK(check_agents(fault, from, to));
        Ask ask{.fault = &fault,
                .window = resolved.window,
                .begin = resolved.window.from,
                .scope = back ? reversed(fault.scope) : fault.scope,
                .treatment = fault.reject ? Treatment::kReject : Treatment::kDrop,
                .impairment = {}};
        if (fault.kind != FaultKind::kImpair) {
          asks_[{from, to}].push_back(std::move(ask));
          continue;
        }
        ask.treatment = Treatment::kImpair;
        std::uint64_t share = 0;
        if (fault.cross_section_bps > 0) {
          ZQ_TRY(share, share_of(fault, from, to, from_nodes.size() * to_nodes.size()));
        }
        add_steps(ask, fault.impairments, share, asks_[{from, to}]);
      }
    }
    return {};
  }

  static void add_steps(const Ask& whole, const Ramp& ramp, std::uint64_t share,
                        std::vector<Ask>& asks) {
    const auto steps = static_cast<std::int64_t>(ramp.size());
    const Nanos length = whole.window.until - whole.window.from;
    for (std::int64_t step = 0; step < steps; ++step) {
      Ask ask = whole;
      // Divided first: a long fault times its steps would overflow.
      const auto edge = [&](std::int64_t n) {
        return whole.window.from + length / steps * n + length % steps * n / steps;
      };
      ask.window = {edge(step), edge(step + 1)};
      if (ask.window.from == ask.window.until) continue;
      ask.impairment = ramp[static_cast<std::size_t>(step)];
      if (share > 0) ask.impairment.rate_bps = share;
      asks.push_back(std::move(ask));
    }
  }

  // Of a side's total what one node may send to (or, without an agent on the senders, receive from)
  // the other group: in proportion to the nodes, so that all shares together are the total.
  [[nodiscard]] Result<std::uint64_t> share_of(const Fault& fault, GroupId from, GroupId to,
                                               std::size_t pairs) const {
    const auto nodes = groups_[has_agent(from) ? to : from].size();
    const double share = static_cast<double>(fault.cross_section_bps) * static_cast<double>(nodes) /
                         static_cast<double>(pairs);
    if (share >= static_cast<double>(kMinRateBps)) {
      return static_cast<std::uint64_t>(std::floor(share));
    }
    return fail(
        ErrorCode::kInput,
        "{}: a cross section of {} leaves {:.0f} bit/s for each node, less than the {} that "
        "a kernel can hold it to; raise it, or name fewer nodes",
        fault.position.to_string(), format_rate(fault.cross_section_bps), share,
        format_rate(kMinRateBps));
  }

  [[nodiscard]] Status check_agents(const Fault& fault, GroupId from, GroupId to) const {
    if (has_agent(from) || has_agent(to)) return {};
    return fail(
        ErrorCode::kInput,
        "{}: neither {} nor {} has an agent, so that nobody could treat the packets between "
        "them; install one on either side, or leave them out of the fault",
        fault.position.to_string(), list_nodes(cluster_, groups_[from], 3),
        list_nodes(cluster_, groups_[to], 3));
  }

  const Cluster& cluster_;
  const std::vector<std::vector<NodeId>>& groups_;
  const std::vector<GroupId>& group_of_;
  Asks asks_;
};

}  // namespace

Result<Asks> collect_asks(const Cluster& cluster, const std::vector<ResolvedFault>& faults,
                          const std::vector<std::vector<NodeId>>& groups,
                          const std::vector<GroupId>& group_of) {
  Collector collector(cluster, groups, group_of);
  for (const ResolvedFault& fault : faults) ZQ_CHECK(collector.add(fault));
  return collector.take();
}

bool cuts_connections(const Asks& asks, GroupId from, GroupId to, Nanos at) {
  const auto found = asks.find({from, to});
  if (found == asks.end()) return false;
  return std::any_of(found->second.begin(), found->second.end(), [&](const Ask& ask) {
    const bool all = ask.treatment != Treatment::kImpair || ask.impairment.missing_share() >= 1;
    return all && ask.window.from <= at && at < ask.window.until && carries_connections(ask.scope);
  });
}

}  // namespace zq
