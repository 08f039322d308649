// The bounds that Marathon's timers predict.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controller/systems/adapter.h"
#include "controller/systems/marathon_answers.h"
#include "controller/systems/zookeeper_terms.h"

namespace zq {

struct MarathonTiming {
  std::optional<MarathonInfo> info;
  std::optional<ZooKeeperTiming> zookeeper;
  std::optional<double> rto_max;  // seconds, of the nodes' TCP
  double agent_ping = 0;          // seconds, --agent_ping_timeout of the masters
  double elected_prepare = 0;     // seconds, --on_elected_prepare_timeout
  std::vector<MarathonApp> apps;  // those that are watched
};

// The names of controller/systems/adapter.h as far as what is known allows, and besides:
//   reconciliation_interval, scale_apps_interval, kill_grace, inactive_after, expunge_after (the
//   longest of the watched apps, where not zero): as configured
//   reconcile_max  until every task has been asked for again
// An app whose unreachableStrategy is "disabled" is never replaced: it has no part in the bounds,
// and where all are so there is no reschedule_max.
[[nodiscard]] std::map<std::string, Adapter::Timer> marathon_timers(const MarathonTiming& timing);

}  // namespace zq
