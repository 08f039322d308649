#include "controller/systems/mesos_timers.h"

#include <algorithm>

#include "controller/systems/constants.h"

namespace zq {
namespace {

using Timers = std::map<std::string, Adapter::Timer>;

void add_configured(Timers& timers, const MesosTiming& t) {
  timers["agent_ping_timeout"] = {t.ping, "--agent_ping_timeout"};
  timers["ping_deadline"] = {t.pings * t.ping,
                             fmt::format("--max_agent_ping_timeouts {} x --agent_ping_timeout {}",
                                         t.pings, seconds_text(t.ping))};
  timers["agent_reregister_timeout"] = {t.reregister, "--agent_reregister_timeout"};
  if (t.spacing > 0) {
    timers["agent_removal_spacing"] = {t.spacing, "from --agent_removal_rate_limit"};
  }
  timers["registry_store_timeout"] = {t.store, "--registry_store_timeout"};
  timers["registry_fetch_timeout"] = {t.fetch, "--registry_fetch_timeout"};
  timers["zk_session_timeout"] = {
      t.session, "--zk_session_timeout, which ZooKeeper clamps to 2 to 20 x tickTime"};
  timers["registration_backoff"] = {t.backoff, "--registration_backoff_factor of the agents"};
  timers["tcp_rto_max"] = {t.rto_max, "net.ipv4.tcp_rto_max_ms of the nodes"};
}

// The limiter may have given its last permit just before: then the first agent waits too.
std::string spacing_text(const MesosTiming& t) {
  if (t.spacing <= 0) return "";
  return fmt::format(" + {} agents of the largest zone x {} between removals", t.largest_zone,
                     seconds_text(t.spacing));
}

void add_members(Timers& timers, const MesosTiming& t) {
  const double deadline = t.pings * t.ping;
  const double removals = t.spacing * t.largest_zone;
  timers["unreachable_min"] = {
      std::max(0.0, deadline - kRoundTrip),
      fmt::format("{} pings unanswered for {} each - a pong that was under way {}", t.pings,
                  seconds_text(t.ping), seconds_text(kRoundTrip))};
  timers["unreachable_max"] = {
      deadline + t.ping + removals + t.store + kSeen,
      fmt::format("a ping under way {0} + {1} pings unanswered for {0} each{2} + registry write "
                  "{3} + {4} until seen",
                  seconds_text(t.ping), t.pings, spacing_text(t), seconds_text(t.store),
                  seconds_text(kSeen))};
  timers["unreachable_new_leader_max"] = {
      t.elect() + t.reregister + removals + t.store + kSeen,
      fmt::format("election {} + --agent_reregister_timeout {}{} + registry write {} + {} until "
                  "seen",
                  seconds_text(t.elect()), seconds_text(t.reregister), spacing_text(t),
                  seconds_text(t.store), seconds_text(kSeen))};
  timers["safe_cut_max"] = {
      safe_cut(deadline, t.rto_max),
      fmt::format("TCP's last retransmission of a ping before its deadline {}, with pauses "
                  "doubling from {} up to {}",
                  seconds_text(deadline), seconds_text(kTcpRtoMin), seconds_text(t.rto_max))};
  timers["reregister_max"] = {
      t.rejoin() + kSeen,
      fmt::format("the agent's longest pause between registrations {} + TCP's longest pause "
                  "between retransmissions {} + one ping {} + {} until seen",
                  seconds_text(mesos::kRegistrationPause), seconds_text(t.rto_max),
                  seconds_text(t.ping), seconds_text(kSeen))};
}

void add_leadership(Timers& timers, const MesosTiming& t) {
  const ZooKeeperTiming& zk = t.zookeeper;
  const std::string notice = fmt::format(
      "the session's lost connection is noticed after the larger of 2/3 x session "
      "time-out {} and {}'s (syncLimit + 1) x tickTime {}",
      seconds_text(t.session), zk.source, seconds_text(zk.sync + zk.tick));
  timers["leader_exit_max"] = {t.exit() + kSeen,
                               fmt::format("{} + the session expires by the master's own clock {} "
                                           "+ {} until seen",
                                           notice, seconds_text(t.session), seconds_text(kSeen))};
  timers["election_max"] = {
      t.elect() + kSeen,
      fmt::format("ZooKeeper's own election {} ({}: (syncLimit + 1) x tickTime + {} + initLimit x "
                  "tickTime) + session time-out {} rounded up to a tick {} + the registry's two "
                  "round trips {} + {} until seen",
                  seconds_text(zk.failover()), zk.source, seconds_text(zookeeper::kElection),
                  seconds_text(t.session), seconds_text(zk.tick), seconds_text(2 * kRoundTrip),
                  seconds_text(kSeen))};
  timers["registry_serves_max"] = {
      t.elect() + t.fetch + kSeen,
      fmt::format("election {} + --registry_fetch_timeout {}, past which the leader exits + {} "
                  "until seen",
                  seconds_text(t.elect()), seconds_text(t.fetch), seconds_text(kSeen))};
  timers["overlap_max"] = {
      t.exit() - 2 * t.session / 3 + kSeen,
      fmt::format("the old leader's exit {} - the earliest expiry of its session 2/3 x {} + {} "
                  "until seen",
                  seconds_text(t.exit()), seconds_text(t.session), seconds_text(kSeen))};
  const Adapter::Timer start = {mesos::kProcessStart,
                                fmt::format("allowance for the start of a killed process {}",
                                            seconds_text(mesos::kProcessStart))};
  timers["start_max"] = timers["start_alone_max"] = start;
}

}  // namespace

double safe_cut(double deadline, double rto_max) {
  double pause = kTcpRtoMin;
  double last = 0;
  for (double at = pause; at < deadline; at += pause) {
    last = at;
    pause = std::min(2 * pause, rto_max);
    if (pause <= 0) break;
  }
  return last;
}

Timers mesos_timers(const MesosTiming& timing) {
  Timers timers;
  add_configured(timers, timing);
  add_members(timers, timing);
  add_leadership(timers, timing);
  return timers;
}

}  // namespace zq
