// What the agent answers to masters and to those who ask for its state.
#include <algorithm>

#include "controller/systems/json.h"
#include "tests/calibration/agent/agent.h"
#include "tests/calibration/mesos/resources.h"

namespace zq::calibration {

using nlohmann::json;

namespace {

constexpr const char* kVersion = "1.12.0";
constexpr Nanos kGrace = std::chrono::seconds(3);

scheduler::HttpReply reply(int status, const std::string& body) {
  scheduler::HttpReply answer;
  answer.response.status = status;
  answer.response.body = body;
  return answer;
}

scheduler::HttpReply reply(const json& body) { return reply(200, body.dump()); }

}  // namespace

scheduler::HttpReply Agent::handle(const scheduler::HttpRequest& request) {
  std::string path = request.target.substr(0, request.target.find('?'));
  constexpr std::string_view kActor = "/slave(1)";
  if (path.starts_with("/slave(1)/")) path.erase(0, kActor.size());
  try {
    if (request.method == "POST") return command(path, parse_json(request.body));
    if (path == "/health") return reply(200, "");
    if (path == "/version") return reply(json{{"version", kVersion}});
    if (path == "/flags") return reply(json{{"flags", options_.flags}});
    const std::lock_guard lock(mutex_);
    if (path == "/state") return reply(state_view());
    if (path == "/containers") return reply(containers_view());
    if (path == "/metrics/snapshot") return reply(metrics_view());
  } catch (const json::exception& error) {
    return reply(400, error.what());
  }
  return reply(404, "");
}

scheduler::HttpReply Agent::command(const std::string& path, const json& message) {
  const std::lock_guard lock(mutex_);
  const auto from = json_string(message, {"master"});
  const bool from_leader = from && from == json_string(leader_, {"id"});
  if (path == "/ping") {
    if (from_leader) {
      last_ping_ = mono_now();
      if (!json_bool(message, {"connected"}).value_or(true)) {
        registered_ = false;
        changed_.notify_all();
      }
    }
    return reply(json::object());
  }
  // As Mesos: what is not from the expected master is ignored.
  if (!from_leader && !options_.defects.has(Defect::kObeysAnyMaster)) return reply(json::object());
  if (path == "/run") {
    run_task(message);
  } else if (path == "/kill") {
    Nanos grace = kGrace;
    if (const auto ns = json_number(message, {"policy", "grace_period", "nanoseconds"})) {
      grace = Nanos{static_cast<std::int64_t>(*ns)};
    }
    kill_task({message.at("framework"), message.at("task")}, grace);
  } else if (path == "/acknowledge") {
    acknowledge(message);
  } else {
    return reply(404, "");
  }
  return reply(json::object());
}

json Agent::state_view() const {
  const Resources total = parse_resources(options_.info.value("resources", json::array()));
  json attributes = json::object();
  for (const auto& one : options_.info.value("attributes", json::array())) {
    attributes[one.value("name", "")] = json_string(one, {"text", "value"}).value_or("");
  }
  json frameworks = json::array();
  for (const auto& [id, info] : frameworks_) {
    json executors = json::array();
    for (const auto& [key, task] : tasks_) {
      if (key.first != id || task.over) continue;
      const json* const resources = json_at(task.info, {"resources"});
      const json used = flat_resources(parse_resources(resources ? *resources : json::array()));
      const std::string directory = options_.work_dir + "/sandboxes/" + task.container;
      executors.push_back({{"id", key.second},
                           {"name", "Command Executor (Task: " + key.second + ")"},
                           {"source", key.second},
                           {"container", task.container},
                           {"directory", directory},
                           {"resources", used},
                           {"role", "*"},
                           {"tasks", json::array({{{"id", key.second},
                                                   {"name", task.info.value("name", "")},
                                                   {"framework_id", id},
                                                   {"executor_id", ""},
                                                   {"slave_id", id_},
                                                   {"state", task.state()},
                                                   {"resources", used},
                                                   {"role", "*"},
                                                   {"statuses", task.statuses}}})},
                           {"queued_tasks", json::array()},
                           {"completed_tasks", json::array()}});
    }
    if (executors.empty()) continue;
    frameworks.push_back({{"id", id},
                          {"name", info.value("name", "")},
                          {"user", info.value("user", "")},
                          {"failover_timeout", info.value("failover_timeout", 0.0)},
                          {"checkpoint", info.value("checkpoint", false)},
                          {"hostname", info.value("hostname", "")},
                          {"roles", info.value("roles", json::array())},
                          {"executors", executors},
                          {"completed_executors", json::array()}});
  }
  json view = {{"version", kVersion},
               {"start_time", start_time_},
               {"id", id_},
               {"pid", "slave(1)@" + options_.address()},
               {"hostname", options_.hostname},
               {"resources", flat_resources(total)},
               {"attributes", attributes},
               {"flags", options_.flags},
               {"frameworks", frameworks},
               {"completed_frameworks", json::array()}};
  if (options_.info.contains("domain")) view["domain"] = options_.info.at("domain");
  if (!leader_.is_null()) view["master_hostname"] = leader_.value("hostname", "");
  return view;
}

json Agent::containers_view() const {
  json list = json::array();
  for (const auto& [key, task] : tasks_) {
    if (task.over) continue;
    list.push_back(
        {{"container_id", task.container},
         {"executor_id", key.second},
         {"framework_id", key.first},
         {"source", key.second},
         {"status",
          {{"container_id", {{"value", task.container}}}, {"executor_pid", task.process.pid}}}});
  }
  return list;
}

json Agent::metrics_view() const {
  const auto running = static_cast<double>(
      std::ranges::count_if(tasks_, [](const auto& entry) { return !entry.second.over; }));
  return {{"slave/registered", leader_.is_null() ? 0.0 : 1.0},
          {"slave/uptime_secs", to_seconds(mono_now() - started_)},
          {"slave/tasks_running", running},
          {"slave/executors_running", running},
          {"slave/frameworks_active", static_cast<double>(frameworks_.size())},
          {"slave/recovery_errors", 0.0}};
}

}  // namespace zq::calibration
