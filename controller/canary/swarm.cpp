// Docker Swarm over the Engine's interface: a service over any manager, and the image on every
// node.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "controller/canary/link_image.h"
#include "controller/canary/scheduler.h"
#include "controller/systems/json.h"

namespace zq {
namespace {

using nlohmann::json;

constexpr const char* kImage = "zonequake/canary:deployed";
constexpr const char* kImport =
    "/images/create?fromSrc=-&repo=zonequake%2Fcanary&tag=deployed"
    "&changes=LABEL%20zonequake%3Dcanary";
constexpr std::int64_t kStopGraceNs = 2'000'000'000;
constexpr std::int64_t kRestartDelayNs = 500'000'000;

class SwarmScheduler final : public Scheduler {
 public:
  SwarmScheduler(std::size_t places, AskScheduler ask) : places_(places), ask_(std::move(ask)) {}

  Result<std::string> deploy(const AppSpec& app, const DeployOptions& options) override {
    ZQ_TRY(const auto before, find(app));
    if (options.image.empty()) ZQ_CHECK(import_everywhere());
    const std::string body = service_of(app, options).dump();
    std::string path = "/services/create";
    if (before) {
      path = fmt::format("/services/{}/update?version={:.0f}",
                         json_string(*before, {"ID"}).value_or(""),
                         json_number(*before, {"Version", "Index"}).value_or(0));
    }
    ZQ_TRY(const SchedulerAnswer answer,
           ask_any(ask_, places_, scheduler_request("POST", path, body)));
    if (answer.status != 200 && answer.status != 201)
      return unexpected_answer("POST " + path, answer);
    return std::string();
  }

  Result<bool> remove(const AppSpec& app) override {
    ZQ_TRY(const auto before, find(app));
    if (before) {
      const std::string path = "/services/" + json_string(*before, {"ID"}).value_or("");
      ZQ_TRY(const SchedulerAnswer answer,
             ask_any(ask_, places_, scheduler_request("DELETE", path)));
      if (answer.status != 200 && answer.status != 404)
        return unexpected_answer("DELETE " + path, answer);
    }
    return before.has_value();
  }

  Result<std::optional<SchedulerCount>> count(const AppSpec& app) override {
    ZQ_TRY(const auto found, find(app));
    if (!found) return std::optional<SchedulerCount>();
    SchedulerCount count;
    count.wanted = static_cast<unsigned>(
        json_number(*found, {"Spec", "Mode", "Replicated", "Replicas"}).value_or(0));
    const std::string filter = json{
        {"service", json::array({app.name})},
        {"desired-state",
         json::array({"running"})}}.dump();
    ZQ_TRY(const SchedulerAnswer answer,
           ask_any(ask_, places_, scheduler_request("GET", "/tasks?filters=" + escaped(filter))));
    const json tasks = parse_json(answer.body);
    if (answer.status != 200 || !tasks.is_array()) return unexpected_answer("GET /tasks", answer);
    for (const json& task : tasks)
      count.running += json_string(task, {"Status", "State"}) == "running" ? 1U : 0U;
    return std::optional<SchedulerCount>(count);
  }

  Result<bool> tidy() override {
    const std::string image = std::string("/images/") + kImage;
    bool gone = true;
    for (std::size_t place = 0; place < places_; ++place) {
      ZQ_TRY(const SchedulerAnswer there, ask_(place, scheduler_request("GET", image + "/json")));
      const json root = parse_json(there.body);
      if (there.status != 200 ||
          json_string(root, {"Config", "Labels", kCanaryLabel}) != kCanaryLabelValue)
        continue;
      ZQ_TRY(const SchedulerAnswer removed, ask_(place, scheduler_request("DELETE", image)));
      gone = gone && (removed.status == 200 || removed.status == 404);
    }
    return gone;
  }

 private:
  // JSON in a query; what it holds here are names of the cluster file.
  static std::string escaped(const std::string& text) {
    std::string result;
    for (const char c : text) {
      if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.' || c == '_')
        result += c;
      else
        result += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return result;
  }

  // The service as Swarm has it; nothing when there is none; kExists when it is not ours.
  Result<std::optional<json>> find(const AppSpec& app) const {
    const std::string filter = json{{"name", json::array({app.name})}}.dump();
    ZQ_TRY(
        const SchedulerAnswer answer,
        ask_any(ask_, places_, scheduler_request("GET", "/services?filters=" + escaped(filter))));
    const json services = parse_json(answer.body);
    if (answer.status != 200 || !services.is_array())
      return unexpected_answer("GET /services", answer);
    for (const json& service : services) {
      // The filter is for beginnings of names.
      if (json_string(service, {"Spec", "Name"}) != app.name) continue;
      if (json_string(service, {"Spec", "Labels", kCanaryLabel}) != kCanaryLabelValue)
        return not_ours(app, app.name);
      return std::optional<json>(service);
    }
    return std::optional<json>();
  }

  // On every node: a registry may be out of reach, and tasks run anywhere.
  Status import_everywhere() const {
    for (std::size_t place = 0; place < places_; ++place) {
      ZQ_TRY(const SchedulerAnswer there,
             ask_(place, scheduler_request("GET", std::string("/images/") + kImage + "/json")));
      if (there.status == 200) continue;
      zonequake::HttpProbe import = scheduler_request("POST", kImport, link_image());
      (*import.mutable_headers())["Content-Type"] = "application/x-tar";
      ZQ_TRY(const SchedulerAnswer made, ask_(place, import));
      if (made.status != 200 || made.body.find("\"error\"") != std::string::npos)
        return unexpected_answer("importing the canary's image", made);
    }
    return {};
  }

  static json service_of(const AppSpec& app, const DeployOptions& options) {
    const std::size_t slash = options.agent_path.rfind('/');
    const std::string folder = options.agent_path.substr(0, slash);
    const auto mount = [](const std::string& source, const char* target) {
      json one;
      one["Type"] = "bind";
      one["Source"] = source;
      one["Target"] = target;
      one["ReadOnly"] = true;
      return one;
    };
    json container;
    container["Image"] = options.image.empty() ? kImage : options.image;
    container["Command"] = json::array({"/zonequake" + options.agent_path.substr(slash)});
    container["Args"] = {"canary",
                         "--app",
                         app.name,
                         "--port-first",
                         std::to_string(app.port_first),
                         "--port-last",
                         std::to_string(app.port_last)};
    container["Env"] = json::array({"ZQ_INSTANCE={{.Task.ID}}"});
    container["Mounts"] =
        json::array({mount("/usr", "/usr"), mount(folder.empty() ? "/" : folder, "/zonequake")});
    container["StopGracePeriod"] = kStopGraceNs;
    json service;
    service["Name"] = app.name;
    service["Labels"][kCanaryLabel] = kCanaryLabelValue;
    service["Mode"]["Replicated"]["Replicas"] = app.replicas;
    json& task = service["TaskTemplate"];
    task["ContainerSpec"] = std::move(container);
    task["RestartPolicy"]["Condition"] = "any";
    task["RestartPolicy"]["Delay"] = kRestartDelayNs;
    task["Placement"]["Preferences"][0]["Spread"]["SpreadDescriptor"] = "node.labels.zone";
    task["Networks"][0]["Target"] = "host";
    return service;
  }

  std::size_t places_;
  AskScheduler ask_;
};

}  // namespace

std::unique_ptr<Scheduler> make_swarm_scheduler(std::size_t places, AskScheduler ask) {
  return std::make_unique<SwarmScheduler>(places, std::move(ask));
}

}  // namespace zq
