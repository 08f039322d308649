#include "tests/calibration/scheduler/rest.h"

#include <algorithm>

namespace zq::scheduler {

using nlohmann::json;

namespace {

constexpr int kOk = 200;
constexpr int kCreated = 201;
constexpr int kBadRequest = 400;
constexpr int kNotFound = 404;
constexpr int kMethodNotAllowed = 405;

Response error(int status, const std::string& message) {
  return json_response(status, {{"message", message}});
}
Response refused(const Refused& refusal) { return json_response(refusal.status, refusal.body); }
Response no_method() { return error(kMethodNotAllowed, "HTTP 405 Method Not Allowed"); }

Response accepted(int status, const Scheduler::Accepted& done) {
  auto response =
      json_response(status, {{"version", done.version}, {"deploymentId", done.deployment_id}});
  response.headers["Marathon-Deployment-Id"] = done.deployment_id;
  return response;
}

// "apps.tasks" of a list, "app.tasks" of one app; apps.failures is tasks and the last failure.
Embed embed_of(const Request& request, Embed embed) {
  const auto [begin, end] = request.query.equal_range("embed");
  for (auto at = begin; at != end; ++at) {
    const auto dot = at->second.find('.');
    const auto part = dot == std::string::npos ? at->second : at->second.substr(dot + 1);
    if (part == "failures") {
      embed.insert({"tasks", "lastTaskFailure"});
    } else {
      embed.insert(part);
    }
  }
  return embed;
}

class Router {
 public:
  Router(Scheduler& scheduler, const About& about, const Request& request, Now now)
      : scheduler_(scheduler), about_(about), request_(request), now_(now) {}

  Response route() {
    const auto& path = request_.path;
    if (path == "/ping") {
      return {kOk, "text/plain", request_.method == "HEAD" ? "" : "pong", {}, false};
    }
    if (path == "/metrics") return json_response(kOk, metrics_view(scheduler_, about_, now_.mono));
    if (path == "/v2/info") return json_response(kOk, info_view(scheduler_, about_));
    if (path == "/v2/leader") return leader();
    if (path == "/v2/apps") return apps();
    if (path.rfind("/v2/apps/", 0) == 0) return one_app(path.substr(9));
    if (path == "/v2/tasks") return json_response(kOk, {{"tasks", tasks_view(scheduler_, "")}});
    if (path == "/v2/tasks/delete") return delete_tasks();
    if (path == "/v2/deployments") return json_response(kOk, deployments_view(state()));
    if (path.rfind("/v2/deployments/", 0) == 0) return cancel(path.substr(16));
    if (path == "/v2/queue") return json_response(kOk, queue_view(scheduler_, now_.wall_ns));
    return error(kNotFound, "HTTP 404 Not Found");
  }

 private:
  [[nodiscard]] const State& state() const { return scheduler_.state(); }
  [[nodiscard]] bool is(const char* method) const { return request_.method == method; }
  [[nodiscard]] bool force() const { return request_.flag("force"); }

  Response leader() {
    if (is("GET")) return json_response(kOk, {{"leader", about_.address()}});
    if (!is("DELETE")) return no_method();
    auto response = json_response(kOk, {{"message", "Leadership abdicated"}});
    response.abdicates = true;
    return response;
  }

  Response apps() {
    if (is("GET")) {
      json list = json::array();
      const auto embed = embed_of(request_, {"counts", "deployments"});
      for (const auto& [id, app] : state().apps) list.push_back(app_view(scheduler_, app, embed));
      return json_response(kOk, {{"apps", list}});
    }
    if (!is("POST")) return no_method();
    const json body = json::parse(request_.body, nullptr, false);
    if (body.is_discarded()) return error(kBadRequest, "Invalid JSON");
    const auto created = scheduler_.create_app(body);
    if (!created) return refused(created.error());
    const auto id = parse_app_id(body.at("id").get<std::string>()).value_or("");
    const auto app = state().apps.find(id);
    json view = app == state().apps.end() ? json::object()
                                          : app_view(scheduler_, app->second, {"counts", "tasks"});
    view["deployments"] = json::array({{{"id", created->deployment_id}}});
    auto response = json_response(kCreated, view);
    response.headers["Location"] = "/v2/apps" + id;
    response.headers["Marathon-Deployment-Id"] = created->deployment_id;
    return response;
  }

  Response one_app(std::string rest) {
    // "a/b", "a/b/restart", "a/b/tasks", "a/b/tasks/TASK".
    if (const auto tasks = rest.rfind("/tasks/"); tasks != std::string::npos && is("DELETE")) {
      return kill(rest.substr(0, tasks), {rest.substr(tasks + 7)});
    }
    const auto ends = [&](const std::string& word) {
      if (!rest.ends_with(word)) return false;
      rest.resize(rest.size() - word.size());
      return true;
    };
    const bool tasks = ends("/tasks");
    const bool restart = !tasks && ends("/restart");
    const auto id = parse_app_id(rest);
    if (!id) return error(kNotFound, fmt::format("App '{}' does not exist", rest));
    const auto found = state().apps.find(*id);
    const bool exists = found != state().apps.end();
    if (tasks || restart || is("GET") || is("HEAD")) {
      if (!exists) return error(kNotFound, fmt::format("App '{}' does not exist", *id));
    }
    if (restart) {
      if (!is("POST")) return no_method();
      const auto done = scheduler_.restart_app(*id, force());
      return done ? accepted(kOk, *done) : refused(done.error());
    }
    if (tasks) {
      if (is("GET")) return json_response(kOk, {{"tasks", tasks_view(scheduler_, *id)}});
      if (!is("DELETE")) return no_method();
      std::vector<std::string> ids;
      for (const auto& task : tasks_view(scheduler_, *id)) ids.push_back(task.at("id"));
      return kill(*id, ids);
    }
    if (is("GET") || is("HEAD")) {
      const auto embed = embed_of(request_, {"counts", "deployments", "tasks", "lastTaskFailure"});
      return json_response(kOk, {{"app", app_view(scheduler_, found->second, embed)}});
    }
    if (is("DELETE")) {
      const auto done = scheduler_.delete_app(*id, force());
      return done ? accepted(kOk, *done) : refused(done.error());
    }
    if (!is("PUT") && !is("PATCH")) return no_method();
    const json body = json::parse(request_.body, nullptr, false);
    if (body.is_discarded()) return error(kBadRequest, "Invalid JSON");
    const auto done = scheduler_.update_app(*id, body, force());
    return done ? accepted(done->created ? kCreated : kOk, *done) : refused(done.error());
  }

  Response kill(const std::string& app, const std::vector<std::string>& ids) {
    const auto killed =
        scheduler_.kill_tasks(ids, request_.flag("scale"), request_.flag("wipe"), force());
    if (!killed) return refused(killed.error());
    if (killed->empty() && ids.size() == 1 && !app.empty()) {
      return error(kNotFound, fmt::format("Task '{}' does not exist", ids.front()));
    }
    json tasks = json::array();
    for (const auto& instance : *killed) tasks.push_back(task_json(instance));
    return json_response(kOk, {{"tasks", tasks}});
  }

  Response delete_tasks() {
    if (!is("POST")) return no_method();
    const json body = json::parse(request_.body, nullptr, false);
    const auto ids = body.is_object() ? body.find("ids") : body.end();
    const bool texts =
        !body.is_discarded() && body.is_object() && ids != body.end() && ids->is_array() &&
        std::all_of(ids->begin(), ids->end(), [](const json& id) { return id.is_string(); });
    if (!texts) return error(kBadRequest, "Invalid JSON: {\"ids\": [\"TASK\", ...]} is needed");
    return kill("", ids->get<std::vector<std::string>>());
  }

  Response cancel(const std::string& id) {
    if (!is("DELETE")) return no_method();
    const auto done = scheduler_.cancel_deployment(id, force());
    if (!done) return refused(done.error());
    if (!*done) return {202, "application/json", "", {}, false};
    return accepted(kOk, **done);
  }

  Scheduler& scheduler_;
  const About& about_;
  const Request& request_;
  Now now_;
};

int hex(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  const char low = static_cast<char>(digit | 0x20);
  return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

std::string unescape(const std::string& text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape =
        text[i] == '%' && i + 2 < text.size() && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0;
    if (escape) {
      plain += static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
      i += 2;
    } else {
      plain += text[i] == '+' ? ' ' : text[i];
    }
  }
  return plain;
}

}  // namespace

bool Request::flag(const std::string& name, bool otherwise) const {
  const auto found = query.find(name);
  return found == query.end() ? otherwise : found->second == "true";
}

Request parse_target(const std::string& method, const std::string& target, std::string body) {
  Request request{method, target, {}, std::move(body)};
  const auto mark = target.find('?');
  if (mark != std::string::npos) {
    request.path = target.substr(0, mark);
    std::size_t begin = mark + 1;
    while (begin <= target.size()) {
      const auto end = std::min(target.find('&', begin), target.size());
      const auto part = target.substr(begin, end - begin);
      const auto equals = std::min(part.find('='), part.size());
      const auto value = equals < part.size() ? part.substr(equals + 1) : std::string();
      if (!part.empty()) request.query.emplace(unescape(part.substr(0, equals)), unescape(value));
      begin = end + 1;
    }
  }
  // "/v2/apps//a" is how a client writes "/v2/apps/" + "/a".
  for (auto twice = request.path.find("//"); twice != std::string::npos;
       twice = request.path.find("//")) {
    request.path.erase(twice, 1);
  }
  while (request.path.size() > 1 && request.path.back() == '/') request.path.pop_back();
  return request;
}

Response json_response(int status, const json& body) {
  return {status, "application/json", body.dump(), {}, false};
}

Response answer(Scheduler& scheduler, const About& about, const Request& request, Now now) {
  return Router(scheduler, about, request, now).route();
}

}  // namespace zq::scheduler
