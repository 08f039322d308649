// HTTP: the leader answers, standbys hand on (LeaderProxyFilter.scala, RequestForwarder.scala).
#include <spdlog/spdlog.h>

#include <boost/uuid/random_generator.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <thread>

#include "tests/calibration/scheduler/program.h"

namespace zq::scheduler {

using nlohmann::json;

namespace {

constexpr Nanos kLeaderWait = std::chrono::milliseconds(2500);
constexpr Nanos kLeaderLook = std::chrono::milliseconds(100);
constexpr Nanos kAbdication = std::chrono::milliseconds(500);
constexpr int kFound = 302;
constexpr int kBadGateway = 502;
constexpr int kGatewayTimeout = 504;

HttpReply plain(int status, const std::string& text) {
  return {{status, "text/plain", text, {}, false}, {}, {}};
}

bool changes_apps(const HttpRequest& request) {
  return request.target.rfind("/v2/apps", 0) == 0 && request.method != "GET" &&
         request.method != "HEAD";
}

std::string header(const HttpRequest& request, const char* name) {
  const auto found = request.headers.find(name);
  return found == request.headers.end() ? std::string() : found->second;
}

}  // namespace

std::string Program::known_leader() {
  if (suspended_) return {};
  const std::lock_guard lock(leader_mutex_);
  return leader_;
}

HttpReply Program::handle(const HttpRequest& request) {
  const auto own = options_.about.address();
  if (header(request, "x-marathon-via").find(own) != std::string::npos) {
    return plain(kBadGateway, "Detected proxying loop.");
  }
  const auto deadline = mono_now() + kLeaderWait;
  for (;;) {
    if (role_ != Role::kStandby) return lead_reply(request);
    const auto leader = known_leader();
    if (!leader.empty() && leader != own) return hand_on(request, leader);
    if (options_.defects.has(Defect::kAnswersWithoutLeader) && changes_apps(request)) {
      const auto id = to_string(boost::uuids::random_generator()());
      return {json_response(200, {{"version", format_wall(wall_now_ns())}, {"deploymentId", id}}),
              {},
              {}};
    }
    if (mono_now() >= deadline) return plain(kBadGateway, "Could not determine the current leader");
    std::this_thread::sleep_for(kLeaderLook);
  }
}

HttpReply Program::lead_reply(const HttpRequest& request) {
  const auto parsed = parse_target(request.method, request.target, request.body);
  HttpReply reply;
  if (parsed.path == "/v2/events") {
    reply = events_reply(request);
  } else {
    const std::lock_guard lock(mutex_);
    reply.response = answer(*scheduler_, options_.about, parsed, Now{mono_now(), wall_now_ns()});
  }
  reply.response.headers["X-Marathon-Leader"] = "http://" + options_.about.address();
  if (reply.response.abdicates) {
    reply.afterwards = [this] {
      std::this_thread::sleep_for(kAbdication);
      abdicated_ = true;
    };
  }
  return reply;
}

HttpReply Program::events_reply(const HttpRequest& request) {
  const auto parsed = parse_target(request.method, request.target, "");
  std::set<std::string> types;
  const auto [begin, end] = parsed.query.equal_range("event_type");
  for (auto at = begin; at != end; ++at) types.insert(at->second);
  HttpReply reply;
  reply.response.type = "text/event-stream";
  reply.response.headers["Cache-Control"] = "no-cache";
  reply.stream = [this, types](const WriteChunk& write) {
    events_.serve(types, options_.about.hostname, write);
  };
  return reply;
}

HttpReply Program::hand_on(const HttpRequest& request, const std::string& leader) const {
  if (parse_target(request.method, request.target, "").path == "/v2/events") {
    auto reply = plain(kFound, "");
    reply.response.headers["Location"] = "http://" + leader + request.target;
    return reply;
  }
  const auto via = "1.1 " + options_.about.address();
  HttpCall call;
  call.method = request.method;
  call.url = "http://" + leader + request.target;
  call.body = request.body;
  call.headers["X-Marathon-Via"] = via;
  for (const char* const name : {"accept", "content-type", "authorization"}) {
    if (const auto value = header(request, name); !value.empty()) call.headers[name] = value;
  }
  HttpClient client;
  auto answer = client.call(call);
  if (!answer) {
    const bool late = answer.error().code == ErrorCode::kTimeout;
    return plain(late ? kGatewayTimeout : kBadGateway,
                 "Error while proxying the request: " + answer.error().message);
  }
  HttpReply reply;
  reply.response.status = answer->status;
  reply.response.body = std::move(answer->body);
  for (const auto& [name, value] : answer->headers) {
    if (name == "content-type") {
      reply.response.type = value;
    } else if (name == "location" || name.rfind("x-marathon-", 0) == 0 ||
               name.rfind("marathon-", 0) == 0) {
      reply.response.headers[name] = value;
    }
  }
  reply.response.headers["X-Marathon-Via"] = via;
  return reply;
}

}  // namespace zq::scheduler
