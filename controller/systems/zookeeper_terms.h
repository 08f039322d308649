// The timers of the ZooKeeper ensemble that a system elects its leader through, for bounds that are
// made of them. From the `conf` of the cluster's own system of kind zookeeper where there is one,
// else from options of the system that needs them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controller/systems/adapter.h"
#include "controller/systems/endpoint.h"
#include "controller/systems/placement.h"
#include "controller/systems/zookeeper_answers.h"

namespace zq {

struct ZooKeeperTiming {
  double tick = 0, sync = 0, init = 0;  // seconds: tickTime, syncLimit x tickTime, ...
  std::string source;                   // for derivations

  // What the servers make of a session time-out that a client asks for: 2 to 20 ticks.
  [[nodiscard]] double session(double asked) const;
  // The longest until a client whose leader or own server is across the cut has noticed.
  [[nodiscard]] double notice(double session) const;
  // From the cut until a majority without its former leader serves clients again.
  [[nodiscard]] double failover() const;
};

class ZooKeeperTerms {
 public:
  // Options of `system`, with which kinds.h documents them: zookeeper, zk_tick_ms, zk_sync_limit,
  // zk_init_limit. kInput when they are unreadable or name no system.
  static Result<ZooKeeperTerms> make(const Cluster& cluster, const SystemSpec& system);
  static const std::vector<std::string>& options();

  [[nodiscard]] std::vector<NodeProbe> probes() const;
  // True when the answer was to a probe of these.
  bool learn(const Answer& answer);
  // Nothing before a server has told.
  [[nodiscard]] std::optional<ZooKeeperTiming> timing() const;

 private:
  std::string id_;  // of the probe
  std::vector<std::pair<Place, HostPort>> servers_;
  ZooKeeperConf stated_;  // by options
  std::map<NodeId, ZooKeeperConf> confs_;
};

}  // namespace zq
