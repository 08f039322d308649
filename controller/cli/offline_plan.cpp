#include "controller/cli/offline_plan.h"

#include <algorithm>
#include <functional>
#include <optional>

namespace zq {
namespace {

using FindLeader = std::function<Result<NodeId>(const std::string& system)>;

Result<OfflinePlan> plan_with(const Experiment& experiment, const Cluster& cluster,
                              std::map<std::string, double> variables, FindLeader leader) {
  OfflinePlan result;
  // Before the timers: what a run knows by itself is not theirs to say.
  for (const AppSpec& app : cluster.apps) variables["replicas"] += app.replicas;
  for (const Phase& phase : experiment.phases) {
    for (const std::string& name : phase.lasts.variables()) {
      if (variables.emplace(name, kAssumedTimer).second) result.assumed_timers.push_back(name);
    }
  }
  const LiveCluster live{.leader = std::move(leader)};
  ZQ_TRY(result.plan, make_plan({.cluster = cluster,
                                 .experiment = experiment,
                                 .variables = std::move(variables),
                                 .live = &live}));
  return result;
}

Result<NodeId> named_leader(const Cluster& cluster, const PlanAssumptions& given,
                            const std::string& system) {
  const auto named = given.leaders.find(system);
  if (named == given.leaders.end()) {
    return fail(ErrorCode::kInput,
                "who leads {} is known only to the live cluster; say --leader {}=NODE to plan for "
                "one of them",
                system, system);
  }
  const Node* node = cluster.find_node(named->second);
  if (node == nullptr) {
    return fail(ErrorCode::kInput, "--leader: the cluster has no node '{}'", named->second);
  }
  return static_cast<NodeId>(node - cluster.nodes.data());
}

// One voter of the system, counted from the first in file order and around.
Result<NodeId> nth_voter(const Cluster& cluster, const std::string& system, std::size_t n) {
  ZQ_TRY(const SystemSpec* spec, find_system_by(cluster, system));
  ZQ_TRY(NodeSet voters, voters_of(cluster, *spec));
  // A scheduler that takes part in nobody's quorum still has a leader.
  if (voters.empty()) {
    ZQ_TRY(voters, spec->nodes.resolve(cluster, {}, nullptr));
  }
  if (voters.empty()) {
    return fail(ErrorCode::kInput, "{}: no node of the cluster can lead it", system);
  }
  return *std::next(voters.begin(), static_cast<std::ptrdiff_t>(n % voters.size()));
}

}  // namespace

Result<OfflinePlan> plan_offline(const Experiment& experiment, const Cluster& cluster,
                                 const PlanAssumptions& given) {
  return plan_with(experiment, cluster, given.timers,
                   [&](const std::string& system) { return named_leader(cluster, given, system); });
}

Result<OfflinePlan> plan_for_any_leader(const Experiment& experiment, const Cluster& cluster,
                                        const std::map<std::string, double>& timers) {
  std::optional<Error> first;
  std::size_t choices = 1;  // more, once a plan has asked who leads
  for (std::size_t n = 0; n < choices; ++n) {
    auto planned =
        plan_with(experiment, cluster, timers, [&](const std::string& system) -> Result<NodeId> {
          choices = cluster.nodes.size();
          return nth_voter(cluster, system, n);
        });
    if (planned) return planned;
    if (!first) first = planned.error();
  }
  return tl::unexpected(*first);
}

Status check_plannable(const Experiment& experiment, const Cluster& cluster) {
  ZQ_TRY(const OfflinePlan plan, plan_for_any_leader(experiment, cluster, {}));
  return {};
}

}  // namespace zq
