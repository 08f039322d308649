#include "controller/systems/adapter.h"

#include "controller/systems/kinds.h"
#include "experiments/hint.h"

namespace zq {
namespace {

using Factory = Result<std::unique_ptr<Adapter>> (*)(const Cluster&, const SystemSpec&);

const std::map<std::string, Factory>& factories() {
  static const std::map<std::string, Factory> kFactories{
      {"etcd", make_etcd_adapter},
      {"marathon", make_marathon_adapter},
      {"mesos", make_mesos_adapter},
      {"pacemaker", make_pacemaker_adapter},
      {"redis-sentinel", make_redis_sentinel_adapter},
      {"swarm", make_swarm_adapter},
      {"zookeeper", make_zookeeper_adapter}};
  return kFactories;
}

}  // namespace

Nanos NodeProbe::stale_after() const {
  const auto or_default = [](std::uint32_t milliseconds) {
    return std::chrono::milliseconds(milliseconds == 0 ? 1000U : milliseconds);
  };
  return 3 * or_default(probe.interval_ms()) + or_default(probe.timeout_ms());
}

std::vector<std::string> adapter_kinds() {
  std::vector<std::string> kinds;
  for (const auto& [kind, factory] : factories()) kinds.push_back(kind);
  return kinds;
}

Result<std::unique_ptr<Adapter>> make_adapter(const Cluster& cluster, const SystemSpec& system) {
  const auto found = factories().find(system.kind);
  if (found == factories().end()) {
    return fail(ErrorCode::kInput, "{}: unknown kind '{}' of system '{}'{}",
                system.position.to_string(), system.kind, system.name,
                nearest_hint(system.kind, adapter_kinds(), "known kinds"));
  }
  return found->second(cluster, system);
}

}  // namespace zq
