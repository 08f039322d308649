#include "controller/systems/swarm_timers.h"

#include <fmt/format.h>

#include <algorithm>

#include "controller/systems/constants.h"
#include "controller/systems/mesos_timers.h"
#include "controller/systems/placement.h"

namespace zq {
namespace {

using Timers = std::map<std::string, Adapter::Timer>;

void add_cluster_timers(Timers& timers, const SwarmInfo::Spec& spec) {
  const double heartbeat = spec.heartbeat.value_or(swarmkit::kDefaultHeartbeat);
  timers["heartbeat_period"] = {heartbeat, spec.heartbeat ? "Dispatcher.HeartbeatPeriod"
                                                          : "swarmkit's default heartbeat period"};
  const double longest = heartbeat + swarmkit::kHeartbeatEpsilon;
  timers["unreachable_max"] = {
      swarmkit::kGraceMultiplier * longest + kSeen,
      fmt::format("dispatcher: {} x (heartbeat period {} + jitter {}) + {} until seen",
                  swarmkit::kGraceMultiplier, seconds_text(heartbeat),
                  seconds_text(swarmkit::kHeartbeatEpsilon), seconds_text(kSeen))};
  // The period that the agent was told last was drawn once, for its next beat and for the grace.
  const double shortest = std::max(0.0, heartbeat - swarmkit::kHeartbeatEpsilon);
  const double earliest = (swarmkit::kGraceMultiplier - 1) * shortest;
  timers["unreachable_min"] = {
      earliest,
      fmt::format("dispatcher: {} - 1 periods after a beat that was just due, x (heartbeat "
                  "period {} - jitter {})",
                  swarmkit::kGraceMultiplier, seconds_text(heartbeat),
                  seconds_text(swarmkit::kHeartbeatEpsilon))};
  timers["safe_cut_max"] = {
      safe_cut(earliest, kTcpRtoMax),
      fmt::format("TCP's last retransmission of a heartbeat before its deadline {}, with pauses "
                  "doubling from {}",
                  seconds_text(earliest), seconds_text(kTcpRtoMin))};
  timers["unreachable_new_leader_max"] = {
      swarmkit::kGraceMultiplierNew * longest + kSeen,
      fmt::format("dispatcher of a new leader: {} x (heartbeat period {} + jitter {}) + {} until "
                  "seen",
                  swarmkit::kGraceMultiplierNew, seconds_text(heartbeat),
                  seconds_text(swarmkit::kHeartbeatEpsilon), seconds_text(kSeen))};

  const double ticks = spec.election_tick.value_or(swarmkit::kDefaultElectionTick);
  const double timeout = ticks * swarmkit::kRaftTick;
  timers["election_timeout"] = {timeout, fmt::format("Raft.ElectionTick {} x tick {}", ticks,
                                                     seconds_text(swarmkit::kRaftTick))};
  timers["leader_exit_max"] = {
      2 * timeout + kSeen,
      fmt::format("raft: the leader counts its quorum every election timeout {}, so it notices "
                  "after two + {} until seen",
                  seconds_text(timeout), seconds_text(kSeen))};
  timers["election_max"] = {
      4 * timeout + kSeen,
      fmt::format("raft: two rounds (the first may split the vote), each within twice the election "
                  "timeout {} + {} until seen",
                  seconds_text(timeout), seconds_text(kSeen))};
  timers["overlap_max"] = {
      timers["leader_exit_max"].seconds - timeout,
      fmt::format("the old leader's exit {} - the earliest election after {}",
                  seconds_text(timers["leader_exit_max"].seconds), seconds_text(timeout))};
  timers["scheduler_exit_max"] = timers["leader_exit_max"];
  timers["scheduler_election_max"] = timers["election_max"];
  timers["start_max"] = {kDaemonStart, fmt::format("allowance for the start of a killed daemon {}",
                                                   seconds_text(kDaemonStart))};
  timers["start_alone_max"] = {
      swarmkit::kSwarmStart + kDaemonStart,
      fmt::format("a manager's daemon listens only when its swarm node is ready, which without a "
                  "quorum it gives up after {} + allowance for the start {}",
                  seconds_text(swarmkit::kSwarmStart), seconds_text(kDaemonStart))};
}

void add_service_timers(Timers& timers, const std::vector<SwarmService>& services) {
  double delay = services.empty() ? swarmkit::kDefaultRestartDelay : 0;
  double grace = services.empty() ? swarmkit::kDefaultStopGrace : 0;
  for (const SwarmService& service : services) {
    delay = std::max(delay, service.restart_delay.value_or(swarmkit::kDefaultRestartDelay));
    grace = std::max(grace, service.stop_grace.value_or(swarmkit::kDefaultStopGrace));
  }
  timers["restart_delay"] = {delay, "longest RestartPolicy.Delay of the watched services"};
  timers["stop_grace"] = {grace, "longest StopGracePeriod of the watched services"};
  timers["reschedule_max"] = {
      delay + swarmkit::kSchedulerDebounce + kContainerStart,
      fmt::format("restart delay {} + scheduler {} + allowance for a container's start {}",
                  seconds_text(delay), seconds_text(swarmkit::kSchedulerDebounce),
                  seconds_text(kContainerStart))};
  timers["reschedule_new_leader_max"] = timers["reschedule_max"];
  timers["reregister_max"] = {
      2 * swarmkit::kSessionBackoff + swarmkit::kDispatcherRpc + grace + kContainerStop + kSeen,
      fmt::format("agent: the attempt under way at the heal (pause {0} + time-out {1}) and the "
                  "pause before the next {0}; then stop grace period {2} + allowance for a "
                  "container's stop {3} + {4} until seen",
                  seconds_text(swarmkit::kSessionBackoff), seconds_text(swarmkit::kDispatcherRpc),
                  seconds_text(grace), seconds_text(kContainerStop), seconds_text(kSeen))};
}

}  // namespace

Timers swarm_timers(const std::optional<SwarmInfo::Spec>& spec,
                    const std::optional<std::vector<SwarmService>>& services) {
  Timers timers;
  if (spec) add_cluster_timers(timers, *spec);
  if (services) add_service_timers(timers, *services);
  return timers;
}

}  // namespace zq
