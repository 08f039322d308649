// Marathon: PUT makes an app or changes it, over any instance (standbys pass it on).
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "controller/canary/scheduler.h"
#include "controller/systems/app_names.h"
#include "controller/systems/json.h"

namespace zq {
namespace {

using nlohmann::json;

constexpr double kCpus = 0.05;
constexpr int kMemoryMib = 32;

class MarathonScheduler final : public Scheduler {
 public:
  MarathonScheduler(const Cluster& cluster, const SystemSpec& system, std::size_t places,
                    AskScheduler ask)
      : names_(AppNames::of_scheduler(cluster, system)), places_(places), ask_(std::move(ask)) {
    std::set<std::string> zones;
    for (const Node& node : cluster.nodes)
      if (node.has_role("agent")) zones.insert(node.zone);
    zones_ = std::max<std::size_t>(1, zones.size());
  }

  Result<std::string> deploy(const AppSpec& app, const DeployOptions& options) override {
    ZQ_TRY(const auto before, find(app));
    std::string note;
    ZQ_TRY(const json constraints, constraints_of(options, note));
    const std::string command = fmt::format(
        R"(ZQ_INSTANCE="$MESOS_TASK_ID" exec {} canary --app {} --port-first {} --port-last {})",
        options.agent_path, app.name, app.port_first, app.port_last);
    // No `networks`: without a container that is the host's own, in every version.
    const json body = {{"id", path_of(app)},
                       {"cmd", command},
                       {"instances", app.replicas},
                       {"cpus", kCpus},
                       {"mem", kMemoryMib},
                       {"disk", 0},
                       {"portDefinitions", json::array()},
                       {"labels", {{kCanaryLabel, kCanaryLabelValue}}},
                       {"constraints", constraints}};
    ZQ_TRY(const SchedulerAnswer answer,
           ask_any(ask_, places_, scheduler_request("PUT", url_of(app), body.dump())));
    if (answer.status != 200 && answer.status != 201)
      return unexpected_answer("PUT " + url_of(app), answer);
    return note;
  }

  Result<bool> remove(const AppSpec& app) override {
    ZQ_TRY(const auto before, find(app));
    if (!before) return false;
    // Also while a deployment of it has not ended.
    ZQ_TRY(const SchedulerAnswer answer,
           ask_any(ask_, places_, scheduler_request("DELETE", url_of(app) + "?force=true")));
    if (answer.status != 200 && answer.status != 404)
      return unexpected_answer("DELETE " + url_of(app), answer);
    return true;
  }

  Result<std::optional<SchedulerCount>> count(const AppSpec& app) override {
    ZQ_TRY(const auto found, find(app));
    if (!found) return std::optional<SchedulerCount>();
    const auto number = [&](const char* key) {
      return static_cast<unsigned>(std::max(0.0, json_number(*found, {key}).value_or(0)));
    };
    return SchedulerCount{.wanted = number("instances"), .running = number("tasksRunning")};
  }

 private:
  std::string path_of(const AppSpec& app) const {
    const auto found = std::ranges::find(names_.apps(), app.name);
    return names_.paths()[static_cast<std::size_t>(found - names_.apps().begin())];
  }
  std::string url_of(const AppSpec& app) const { return "/v2/apps" + path_of(app); }

  // The app as Marathon has it; nothing when there is none; kExists when it is not ours.
  Result<std::optional<json>> find(const AppSpec& app) const {
    ZQ_TRY(const SchedulerAnswer answer,
           ask_any(ask_, places_, scheduler_request("GET", url_of(app))));
    if (answer.status == 404) return std::optional<json>();
    const json root = parse_json(answer.body);
    const json* const found = json_at(root, {"app"});
    if (answer.status != 200 || found == nullptr)
      return unexpected_answer("GET " + url_of(app), answer);
    if (json_string(*found, {"labels", kCanaryLabel}) != kCanaryLabelValue)
      return not_ours(app, path_of(app));
    return std::optional<json>(*found);
  }

  Result<json> constraints_of(const DeployOptions& options, std::string& note) const {
    if (!options.constraint.empty()) {
      json constraint = json::array();
      std::string rest = options.constraint;
      for (std::size_t colon = rest.find(':'); colon != std::string::npos && constraint.size() < 2;
           colon = rest.find(':')) {
        constraint.push_back(rest.substr(0, colon));
        rest.erase(0, colon + 1);
      }
      constraint.push_back(rest);
      return json::array({constraint});
    }
    if (options.zone_field == "none") return json::array();
    json constraint = {options.zone_field, "GROUP_BY"};
    // Without a number, copies of a lost zone find a place in those that are left; 1.11 has a fault
    // there (d2iq-archive/marathon#7269) and needs the number.
    ZQ_TRY(const bool with_number, groups_need_number());
    if (with_number) {
      constraint.push_back(std::to_string(zones_));
      note = fmt::format(
          "this version of Marathon spreads over exactly {} zones: while one is lost, its copies "
          "get no place in the others; --constraint {}:MAX_PER:N would let them",
          zones_, options.zone_field);
    }
    return json::array({constraint});
  }

  // Since 1.11.
  Result<bool> groups_need_number() const {
    ZQ_TRY(const SchedulerAnswer answer,
           ask_any(ask_, places_, scheduler_request("GET", "/v2/info")));
    const auto version = json_string(parse_json(answer.body), {"version"});
    unsigned major = 0;
    unsigned minor = 0;
    if (answer.status != 200 || !version ||
        std::sscanf(version->c_str(), "%u.%u", &major, &minor) != 2)
      return unexpected_answer("GET /v2/info", answer);
    return major > 1 || (major == 1 && minor >= 11);
  }

  AppNames names_;
  std::size_t places_;
  AskScheduler ask_;
  std::size_t zones_ = 1;
};

}  // namespace

std::unique_ptr<Scheduler> make_marathon_scheduler(const Cluster& cluster, const SystemSpec& system,
                                                   std::size_t places, AskScheduler ask) {
  return std::make_unique<MarathonScheduler>(cluster, system, places, std::move(ask));
}

}  // namespace zq
