#include "controller/canary/canaries.h"

#include <numeric>
#include <set>

#include "controller/systems/json.h"
#include "controller/systems/placement.h"
#include "experiments/hint.h"

namespace zq {
namespace {

constexpr Nanos kRequestTimeout = std::chrono::seconds(20);  // importing an image takes its time
constexpr Nanos kCanaryTimeout = std::chrono::seconds(2);

}  // namespace

unsigned CanaryState::answering() const {
  return std::accumulate(answers.begin(), answers.end(), 0U,
                         [](unsigned sum, const auto& zone) { return sum + zone.second; });
}

Result<std::unique_ptr<Canaries>> Canaries::make(const Cluster& cluster, const Testbed* testbed,
                                                 const std::string& app, const std::string& dir,
                                                 std::stop_token stop) {
  std::vector<AppSpec> apps;
  std::vector<std::string> names;
  for (const AppSpec& spec : cluster.apps) {
    names.push_back(spec.name);
    if (app.empty() || spec.name == app) apps.push_back(spec);
  }
  if (apps.empty()) {
    return fail(ErrorCode::kInput, "{}: {}", cluster.path,
                names.empty() ? "there is no [[app]] to deploy canaries for"
                              : fmt::format("there is no [[app]] '{}'{}", app,
                                            nearest_hint(app, names, "there are")));
  }
  ZQ_TRY(AgentCalls calls, AgentCalls::connect(cluster, testbed, std::move(stop)));
  std::unique_ptr<Canaries> canaries(new Canaries(cluster, std::move(calls)));
  for (const AppSpec& spec : apps) {
    if (canaries->systems_.contains(spec.system)) continue;
    SystemSpec system = *cluster.find_system(spec.system);
    for (std::size_t at = system.endpoint.find("{dir}"); at != std::string::npos;
         at = system.endpoint.find("{dir}"))
      system.endpoint.replace(at, 5, dir);
    ZQ_CHECK(canaries->add_system(system));
  }
  canaries->apps_ = std::move(apps);
  return canaries;
}

Status Canaries::add_system(const SystemSpec& spec) {
  auto system = std::make_unique<System>();
  system->name = spec.name;
  ZQ_TRY(const std::vector<Place> places, places_of(cluster_, spec));
  for (const Place& place : places) {
    if (!cluster_.nodes[place.id].has_agent()) continue;  // nobody there could ask
    ZQ_TRY(HttpEndpoint endpoint, parse_http_endpoint(spec, place.endpoint));
    system->places.push_back(place);
    system->endpoints.push_back(std::move(endpoint));
  }
  ZQ_TRY(system->access, resolve_access(spec));
  const System* const raw = system.get();
  ZQ_TRY(system->scheduler,
         make_scheduler(cluster_, *cluster_.find_system(spec.name), system->places.size(),
                        [this, raw](std::size_t place, const zonequake::HttpProbe& request) {
                          return ask(*raw, place, request);
                        }));
  systems_[spec.name] = std::move(system);
  return {};
}

Result<SchedulerAnswer> Canaries::ask(const System& system, std::size_t place,
                                      const zonequake::HttpProbe& request) {
  NodeProbe probe =
      new_probe(system.places[place], "canary/request", kRequestTimeout, kRequestTimeout);
  zonequake::HttpProbe& http = *probe.probe.mutable_http();
  http = request;
  http.set_url(system.endpoints[place].base + request.url());
  http.set_unix_socket(system.endpoints[place].unix_socket);
  system.access.attach(http);
  ZQ_TRY(const zonequake::Observation seen, std::move(calls_.call({probe}).front()));
  if (seen.outcome() != zonequake::Observation::ANSWER) {
    return fail(ErrorCode::kUnavailable, "{} on {}: {}", system.name, system.places[place].name,
                seen.error());
  }
  return SchedulerAnswer{.status = seen.status(), .body = seen.body()};
}

Scheduler& Canaries::scheduler(const AppSpec& app) { return *systems_.at(app.system)->scheduler; }

Result<bool> Canaries::tidy() {
  bool all = true;
  for (const auto& [name, system] : systems_) {
    ZQ_TRY(const bool gone, system->scheduler->tidy());
    all = all && gone;
  }
  return all;
}

Result<CanaryState> Canaries::look(const AppSpec& app) {
  CanaryState state;
  state.app = app.name;
  state.system = app.system;
  state.asked = app.replicas;
  ZQ_TRY(state.counted, scheduler(app).count(app));
  // Wherever one may have come up.
  std::vector<NodeProbe> probes;
  for (NodeId id = 0; id < cluster_.nodes.size(); ++id) {
    if (!cluster_.nodes[id].has_agent()) continue;
    Place place;
    place.id = id;
    NodeProbe probe = new_probe(place, "canary/" + app.name, kCanaryTimeout, kCanaryTimeout);
    zonequake::CanaryProbe& canary = *probe.probe.mutable_canary();
    canary.set_host("127.0.0.1");
    canary.set_port_first(app.port_first);
    canary.set_port_last(app.port_last);
    canary.set_app(app.name);
    probes.push_back(std::move(probe));
  }
  const auto answers = calls_.call(probes);
  // On machines that share a network, one instance answers on several nodes.
  std::set<std::string> seen;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const Node& node = cluster_.nodes[probes[i].node];
    if (!answers[i]) {
      if (answers[i].error().code == ErrorCode::kCancelled)
        return tl::unexpected(answers[i].error());
      state.silent.push_back(node.name);
      continue;
    }
    if (answers[i]->outcome() != zonequake::Observation::ANSWER) continue;
    const auto found = parse_json(answers[i]->body());
    if (!found.is_array()) continue;
    for (const auto& entry : found) {
      const auto instance = json_string(entry, {"instance"});
      if (instance && seen.insert(*instance).second) ++state.answers[node.zone];
    }
  }
  return state;
}

}  // namespace zq
