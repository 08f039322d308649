#include "controller/systems/marathon_timers.h"

#include <algorithm>

#include "controller/systems/constants.h"

namespace zq {
namespace {

using Timers = std::map<std::string, Adapter::Timer>;

struct Apps {
  bool replaced = false;  // any
  bool kept = false;      // any that is not forgotten at once
  double inactive = 0, expunge = 0, kill_grace = marathon::kKillGrace;
};

Apps summarize(const std::vector<MarathonApp>& apps) {
  Apps result;
  for (const MarathonApp& app : apps) {
    result.kill_grace = std::max(result.kill_grace, app.kill_grace.value_or(0));
    if (!app.unreachable) continue;
    result.replaced = true;
    result.kept = result.kept || app.unreachable->expunge_after > 0;
    result.inactive = std::max(result.inactive, app.unreachable->inactive_after);
    result.expunge = std::max(result.expunge, app.unreachable->expunge_after);
  }
  return result;
}

void add_leadership(Timers& timers, const MarathonInfo& info, const ZooKeeperTiming& zk,
                    double prepare) {
  const double session = zk.session(info.zk_session.value_or(marathon::kZkSession));
  timers["scheduler_exit_max"] = {
      zk.notice(session) + marathon::kExit + kSeen,
      fmt::format("the lost connection is noticed after the larger of 2/3 x session time-out {} "
                  "and {}'s (syncLimit + 1) x tickTime {}, and ends the process within {} + {} "
                  "until seen",
                  seconds_text(session), zk.source, seconds_text(zk.sync + zk.tick),
                  seconds_text(marathon::kExit), seconds_text(kSeen))};
  timers["scheduler_election_max"] = {
      zk.failover() + session + zk.tick + prepare + kSeen,
      fmt::format("ZooKeeper's own election {} + session time-out {} rounded up to a tick {} + "
                  "--on_elected_prepare_timeout {} + {} until seen",
                  seconds_text(zk.failover()), seconds_text(session), seconds_text(zk.tick),
                  seconds_text(prepare), seconds_text(kSeen))};
}

void add_reschedule(Timers& timers, const Apps& apps, double reconciliation) {
  if (!apps.replaced) return;
  const double wait = apps.inactive > 0 ? apps.inactive + reconciliation : 0;
  const std::string waiting =
      apps.inactive > 0
          ? fmt::format(
                "inactiveAfterSeconds {} + --reconciliation_interval {}, when it is looked "
                "at again",
                seconds_text(apps.inactive), seconds_text(reconciliation))
          : std::string("inactiveAfterSeconds 0");
  timers["reschedule_max"] = {wait + marathon::kPlacement,
                              fmt::format("{} + allowance for offer, match and start {}", waiting,
                                          seconds_text(marathon::kPlacement))};
  timers["reschedule_new_leader_max"] = {
      reconciliation + wait + marathon::kPlacement,
      fmt::format("a new master gives agents up without a word: the next reconciliation {} + {} + "
                  "allowance for offer, match and start {}",
                  seconds_text(reconciliation), waiting, seconds_text(marathon::kPlacement))};
}

void add_heal(Timers& timers, const Apps& apps, double scale, double rto_max, double agent_ping) {
  const double rejoin = mesos::kRegistrationPause + rto_max + agent_ping;
  const double surplus = apps.kept ? scale : marathon::kKillRetry;
  timers["reregister_max"] = {
      rejoin + surplus + apps.kill_grace + kSeen,
      fmt::format("agents are back within {} (pause between registrations {} + TCP's longest pause "
                  "{} + one ping {}) + {} {} + grace period {} + {} until seen",
                  seconds_text(rejoin), seconds_text(mesos::kRegistrationPause),
                  seconds_text(rto_max), seconds_text(agent_ping),
                  apps.kept ? "surplus copies are found by --scale_apps_interval"
                            : "one repeated attempt to kill an unknown copy",
                  seconds_text(surplus), seconds_text(apps.kill_grace), seconds_text(kSeen))};
}

}  // namespace

Timers marathon_timers(const MarathonTiming& timing) {
  Timers timers;
  if (!timing.info) return timers;
  const double reconciliation = timing.info->reconciliation.value_or(marathon::kReconciliation);
  const double scale = timing.info->scale_apps.value_or(marathon::kScaleApps);
  timers["reconciliation_interval"] = {reconciliation, "/v2/info: reconciliation_interval"};
  timers["scale_apps_interval"] = {scale, "/v2/info: scale_apps_interval"};
  timers["reconcile_max"] = {reconciliation + kSeen,
                             fmt::format("--reconciliation_interval {} + {} until seen",
                                         seconds_text(reconciliation), seconds_text(kSeen))};
  timers["start_max"] = {marathon::kStart, fmt::format("allowance for the start of a killed JVM {}",
                                                       seconds_text(marathon::kStart))};
  if (timing.zookeeper) {
    add_leadership(timers, *timing.info, *timing.zookeeper, timing.elected_prepare);
  }
  if (timing.apps.empty()) return timers;
  const Apps apps = summarize(timing.apps);
  timers["kill_grace"] = {apps.kill_grace, "longest grace period of the watched apps"};
  if (apps.inactive > 0) {
    timers["inactive_after"] = {apps.inactive, "longest inactiveAfterSeconds of the watched apps"};
  }
  if (apps.expunge > 0) {
    timers["expunge_after"] = {apps.expunge, "longest expungeAfterSeconds of the watched apps"};
  }
  add_reschedule(timers, apps, reconciliation);
  if (timing.rto_max) add_heal(timers, apps, scale, *timing.rto_max, timing.agent_ping);
  return timers;
}

}  // namespace zq
