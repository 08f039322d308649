#include <algorithm>

#include "controller/systems/constants.h"
#include "controller/systems/kinds.h"
#include "controller/systems/marathon_adapter.h"
#include "controller/systems/mesos_answers.h"
#include "controller/systems/options.h"
#include "experiments/hint.h"

namespace zq {
namespace {

using namespace std::chrono_literals;

constexpr auto kLeaderInterval = 500ms;
constexpr auto kStateInterval = 1s;
constexpr auto kQueueInterval = 2s;
constexpr auto kWriteInterval = 5s;  // each one is a new version of the group in ZooKeeper
constexpr auto kFactsInterval = 30s;
constexpr auto kConfigInterval = 10s;
constexpr auto kTimeout = 2s;
constexpr auto kWriteTimeout = 5s;
constexpr auto kStreamSilence = 60s;

// Labels of apps that mean something to checks.
constexpr const char* kFrameworkLabel = "DCOS_PACKAGE_FRAMEWORK_NAME";
constexpr const char* kIoLabel = "ZONEQUAKE_IO_INTENSIVE";  // "true"

std::uint32_t to_ms(Nanos time) {
  return static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
}

// Where the port of an URL is asked by TCP.
zonequake::TcpProbe tcp_of(const std::string& base) {
  zonequake::TcpProbe tcp;
  tcp.set_host(host_of_address(base));
  tcp.set_port(base.starts_with("https:") ? 443 : 80);
  const auto host = base.find("://") + 3;
  const auto bracket = base[host] == '[' ? base.find(']', host) : host;
  const auto colon = base.find_first_of(":/", bracket);
  if (colon != std::string::npos && base[colon] == ':') {
    tcp.set_port(static_cast<std::uint32_t>(std::strtoul(base.c_str() + colon + 1, nullptr, 10)));
  }
  return tcp;
}

// The system of kind mesos that the option names, or the only one; null if there is none.
Result<const SystemSpec*> find_mesos(const Cluster& cluster, const SystemSpec& system) {
  const std::string name = option_text(system, "mesos", "");
  const SystemSpec* found = nullptr;
  std::vector<std::string> names;
  for (const SystemSpec& candidate : cluster.systems) {
    if (candidate.kind != "mesos") continue;
    names.push_back(candidate.name);
    if (name.empty() || name == candidate.name) found = &candidate;
  }
  if (!name.empty() && found == nullptr) {
    return fail(ErrorCode::kInput,
                "{}: option 'mesos' of system '{}' is '{}', but the cluster has no system of kind "
                "mesos with that name{}",
                system.position.to_string(), system.name, name,
                nearest_hint(name, names, "known systems"));
  }
  if (name.empty() && names.size() > 1) {
    return fail(ErrorCode::kInput,
                "{}: the cluster has {} systems of kind mesos; say with the option 'mesos' of "
                "system '{}' which one it runs apps on",
                system.position.to_string(), names.size(), system.name);
  }
  return found;
}

Result<MarathonGround> find_ground(const Cluster& cluster, const SystemSpec& system) {
  MarathonGround ground;
  ground.places = node_places(cluster, system);
  ZQ_TRY(const SystemSpec* const mesos, find_mesos(cluster, system));
  if (mesos != nullptr) {
    for (Place& place : node_places(cluster, *mesos)) {
      if (place.has_role("agent")) ground.places.push_back(std::move(place));
    }
  }
  ZQ_TRY(ground.zookeeper, ZooKeeperTerms::make(cluster, system));
  ZQ_TRY(ground.agent_ping, option_ms(system, "agent_ping_ms", mesos::kAgentPing));
  ZQ_TRY(ground.elected_prepare,
         option_ms(system, "elected_prepare_ms", marathon::kElectedPrepare));
  // A node may be both.
  std::vector<Place> nodes;
  for (const Place& place : ground.places) {
    if (std::ranges::find(nodes, place.id, &Place::id) == nodes.end()) nodes.push_back(place);
  }
  ground.tcp = TcpTerms(system.name, std::move(nodes));
  return ground;
}

}  // namespace

MarathonAdapter::MarathonAdapter(const Cluster& cluster, const SystemSpec& system,
                                 std::vector<Place> places, std::vector<HttpEndpoint> endpoints,
                                 MarathonGround ground, bool accepts)
    : system_(system.name),
      places_(std::move(places)),
      endpoints_(std::move(endpoints)),
      ground_(std::move(ground)),
      accepts_(accepts),
      apps_(AppNames::of_scheduler(cluster, system)),
      schedulers_(places_),
      hosts_(ground_.places) {
  for (const Place& place : ground_.places) {
    if (place.has_role("agent")) app_zones_.insert(place.zone);
  }
}

std::vector<NodeProbe> MarathonAdapter::probes() const {
  std::vector<NodeProbe> probes = ground_.zookeeper.probes();
  for (NodeProbe& probe : ground_.tcp.probes()) probes.push_back(std::move(probe));
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const std::string& base = endpoints_[i].base;
    const auto request = [&](zonequake::HttpProbe& http, const std::string& path) {
      http.set_url(base + path);
      http.set_unix_socket(endpoints_[i].unix_socket);
      (*http.mutable_headers())["Accept"] = "application/json";  // /v2/tasks is text otherwise
      http.add_want_headers("X-Marathon-Via");
    };
    const auto get = [&](const std::string& what, const std::string& path, Nanos interval) {
      probes.push_back(new_probe(places_[i], system_ + "/" + what, interval, kTimeout));
      request(*probes.back().probe.mutable_http(), path);
    };
    probes.push_back(new_probe(places_[i], system_ + "/port", kLeaderInterval, kTimeout));
    *probes.back().probe.mutable_tcp() = tcp_of(base);
    get("leader", "/v2/leader", kLeaderInterval);
    get("info", "/v2/info", kConfigInterval);
    get("apps", "/v2/apps?embed=apps.tasks", kFactsInterval);
    get("queue", "/v2/queue", kQueueInterval);
    get("deployments", "/v2/deployments", kQueueInterval);
    for (std::size_t app = 0; app < apps_.apps().size(); ++app) {
      get("app/" + apps_.apps()[app], "/v2/apps" + apps_.paths()[app] + "?embed=app.tasks",
          kStateInterval);
    }
    probes.push_back(new_probe(places_[i], system_ + "/events", kStateInterval, kTimeout));
    zonequake::StreamProbe& stream = *probes.back().probe.mutable_stream();
    request(*stream.mutable_request(),
            "/v2/events?event_type=instance_changed_event&event_type=event_stream_attached");
    (*stream.mutable_request()->mutable_headers())["Accept"] = "text/event-stream";
    stream.set_framing(zonequake::StreamProbe::SERVER_SENT);
    stream.set_silence_ms(to_ms(kStreamSilence));
    if (!accepts_ || apps_.apps().empty()) continue;
    get("accepts", "/v2/apps" + apps_.paths().front(), kWriteInterval);
    NodeProbe& write = probes.back();
    write.probe.set_timeout_ms(to_ms(kWriteTimeout));
    write.probe.mutable_http()->set_method("PUT");
    write.probe.mutable_http()->set_body(fmt::format(R"({{"id":"{}"}})", apps_.paths().front()));
    (*write.probe.mutable_http()->mutable_headers())["Content-Type"] = "application/json";
  }
  return probes;
}

std::map<std::string, Adapter::Timer> MarathonAdapter::timers() const {
  MarathonTiming timing;
  timing.info = info_;
  timing.zookeeper = ground_.zookeeper.timing();
  timing.rto_max = ground_.tcp.rto_max();
  timing.agent_ping = ground_.agent_ping;
  timing.elected_prepare = ground_.elected_prepare;
  for (const auto& [name, app] : watched_) {
    if (app) timing.apps.push_back(*app);
  }
  return marathon_timers(timing);
}

bool MarathonAdapter::ready() const {
  return ground_.zookeeper.timing() && ground_.tcp.rto_max() && info_ &&
         watched_.size() == apps_.apps().size() &&
         // How many instances an app is to have is in motion while it is deployed.
         std::ranges::none_of(
             apps_.paths(), [this](const std::string& path) { return deploying_.contains(path); });
}

std::string MarathonAdapter::version() const {
  return fmt::format("{}", fmt::join(versions_, ", "));
}

void MarathonAdapter::add_facts(Facts& facts) const {
  for (const Place& place : places_) {
    SchedulerFacts scheduler;
    scheduler.system = system_;
    scheduler.name = system_;
    scheduler.where = place.name;
    scheduler.node = place.id;
    scheduler.leads = leader() == place.id;
    if (info_ && scheduler.leads) {
      scheduler.checkpoint = info_->checkpoint;
      scheduler.failover_timeout_s = info_->failover_timeout;
    }
    facts.schedulers.push_back(std::move(scheduler));
  }
  add_apps(facts);
  for (const auto& [name, timer] : timers()) facts.timers[{system_, name}] = timer.seconds;
}

void MarathonAdapter::add_apps(Facts& facts) const {
  if (!all_) {
    facts.missing.push_back(fmt::format("{}: no leader told of its apps", system_));
    return;
  }
  for (const MarathonApp& app : *all_) {
    AppFacts told;
    told.system = system_;
    told.id = app.path;
    told.instances = app.instances;
    told.each = app.each;
    told.constraints = app.constraints;
    told.local_volumes = app.local_volumes;
    told.reschedules = app.unreachable.has_value();
    const auto io = app.labels.find(kIoLabel);
    told.io_intensive = io != app.labels.end() && io->second == "true";
    const auto framework = app.labels.find(kFrameworkLabel);
    if (framework != app.labels.end()) told.framework = framework->second;
    for (const MarathonTask& task : app.tasks) {
      if (task.state == "running") told.running_on.push_back(task.agent);
      told.addresses.insert(told.addresses.end(), task.addresses.begin(), task.addresses.end());
    }
    facts.apps.push_back(std::move(told));
  }
}

Result<std::unique_ptr<Adapter>> make_marathon_adapter(const Cluster& cluster,
                                                       const SystemSpec& system) {
  std::vector<std::string> known = ZooKeeperTerms::options();
  known.insert(known.end(), {"group", "accepts", "mesos", "agent_ping_ms", "elected_prepare_ms"});
  ZQ_CHECK(check_options(system, known));
  ZQ_TRY(const bool accepts, option_bool(system, "accepts", true));
  ZQ_TRY(std::vector<Place> places, places_of(cluster, system));
  std::vector<HttpEndpoint> endpoints;
  for (const Place& place : places) {
    ZQ_TRY(HttpEndpoint endpoint, parse_http_endpoint(system, place.endpoint));
    if (!endpoint.unix_socket.empty()) {
      return fail(ErrorCode::kInput,
                  "{}: Marathon listens on no unix socket; the endpoint of system '{}' is '{}'",
                  system.position.to_string(), system.name, place.endpoint);
    }
    endpoints.push_back(std::move(endpoint));
  }
  ZQ_TRY(MarathonGround ground, find_ground(cluster, system));
  return std::make_unique<MarathonAdapter>(cluster, system, std::move(places), std::move(endpoints),
                                           std::move(ground), accepts);
}

}  // namespace zq
