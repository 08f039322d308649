// Which request is answered here, and which one is sent to the leader (Mesos' src/master/http.cpp).
#include <spdlog/spdlog.h>

#include "controller/systems/json.h"
#include "tests/calibration/master/master.h"

namespace zq::calibration {

using nlohmann::json;

scheduler::HttpReply json_reply(const json& body, int status) {
  scheduler::HttpReply reply;
  reply.response.status = status;
  reply.response.body = body.dump();
  return reply;
}

scheduler::HttpReply text_reply(int status, const std::string& text) {
  scheduler::HttpReply reply;
  reply.response.status = status;
  reply.response.type = "text/plain; charset=utf-8";
  reply.response.body = text;
  return reply;
}

scheduler::HttpReply Master::handle(const Request& request) {
  std::string path = request.target.substr(0, request.target.find('?'));
  constexpr std::string_view kActor = "/master";
  if (path.starts_with("/master/")) path.erase(0, kActor.size());
  if (path.size() > 1 && path.ends_with('/')) path.pop_back();
  try {
    return route(request, path);
  } catch (const json::exception& error) {
    return text_reply(400, error.what());
  }
}

// Nothing where this master leads.
std::optional<scheduler::HttpReply> Master::elsewhere(const std::string& target) {
  if (role_ != Role::kFollower) return std::nullopt;
  const std::lock_guard lock(election_mutex_);
  // Before the election is read anew, a follower's own name means nobody.
  if (leader_.is_null() || json_string(leader_, {"id"}) == id_) {
    return text_reply(503, "No leader elected");
  }
  auto reply = text_reply(307);
  reply.response.headers["Location"] =
      fmt::format("//{}:{}{}", json_string(leader_, {"hostname"}).value_or(""),
                  leader_.value("port", 5050), target);
  return reply;
}

scheduler::HttpReply Master::replica_reply(const Request& request, const std::string& path) {
  const json body = parse_json(request.body);
  const auto proposal = body.at("proposal").get<std::uint64_t>();
  const Vote vote =
      path == "/replica/promise"
          ? replica_->promise(proposal)
          : replica_->write(proposal, body.at("position").get<std::uint64_t>(), body.at("value"));
  return json_reply(vote.to_json());
}

scheduler::HttpReply Master::maintenance(const Request& request) {
  if (request.method == "GET") return json_reply(registrar_->registry().maintenance);
  const json schedule = parse_json(request.body);
  if (!schedule.is_object()) return text_reply(400, "Failed to parse the schedule");
  registrar_->apply([&](Registry& registry) { registry.maintenance = schedule; });
  return text_reply(200);
}

scheduler::HttpReply Master::route(const Request& request, const std::string& path) {
  if (path == "/health") return text_reply(200);
  if (path == "/version") return json_reply({{"version", kVersion}, {"build_time", start_time_}});
  if (path == "/flags") return json_reply({{"flags", options_.flags}});
  if (path == "/metrics/snapshot") {
    const std::lock_guard lock(mutex_);
    return json_reply(metrics_view());
  }
  if (path == "/registrar(1)/registry") {
    return json_reply(registrar_->recovered() ? registrar_->registry().to_json() : json::object());
  }
  if (path.starts_with("/replica/")) return replica_reply(request, path);
  if (path == "/redirect") {
    if (auto reply = elsewhere("")) return *reply;
    auto reply = text_reply(307);
    reply.response.headers["Location"] = fmt::format("//{}:{}", options_.hostname, options_.port);
    return reply;
  }
  const bool api = path.starts_with("/api/v1");
  const std::string target = api ? path : "/master" + path;
  if (auto reply = elsewhere(target)) return *reply;
  const bool writes = api || path == "/maintenance/schedule" || path.starts_with("/agent/");
  if (writes && !serves()) return text_reply(503, "Master has not finished recovery");
  if (path == "/api/v1") return operator_call(request);
  if (path == "/api/v1/scheduler") return scheduler_call(request);
  if (path == "/agent/register") return register_agent(parse_json(request.body));
  if (path == "/agent/update") return status_update(parse_json(request.body));
  if (path == "/maintenance/schedule") return maintenance(request);
  const std::lock_guard lock(mutex_);
  if (path == "/state") return json_reply(state_view());
  if (path == "/state-summary") return json_reply(summary_view());
  if (path == "/slaves") return json_reply(slaves_view(true));
  if (path == "/frameworks") return json_reply(frameworks_view());
  if (path == "/tasks") return json_reply(tasks_view());
  return text_reply(404);
}

}  // namespace zq::calibration
