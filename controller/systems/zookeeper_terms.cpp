#include "controller/systems/zookeeper_terms.h"

#include <algorithm>

#include "controller/systems/constants.h"
#include "controller/systems/options.h"
#include "experiments/hint.h"

namespace zq {
namespace {

using namespace std::chrono_literals;

constexpr auto kInterval = 15s;
constexpr auto kTimeout = 3s;

Result<double> whole_option(const SystemSpec& system, const std::string& name, double otherwise) {
  const std::string text = option_text(system, name, "");
  if (text.empty()) return otherwise;
  const auto value = parse_whole_number(text);
  if (!value || *value <= 0) {
    return fail(ErrorCode::kInput,
                "{}: option '{}' of system '{}' is '{}'; expected a whole number above zero",
                system.position.to_string(), name, system.name, text);
  }
  return *value;
}

// The one that the option names, or the only one.
Result<const SystemSpec*> find_ensemble(const Cluster& cluster, const SystemSpec& system) {
  const std::string name = option_text(system, "zookeeper", "");
  std::vector<std::string> names;
  const SystemSpec* found = nullptr;
  for (const SystemSpec& candidate : cluster.systems) {
    if (candidate.kind != "zookeeper") continue;
    names.push_back(candidate.name);
    if (name.empty() || name == candidate.name) found = &candidate;
  }
  if (!name.empty() && found == nullptr) {
    return fail(ErrorCode::kInput,
                "{}: option 'zookeeper' of system '{}' is '{}', but the cluster has no system of "
                "kind zookeeper with that name{}",
                system.position.to_string(), system.name, name,
                nearest_hint(name, names, "known systems"));
  }
  if (name.empty() && names.size() > 1) {
    return fail(ErrorCode::kInput,
                "{}: the cluster has {} systems of kind zookeeper; say with the option 'zookeeper' "
                "of system '{}' which one it uses",
                system.position.to_string(), names.size(), system.name);
  }
  return found;
}

}  // namespace

double ZooKeeperTiming::session(double asked) const {
  return std::clamp(asked, 2 * tick, 20 * tick);
}

double ZooKeeperTiming::notice(double session) const {
  return std::max(2 * session / 3, sync + tick);
}

double ZooKeeperTiming::failover() const { return sync + tick + zookeeper::kElection + init; }

const std::vector<std::string>& ZooKeeperTerms::options() {
  static const std::vector<std::string> kOptions{"zookeeper", "zk_tick_ms", "zk_sync_limit",
                                                 "zk_init_limit"};
  return kOptions;
}

Result<ZooKeeperTerms> ZooKeeperTerms::make(const Cluster& cluster, const SystemSpec& system) {
  ZooKeeperTerms terms;
  terms.id_ = system.name + "/zookeeper-conf";
  ZQ_TRY(terms.stated_.tick, option_ms(system, "zk_tick_ms", zookeeper::kTick));
  ZQ_TRY(terms.stated_.sync_limit, whole_option(system, "zk_sync_limit", zookeeper::kSyncLimit));
  ZQ_TRY(terms.stated_.init_limit, whole_option(system, "zk_init_limit", zookeeper::kInitLimit));
  ZQ_TRY(const SystemSpec* const ensemble, find_ensemble(cluster, system));
  if (ensemble == nullptr) return terms;
  ZQ_TRY(std::vector<Place> places, places_of(cluster, *ensemble));
  for (Place& place : places) {
    ZQ_TRY(HostPort endpoint, parse_host_port(*ensemble, place.endpoint));
    terms.servers_.emplace_back(std::move(place), std::move(endpoint));
  }
  return terms;
}

std::vector<NodeProbe> ZooKeeperTerms::probes() const {
  std::vector<NodeProbe> probes;
  for (const auto& [place, endpoint] : servers_) {
    NodeProbe probe = new_probe(place, id_, kInterval, kTimeout);
    probe.probe.mutable_four_letter()->set_host(endpoint.host);
    probe.probe.mutable_four_letter()->set_port(endpoint.port);
    probe.probe.mutable_four_letter()->set_word("conf");
    probes.push_back(std::move(probe));
  }
  return probes;
}

bool ZooKeeperTerms::learn(const Answer& answer) {
  if (answer.probe != id_) return false;
  if (answer.observation.outcome() == zonequake::Observation::ANSWER) {
    if (const auto conf = parse_zookeeper_conf(answer.observation.body())) {
      confs_[answer.node] = *conf;
    }
  }
  return true;
}

std::optional<ZooKeeperTiming> ZooKeeperTerms::timing() const {
  ZooKeeperConf conf = stated_;
  if (!servers_.empty()) {
    if (confs_.empty()) return std::nullopt;
    conf = {};
    for (const auto& [node, own] : confs_) {
      conf.tick = std::max(conf.tick, own.tick);
      conf.sync_limit = std::max(conf.sync_limit, own.sync_limit);
      conf.init_limit = std::max(conf.init_limit, own.init_limit);
    }
  }
  return ZooKeeperTiming{conf.tick, conf.tick * conf.sync_limit, conf.tick * conf.init_limit,
                         servers_.empty() ? "options zk_*" : "ZooKeeper's conf"};
}

}  // namespace zq
