// What the scheduler shows of itself, in the forms of Marathon's REST interface.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "tests/calibration/scheduler/scheduler.h"

namespace zq::scheduler {

// What /v2/info says besides the state. Timers are in milliseconds there, failover_timeout in
// seconds.
struct About {
  std::string hostname;
  int port = 0;
  std::string zk;      // zk://HOST:PORT,.../marathon
  std::string master;  // zk://HOST:PORT,.../mesos
  Nanos zk_session_timeout = std::chrono::seconds(10);
  Nanos zk_connection_timeout = std::chrono::seconds(10);
  Nanos failover_timeout = std::chrono::hours(168);
  Timers timers;
  MonoTime started{};
  MonoTime elected{};

  [[nodiscard]] std::string address() const { return hostname + ":" + std::to_string(port); }
};

// Parts of an app that are shown only on demand: "tasks", "counts", "deployments",
// "lastTaskFailure".
using Embed = std::set<std::string>;

[[nodiscard]] nlohmann::json app_view(const Scheduler& scheduler, const App& app,
                                      const Embed& embed);
// Of one app, or of all with an empty id.
[[nodiscard]] nlohmann::json tasks_view(const Scheduler& scheduler, const std::string& app_id);
[[nodiscard]] nlohmann::json queue_view(const Scheduler& scheduler, std::int64_t wall_ns);
[[nodiscard]] nlohmann::json deployments_view(const State& state);
[[nodiscard]] nlohmann::json info_view(const Scheduler& scheduler, const About& about);
[[nodiscard]] nlohmann::json metrics_view(const Scheduler& scheduler, const About& about,
                                          MonoTime now);

}  // namespace zq::scheduler
