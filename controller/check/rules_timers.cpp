#include <fmt/format.h>

#include <cmath>

#include "controller/check/rules.h"

namespace zq::rules {
namespace {

// Mesos takes no less (src/master/constants.hpp, MIN_AGENT_REREGISTER_TIMEOUT).
constexpr double kLeastReregister = 600;
constexpr double kMostSkew = 1;
// etcd refuses less (embed.Config.Validate), and raft needs it as much.
constexpr double kBeatsPerElection = 5;

// True timers only: derived bounds are not set by anybody.
std::optional<double> timer(const CheckInput& input, const std::string& system,
                            const std::string& name) {
  const auto found = input.facts.timers.find({system, name});
  return found == input.facts.timers.end() ? std::nullopt : std::optional(found->second);
}

void expect(CheckResult& result, bool holds, const std::string& line) {
  if (holds) {
    result.seen.push_back(line);
  } else {
    blame(result, line);
  }
}

void session(const CheckInput& input, CheckResult& result, const std::string& system,
             double timeout) {
  if (const auto deadline = timer(input, system, "ping_deadline")) {
    expect(
        result, *deadline > timeout,
        fmt::format("{}: agents are given up after {:g}s, sessions expire after {:g}s; the first "
                    "must be longer",
                    system, *deadline, timeout));
  }
  for (const SystemSpec& other : input.cluster.systems) {
    if (other.kind != "zookeeper") continue;
    const auto tick = timer(input, other.name, "tick_time");
    if (!tick) continue;
    expect(result, 2 * *tick <= timeout && timeout <= 20 * *tick,
           fmt::format("{}: sessions of {:g}s; with {}'s tickTime {:g}s from {:g}s to {:g}s can be "
                       "had",
                       system, timeout, other.name, *tick, 2 * *tick, 20 * *tick));
  }
}

void system_timers(const CheckInput& input, CheckResult& result, const SystemSpec& system) {
  if (const auto timeout = timer(input, system.name, "zk_session_timeout")) {
    session(input, result, system.name, *timeout);
  }
  if (const auto reregister = timer(input, system.name, "agent_reregister_timeout")) {
    expect(result, *reregister >= kLeastReregister,
           fmt::format("{}: agents may take {:g}s to register with a new leader; at least {:g}s",
                       system.name, *reregister, kLeastReregister));
  }
  const auto beat = timer(input, system.name, "heartbeat_period");
  const auto election = timer(input, system.name, "election_timeout");
  if (system.kind == "etcd" && beat && election) {
    expect(result, *election >= kBeatsPerElection * *beat,
           fmt::format("{}: election timeout {:g}s, heartbeats every {:g}s; at least {:g} of them",
                       system.name, *election, *beat, kBeatsPerElection));
  }
}

void frameworks(const CheckInput& input, CheckResult& result) {
  for (const SchedulerFacts& one : input.facts.schedulers) {
    const std::string name = fmt::format("{} ({})", one.name, one.system);
    if (one.checkpoint == false) {
      blame(result,
            fmt::format("{} does not checkpoint: its tasks die with the agent's process", name));
    }
    if (one.failover_timeout_s && *one.failover_timeout_s <= 0) {
      blame(result,
            fmt::format("{} has no failover timeout: its tasks are killed as soon as it is cut off",
                        name));
    }
    if (one.partition_aware == false) {
      blame(result,
            fmt::format("{} is not PARTITION_AWARE: tasks that come back are killed", name));
    }
  }
}

}  // namespace

void timers(const CheckInput& input, CheckResult& result) {
  for (const SystemSpec& system : input.cluster.systems) {
    system_timers(input, result, system);
    const auto of_system = input.facts.timers.lower_bound({system.name, ""});
    if (of_system == input.facts.timers.end() || of_system->first.first != system.name) {
      result.unknown.push_back(system.name + " did not tell its timers");
    }
  }
  frameworks(input, result);
  std::optional<double> worst;
  for (const auto& [node, skew] : input.facts.clock_offset_s) {
    worst = std::max(worst.value_or(0), std::abs(skew));
    if (std::abs(skew) < kMostSkew) continue;
    blame(result, fmt::format("the clock of {} is {:.3f}s {} this machine's",
                              input.cluster.nodes[node].name, std::abs(skew),
                              skew > 0 ? "ahead of" : "behind"));
  }
  if (worst) {
    result.seen.push_back(fmt::format("clocks of {} nodes, at most {:.3f}s off this machine's",
                                      input.facts.clock_offset_s.size(), *worst));
  } else {
    result.unknown.push_back("no node told the time");
  }
}

}  // namespace zq::rules
