#include "controller/canary/agent_calls.h"

#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>

#include "controller/run/agent_requests.h"

namespace zq {
namespace {

constexpr Nanos kDescribeTimeout = std::chrono::seconds(10);
constexpr Nanos kSlack = std::chrono::seconds(3);  // beside the probes' own time-outs
constexpr Nanos kLookAtStop = std::chrono::milliseconds(100);
constexpr std::uint32_t kProtocol = 1;
constexpr std::uint32_t kOnceMs = 24 * 3'600'000;  // the next time never comes

}  // namespace

Result<AgentCalls> AgentCalls::connect(const Cluster& cluster, const Testbed* testbed,
                                       std::stop_token stop) {
  std::vector<AgentEndpoint> endpoints;
  for (const Node& node : cluster.nodes)
    endpoints.push_back({.node = node.name, .address = agent_address(node, testbed)});
  auto fleet = std::make_unique<Fleet>(std::move(endpoints));
  zonequake::DescribeRequest request;
  request.set_protocol(kProtocol);
  const auto replies = fleet->describe(request, kDescribeTimeout);
  for (std::size_t i = 0; i < replies.size(); ++i) {
    if (!fleet->has_agent(i)) continue;
    const std::string& node = cluster.nodes[i].name;
    if (!replies[i])
      return fail(ErrorCode::kUnavailable, "the agent of {} does not answer: {}", node,
                  replies[i].error().message);
    if (!replies[i]->holder().empty())
      return fail(ErrorCode::kRefused, "run {} holds node {}; wait until it has ended",
                  replies[i]->holder(), node);
  }
  return AgentCalls(cluster, std::move(fleet), std::move(stop));
}

std::vector<Result<zonequake::Observation>> AgentCalls::call(const std::vector<NodeProbe>& probes) {
  std::mutex mutex;
  std::condition_variable arrived;
  std::map<std::pair<std::size_t, std::string>, zonequake::Observation> answers;

  zonequake::RunRef run;
  run.set_run("canary-" + std::to_string(::getpid()));
  std::vector<zonequake::ProbeSet> sets(cluster_->nodes.size());
  for (auto& set : sets) *set.mutable_run() = run;
  Nanos longest{0};
  for (const NodeProbe& probe : probes) {
    zonequake::Probe& added = *sets[probe.node].add_probes();
    added = probe.probe;
    added.set_interval_ms(kOnceMs);
    longest = std::max<Nanos>(longest, std::chrono::milliseconds(added.timeout_ms()));
  }
  fleet_->start_observing(std::move(sets),
                          [&](std::size_t node, const zonequake::ObservationBatch& batch) {
                            const std::lock_guard lock(mutex);
                            for (const auto& one : batch.observations())
                              answers.try_emplace({node, one.probe()}, one);
                            arrived.notify_all();
                          });
  {
    const MonoTime deadline = mono_now() + longest + kSlack;
    std::unique_lock lock(mutex);
    while (answers.size() < probes.size() && mono_now() < deadline && !stop_.stop_requested())
      arrived.wait_for(lock, kLookAtStop);
  }
  fleet_->stop_observing();
  std::vector<Result<zonequake::Observation>> results;
  for (const NodeProbe& probe : probes) {
    const auto found = answers.find({probe.node, probe.probe.id()});
    if (found != answers.end())
      results.emplace_back(std::move(found->second));
    else if (stop_.stop_requested())
      results.emplace_back(fail(ErrorCode::kCancelled, "stopped by the user"));
    else
      results.emplace_back(fail(ErrorCode::kUnavailable, "the agent of {} did not answer in time",
                                cluster_->nodes[probe.node].name));
  }
  return results;
}

}  // namespace zq
