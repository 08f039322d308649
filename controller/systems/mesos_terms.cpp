#include "controller/systems/mesos_terms.h"

#include <algorithm>

#include "controller/systems/constants.h"
#include "controller/systems/options.h"

namespace zq {
namespace {

using namespace std::chrono_literals;
using Outcome = zonequake::Observation;

constexpr auto kMasterInterval = 10s;
constexpr auto kNodeInterval = 30s;  // of what changes with a restart only
constexpr auto kTimeout = 3s;

constexpr const char* kMasterFlags = "master-flags";
constexpr const char* kAgentFlags = "agent-flags";

// The largest over all nodes, each with the program's default where it does not tell.
double largest(const std::map<NodeId, MesosFlags>& nodes, double otherwise,
               std::initializer_list<const char*> names) {
  double result = 0;
  for (const auto& [node, flags] : nodes) {
    result = std::max(result, flags.seconds(names).value_or(otherwise));
  }
  return nodes.empty() ? otherwise : result;
}

double spacing_of(const MesosFlags& flags) {
  for (const char* const name : {"agent_removal_rate_limit", "slave_removal_rate_limit"}) {
    if (const auto found = flags.all.find(name); found != flags.all.end()) {
      return parse_mesos_spacing(found->second).value_or(0);
    }
  }
  return 0;
}

}  // namespace

double MesosTiming::exit() const { return zookeeper.notice(session) + session; }

double MesosTiming::elect() const {
  return zookeeper.failover() + session + zookeeper.tick + 2 * kRoundTrip;
}

double MesosTiming::rejoin() const { return mesos::kRegistrationPause + rto_max + ping; }

Result<std::vector<MesosPlace>> mesos_places(const Cluster& cluster, const SystemSpec& system) {
  ZQ_TRY(std::vector<Place> masters, places_of(cluster, system));
  SystemSpec agents_spec = system;
  agents_spec.endpoint = option_text(system, "agent_endpoint", "http://{ip}:5051");
  ZQ_TRY(std::vector<Place> agents, places_of(cluster, agents_spec));
  std::vector<MesosPlace> places;
  for (std::size_t i = 0; i < masters.size(); ++i) {
    MesosPlace place;
    ZQ_TRY(place.master, parse_http_endpoint(system, masters[i].endpoint));
    ZQ_TRY(place.agent, parse_http_endpoint(agents_spec, agents[i].endpoint));
    place.place = std::move(masters[i]);
    places.push_back(std::move(place));
  }
  return places;
}

Result<MesosTerms> MesosTerms::make(const Cluster& cluster, const SystemSpec& system) {
  MesosTerms terms;
  terms.prefix_ = system.name + "/";
  ZQ_TRY(terms.places_, mesos_places(cluster, system));
  ZQ_TRY(terms.zookeeper_, ZooKeeperTerms::make(cluster, system));
  terms.tcp_ = TcpTerms(system.name, node_places(cluster, system));
  std::map<std::string, unsigned> zones;
  for (const MesosPlace& place : terms.places_) {
    if (place.place.has_role("master")) ++terms.master_count_;
    if (!place.place.has_role("agent")) continue;
    ++terms.agent_count_;
    terms.largest_zone_ = std::max(terms.largest_zone_, ++zones[place.place.zone]);
  }
  return terms;
}

std::vector<NodeProbe> MesosTerms::probes() const {
  std::vector<NodeProbe> probes = zookeeper_.probes();
  for (NodeProbe& probe : tcp_.probes()) probes.push_back(std::move(probe));
  for (const MesosPlace& place : places_) {
    const auto flags = [&](const char* what, const HttpEndpoint& endpoint, Nanos interval) {
      NodeProbe probe = new_probe(place.place, prefix_ + what, interval, kTimeout);
      probe.probe.mutable_http()->set_url(endpoint.base + "/flags");
      probe.probe.mutable_http()->set_unix_socket(endpoint.unix_socket);
      probes.push_back(std::move(probe));
    };
    if (place.place.has_role("master")) flags(kMasterFlags, place.master, kMasterInterval);
    if (place.place.has_role("agent")) flags(kAgentFlags, place.agent, kNodeInterval);
  }
  return probes;
}

bool MesosTerms::learn(const Answer& answer) {
  if (zookeeper_.learn(answer) || tcp_.learn(answer)) return true;
  if (!answer.probe.starts_with(prefix_)) return false;
  const std::string what = answer.probe.substr(prefix_.size());
  const bool answered = answer.observation.outcome() == Outcome::ANSWER;
  if (what != kMasterFlags && what != kAgentFlags) return false;
  if (answered && answer.observation.status() == 200) {
    if (auto flags = parse_mesos_flags(answer.observation.body())) {
      (what == kMasterFlags ? masters_ : agents_)[answer.node] = std::move(*flags);
    }
  }
  return true;
}

std::optional<MesosTiming> MesosTerms::timing() const {
  const auto zookeeper = zookeeper_.timing();
  const auto rto_max = tcp_.rto_max();
  if (!zookeeper || !rto_max || 2 * masters_.size() <= master_count_ ||
      (agents_.empty() && agent_count_ > 0)) {
    return std::nullopt;
  }
  MesosTiming timing;
  timing.zookeeper = *zookeeper;
  timing.ping = largest(masters_, mesos::kAgentPing, {"agent_ping_timeout", "slave_ping_timeout"});
  for (const auto& [node, flags] : masters_) {
    timing.pings =
        std::max(timing.pings, flags.number({"max_agent_ping_timeouts", "max_slave_ping_timeouts"})
                                   .value_or(mesos::kAgentPings));
    timing.spacing = std::max(timing.spacing, spacing_of(flags));
  }
  timing.reregister = largest(masters_, mesos::kAgentReregister,
                              {"agent_reregister_timeout", "slave_reregister_timeout"});
  timing.store = largest(masters_, mesos::kRegistryStore, {"registry_store_timeout"});
  timing.fetch = largest(masters_, mesos::kRegistryFetch, {"registry_fetch_timeout"});
  timing.session =
      zookeeper->session(std::max(largest(masters_, mesos::kZkSession, {"zk_session_timeout"}),
                                  largest(agents_, mesos::kZkSession, {"zk_session_timeout"})));
  timing.backoff = largest(agents_, mesos::kRegistrationBackoff, {"registration_backoff_factor"});
  timing.rto_max = *rto_max;
  timing.largest_zone = largest_zone_;
  return timing;
}

}  // namespace zq
