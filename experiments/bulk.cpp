#include "experiments/bulk.h"

#include <algorithm>
#include <map>

namespace zq {
namespace {

constexpr std::size_t kMostFlows = 64;
// An agent takes 64 connections at once, and measurements of throughput need some of them.
constexpr std::size_t kMostStreamsToANode = 48;

// The selections that do not depend on who leads.
std::map<std::string, NodeSet> settled_selections(const Cluster& cluster,
                                                  const Experiment& experiment) {
  std::map<std::string, NodeSet> named;
  for (const NamedSelector& entry : experiment.select) {
    if (auto nodes = entry.selector.resolve(cluster, named, nullptr))
      named[entry.name] = std::move(*nodes);
  }
  return named;
}

Result<NodeSet> nodes_of(const Cluster& cluster, const Experiment& experiment,
                         const Selector& selector, const char* side) {
  const auto named = settled_selections(cluster, experiment);
  const auto names = selector.referenced_names();
  const bool settled =
      !selector.is_dynamic() && std::all_of(names.begin(), names.end(),
                                            [&](const auto& name) { return named.contains(name); });
  if (!settled) {
    return fail(ErrorCode::kInput,
                "'{}' is '{}', which depends on who leads; bulk data flows from before that is "
                "known: use zones, roles and nodes",
                side, selector.text());
  }
  ZQ_TRY(NodeSet nodes, selector.resolve(cluster, named, nullptr));
  if (nodes.empty())
    return fail(ErrorCode::kInput, "'{}' selects no node of cluster '{}'", selector.text(),
                cluster.name);
  for (const NodeId node : nodes) {
    if (!cluster.nodes[node].has_agent())
      return fail(ErrorCode::kInput, "node '{}' in '{}' has no agent to send or take bulk data",
                  cluster.nodes[node].name, selector.text());
  }
  return nodes;
}

Result<BulkFlow> flow_between(const Cluster& cluster, NodeId from, NodeId to) {
  for (const bool v4 : {true, false}) {
    const auto own = cluster.nodes[from].host(v4);
    const auto peer = cluster.nodes[to].host(v4);
    if (own && peer)
      return BulkFlow{.from = from, .to = to, .from_address = *own, .to_address = *peer};
  }
  return fail(ErrorCode::kInput, "nodes '{}' and '{}' have no addresses of one family",
              cluster.nodes[from].name, cluster.nodes[to].name);
}

Status check_amount(const Cluster& cluster, const std::vector<BulkFlow>& flows) {
  if (flows.size() > kMostFlows)
    return fail(ErrorCode::kInput, "bulk data between {} pairs of nodes; at most {} are possible",
                flows.size(), kMostFlows);
  std::map<NodeId, std::size_t> streams;
  for (const BulkFlow& flow : flows) {
    if ((streams[flow.to] += flow.streams) > kMostStreamsToANode)
      return fail(ErrorCode::kInput, "more than {} streams of bulk data to node '{}'",
                  kMostStreamsToANode, cluster.nodes[flow.to].name);
  }
  return {};
}

}  // namespace

Result<std::vector<BulkFlow>> bulk_flows(const Cluster& cluster, const Experiment& experiment,
                                         const Workload& workload) {
  std::vector<BulkFlow> flows;
  ZQ_TRY(const NodeSet senders, nodes_of(cluster, experiment, workload.from, "from"));
  ZQ_TRY(const NodeSet receivers, nodes_of(cluster, experiment, workload.to, "to"));
  for (const NodeId from : senders) {
    for (const NodeId to : receivers) {
      if (from == to) continue;
      ZQ_TRY(BulkFlow flow, flow_between(cluster, from, to));
      flow.streams = workload.streams;
      flow.rate_bps = workload.rate_bps;
      flows.push_back(flow);
    }
  }
  if (flows.empty()) return fail(ErrorCode::kInput, "'from' and 'to' are the same single node");
  ZQ_CHECK(check_amount(cluster, flows));
  return flows;
}

Result<std::vector<BulkFlow>> bulk_flows(const Cluster& cluster, const Experiment& experiment) {
  std::vector<BulkFlow> flows;
  for (const Workload& workload : experiment.workloads) {
    if (workload.kind != WorkloadKind::kBulk) continue;
    ZQ_TRY(const auto more, bulk_flows(cluster, experiment, workload));
    for (const BulkFlow& flow : more) {
      const bool twice = std::any_of(flows.begin(), flows.end(), [&](const BulkFlow& known) {
        return known.from == flow.from && known.to == flow.to;
      });
      if (twice)
        return fail(ErrorCode::kInput, "two bulk workloads from '{}' to '{}'",
                    cluster.nodes[flow.from].name, cluster.nodes[flow.to].name);
      flows.push_back(flow);
    }
  }
  ZQ_CHECK(check_amount(cluster, flows));
  return flows;
}

bool has_bulk(const Experiment& experiment) {
  return std::any_of(experiment.workloads.begin(), experiment.workloads.end(),
                     [](const Workload& workload) { return workload.kind == WorkloadKind::kBulk; });
}

}  // namespace zq
