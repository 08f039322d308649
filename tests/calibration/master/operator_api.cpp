// POST /api/v1 at the leader.
#include "controller/systems/json.h"
#include "tests/calibration/master/master.h"

namespace zq::calibration {

using nlohmann::json;

scheduler::HttpReply Master::operator_call(const Request& request) {
  if (request.method != "POST") return text_reply(405, "Expecting one of { 'POST' }");
  const json call = parse_json(request.body);
  const auto type = json_string(call, {"type"});
  if (!type) return text_reply(400, "Failed to parse body into a call");
  const auto answer = [&](const char* key, json value) {
    return json_reply({{"type", *type}, {key, std::move(value)}});
  };
  if (*type == "SUBSCRIBE") return operator_stream();
  if (*type == "MARK_AGENT_GONE") return mark_gone(call);
  if (*type == "UPDATE_WEIGHTS" || *type == "UPDATE_MAINTENANCE_SCHEDULE") {
    json schedule;
    if (const json* const found = json_at(call, {"update_maintenance_schedule", "schedule"})) {
      schedule = *found;
    }
    registrar_->apply([&](Registry& registry) {
      if (!schedule.is_null()) registry.maintenance = schedule;
    });
    return text_reply(200);
  }
  if (*type == "GET_MAINTENANCE_SCHEDULE") {
    return answer("get_maintenance_schedule", {{"schedule", registrar_->registry().maintenance}});
  }
  const std::lock_guard lock(mutex_);
  if (*type == "GET_MASTER") {
    return answer(
        "get_master",
        {{"master_info", info_}, {"start_time", start_time_}, {"elected_time", elected_time_}});
  }
  if (*type == "GET_AGENTS") return answer("get_agents", v1_agents());
  if (*type == "GET_FRAMEWORKS") return answer("get_frameworks", v1_frameworks());
  if (*type == "GET_TASKS") return answer("get_tasks", v1_tasks());
  if (*type == "GET_STATE") return answer("get_state", v1_state());
  if (*type == "GET_HEALTH") return answer("get_health", {{"healthy", true}});
  if (*type == "GET_VERSION") {
    return answer("get_version", {{"version_info", {{"version", kVersion}}}});
  }
  if (*type == "GET_FLAGS") {
    json flags = json::array();
    for (const auto& [name, value] : options_.flags) {
      flags.push_back({{"name", name}, {"value", value}});
    }
    return answer("get_flags", {{"flags", flags}});
  }
  if (*type == "GET_METRICS") {
    json metrics = json::array();
    const json view = metrics_view();
    for (const auto& [name, value] : view.items()) {
      metrics.push_back({{"name", name}, {"value", value}});
    }
    return answer("get_metrics", {{"metrics", metrics}});
  }
  return text_reply(400, "Failed to validate master::Call: '" + *type + "' is not a call of ours");
}

scheduler::HttpReply Master::operator_stream() {
  const auto stream = std::make_shared<RecordStream>();
  {
    const std::lock_guard lock(mutex_);
    stream->push(
        {{"type", "SUBSCRIBED"},
         {"subscribed",
          {{"get_state", v1_state()}, {"heartbeat_interval_seconds", kHeartbeatSeconds}}}});
    stream->push({{"type", "HEARTBEAT"}});
    operators_.push_back(stream);
  }
  Reply reply;
  reply.stream = [this, stream](const scheduler::WriteChunk& write) {
    stream->serve(write);
    const std::lock_guard lock(mutex_);
    std::erase(operators_, stream);
  };
  return reply;
}

}  // namespace zq::calibration
