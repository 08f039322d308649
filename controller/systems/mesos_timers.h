// The bounds that Mesos' timers predict.
#pragma once

#include <map>
#include <string>

#include "controller/systems/adapter.h"
#include "controller/systems/mesos_terms.h"

namespace zq {

// The longest cut (silent drop) after which nothing may have changed: a ping that was lost is sent
// again by TCP between the heal and the deadline of `deadline` seconds after it was first sent. The
// pauses double from TCP's shortest up to `rto_max`; on a slow path they start longer, so that this
// holds for paths with a round trip well below that.
[[nodiscard]] double safe_cut(double deadline, double rto_max);

// The names of controller/systems/adapter.h, and besides:
//   agent_ping_timeout, ping_deadline (N pings of T), agent_reregister_timeout,
//   agent_removal_spacing, registry_store_timeout, registry_fetch_timeout, zk_session_timeout,
//   registration_backoff, tcp_rto_max: as configured (the spacing only where there is a limit)
//   registry_serves_max  the majority has a leader that has recovered the registry, or it has died
//   safe_cut_max         the longest cut that nothing may come of
[[nodiscard]] std::map<std::string, Adapter::Timer> mesos_timers(const MesosTiming& timing);

}  // namespace zq
