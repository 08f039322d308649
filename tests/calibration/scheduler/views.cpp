#include "tests/calibration/scheduler/views.h"

#include <algorithm>
#include <array>

namespace zq::scheduler {

using nlohmann::json;

namespace {

// Clients ask for a Marathon of this line; part B of its behaviour is chosen by it.
constexpr const char* kVersion = "1.10.26";

struct Counts {
  int staged = 0;
  int running = 0;
};

Counts count(const State& state, const std::string& app_id) {
  Counts counts;
  for (const Instance* const instance : state.instances_of(app_id)) {
    if (instance->condition == Condition::kRunning) ++counts.running;
    if (instance->condition == Condition::kProvisioned ||
        instance->condition == Condition::kStaging) {
      ++counts.staged;
    }
  }
  return counts;
}

// An offer counts for the first reason it was refused for; what passes one stage meets the next.
json refusals(const OfferRecord& record) {
  std::array<int, kRefusals> declined{};
  for (const auto& [agent, refusal] : record.last) ++declined.at(static_cast<std::size_t>(refusal));
  json rows = json::array();
  int left = static_cast<int>(record.last.size());
  for (std::size_t i = 0; i < declined.size(); ++i) {
    rows.push_back({{"reason", name_of(static_cast<Refusal>(i))},
                    {"declined", declined.at(i)},
                    {"processed", left}});
    left -= declined.at(i);
  }
  return rows;
}

json offers_summary(const OfferRecord& record) {
  json summary = {{"processedOffersCount", record.processed},
                  {"unusedOffersCount", record.unused},
                  {"rejectSummaryLastOffers", refusals(record)},
                  {"rejectSummaryLaunchAttempt", refusals(record)}};
  if (record.last_used_wall_ns) summary["lastUsedOfferAt"] = format_wall(*record.last_used_wall_ns);
  if (record.last_unused_wall_ns) {
    summary["lastUnusedOfferAt"] = format_wall(*record.last_unused_wall_ns);
  }
  return summary;
}

long milliseconds(Nanos duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

}  // namespace

json tasks_view(const Scheduler& scheduler, const std::string& app_id) {
  const bool flatters = scheduler.defects().has(Defect::kReportsTarget);
  json tasks = json::array();
  for (const auto& [id, instance] : scheduler.state().instances) {
    if (!app_id.empty() && instance.app_id != app_id) continue;
    if (!has_task(instance.condition) && !flatters) continue;
    auto task = task_json(instance);
    if (flatters) task["state"] = "TASK_RUNNING";
    tasks.push_back(std::move(task));
  }
  return tasks;
}

json app_view(const Scheduler& scheduler, const App& app, const Embed& embed) {
  const State& state = scheduler.state();
  const bool flatters = scheduler.defects().has(Defect::kReportsTarget);
  json view = to_json(app);
  if (embed.contains("counts")) {
    auto counts = count(state, app.id);
    if (flatters) counts = {0, app.instances};
    view["tasksStaged"] = counts.staged;
    view["tasksRunning"] = counts.running;
    view["tasksHealthy"] = 0;
    view["tasksUnhealthy"] = 0;
  }
  if (embed.contains("deployments")) {
    view["deployments"] = json::array();
    for (const auto& [id, deployment] : state.deployments) {
      if (deployment.app_id == app.id && !flatters) view["deployments"].push_back({{"id", id}});
    }
  }
  if (embed.contains("tasks")) view["tasks"] = tasks_view(scheduler, app.id);
  if (embed.contains("lastTaskFailure")) {
    const auto& failures = scheduler.last_failures();
    if (const auto found = failures.find(app.id); found != failures.end()) {
      view["lastTaskFailure"] = found->second;
    }
  }
  return view;
}

json queue_view(const Scheduler& scheduler, std::int64_t wall_ns) {
  const State& state = scheduler.state();
  json queue = json::array();
  if (scheduler.defects().has(Defect::kReportsTarget)) return {{"queue", queue}};
  for (const auto& [id, app] : state.apps) {
    const auto all = state.instances_of(id);
    const auto waiting = std::count_if(all.begin(), all.end(), [](const Instance* instance) {
      return instance->condition == Condition::kScheduled;
    });
    if (waiting == 0) continue;
    const auto found = scheduler.offer_records().find(id);
    const OfferRecord record =
        found == scheduler.offer_records().end() ? OfferRecord{} : found->second;
    const auto delay = scheduler.launch_delay(id);
    const auto since = record.since_wall_ns == 0 ? wall_ns : record.since_wall_ns;
    queue.push_back({{"app", to_json(app)},
                     {"count", waiting},
                     {"delay",
                      {{"timeLeftSeconds", static_cast<long>(to_seconds(delay))},
                       {"overdue", delay == Nanos{0}}}},
                     {"since", format_wall(since)},
                     {"processedOffersSummary", offers_summary(record)}});
  }
  return {{"queue", queue}};
}

json deployments_view(const State& state) {
  json all = json::array();
  for (const auto& [id, deployment] : state.deployments) all.push_back(to_json(deployment));
  return all;
}

json info_view(const Scheduler& scheduler, const About& about) {
  const Timers& timers = about.timers;
  return {{"name", "marathon"},
          {"version", kVersion},
          {"buildref", "zonequake calibration"},
          {"elected", true},
          {"leader", about.address()},
          {"frameworkId", scheduler.state().framework_id},
          {"marathon_config",
           {{"master", about.master},
            {"framework_name", "marathon"},
            {"ha", true},
            {"checkpoint", true},
            {"hostname", about.hostname},
            {"mesos_role", "*"},
            {"failover_timeout", static_cast<long>(to_seconds(about.failover_timeout))},
            {"reconciliation_interval", milliseconds(timers.reconciliation_interval)},
            {"reconciliation_initial_delay", milliseconds(timers.reconciliation_initial_delay)},
            {"scale_apps_interval", milliseconds(timers.scale_apps_interval)},
            {"scale_apps_initial_delay", milliseconds(timers.scale_apps_initial_delay)},
            {"task_lost_expunge_interval", milliseconds(timers.expunge_interval)},
            {"task_lost_expunge_initial_delay", milliseconds(timers.expunge_initial_delay)},
            {"task_launch_timeout", milliseconds(timers.launch_timeout)},
            {"task_launch_confirm_timeout", milliseconds(timers.launch_confirm_timeout)},
            {"min_revive_offers_interval", milliseconds(timers.min_revive_interval)},
            {"decline_offer_duration", milliseconds(timers.decline_duration)},
            {"kill_retry_timeout", milliseconds(timers.kill_retry)},
            {"max_instances_per_offer", timers.max_instances_per_offer},
            {"mesos_heartbeat_interval", 15000},
            {"mesos_heartbeat_failure_threshold", 5}}},
          {"zookeeper_config",
           {{"zk", about.zk},
            {"zk_session_timeout", milliseconds(about.zk_session_timeout)},
            {"zk_connection_timeout", milliseconds(about.zk_connection_timeout)},
            {"zk_timeout", milliseconds(about.zk_session_timeout)}}},
          {"http_config", {{"http_port", about.port}, {"https_port", 0}}}};
}

json metrics_view(const Scheduler& scheduler, const About& about, MonoTime now) {
  const State& state = scheduler.state();
  int running = 0;
  int staged = 0;
  for (const auto& [id, instance] : state.instances) {
    if (instance.condition == Condition::kRunning) ++running;
    if (instance.condition == Condition::kStaging ||
        instance.condition == Condition::kProvisioned) {
      ++staged;
    }
  }
  json gauges;
  const auto gauge = [&](const char* name, auto value) { gauges[name] = {{"value", value}}; };
  gauge("marathon.leadership.duration.gauge.seconds", to_seconds(now - about.elected));
  gauge("marathon.uptime.gauge.seconds", to_seconds(now - about.started));
  gauge("marathon.apps.active.gauge", state.apps.size());
  gauge("marathon.deployments.active.gauge", state.deployments.size());
  gauge("marathon.instances.running.gauge", running);
  gauge("marathon.instances.staged.gauge", staged);
  gauge("marathon.instances.inflight-kills.gauge", scheduler.kills_in_flight());
  json counters = json::object();
  for (const auto& [name, value] : scheduler.counters()) counters[name] = {{"count", value}};
  return {{"version", "4.0.0"},           {"gauges", gauges},         {"counters", counters},
          {"histograms", json::object()}, {"meters", json::object()}, {"timers", json::object()}};
}

}  // namespace zq::scheduler
