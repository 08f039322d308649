// The timers of a Mesos cluster, gathered from its masters' and agents' /flags, from ZooKeeper and
// from the nodes' TCP.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controller/systems/adapter.h"
#include "controller/systems/endpoint.h"
#include "controller/systems/mesos_answers.h"
#include "controller/systems/placement.h"
#include "controller/systems/tcp_terms.h"
#include "controller/systems/zookeeper_terms.h"

namespace zq {

// In seconds, except where it says otherwise; the largest that any master or agent has.
struct MesosTiming {
  double ping = 0;              // T, --agent_ping_timeout
  double pings = 0;             // N, --max_agent_ping_timeouts: a number
  double reregister = 0;        // RR, --agent_reregister_timeout
  double spacing = 0;           // L, of --agent_removal_rate_limit; 0 = no limit
  double store = 0, fetch = 0;  // RS, RF: --registry_store_timeout, --registry_fetch_timeout
  double session = 0;           // S, --zk_session_timeout as ZooKeeper grants it
  double backoff = 0;           // --registration_backoff_factor of agents
  double rto_max = 0;           // TCP's longest pause between retransmissions
  unsigned largest_zone = 0;    // K, agents of the zone that has the most: a number
  ZooKeeperTiming zookeeper;

  // From the cut until an isolated leader has exited, and until the majority has another one that
  // serves; from the heal until every agent is back. Without the time until we see it.
  [[nodiscard]] double exit() const;
  [[nodiscard]] double elect() const;
  [[nodiscard]] double rejoin() const;
};

// Of a node of the system `mesos`: where its master and its agent answer.
struct MesosPlace {
  Place place;
  HttpEndpoint master, agent;
};
// Masters at the system's endpoint, agents at its option agent_endpoint.
Result<std::vector<MesosPlace>> mesos_places(const Cluster& cluster, const SystemSpec& system);

class MesosTerms {
 public:
  // Options that ZooKeeperTerms reads, too.
  static Result<MesosTerms> make(const Cluster& cluster, const SystemSpec& system);

  [[nodiscard]] std::vector<NodeProbe> probes() const;
  // True when the answer was to a probe of these.
  bool learn(const Answer& answer);
  // Nothing before masters, agents, ZooKeeper and the nodes have told; a majority of masters and
  // one of the others is enough.
  [[nodiscard]] std::optional<MesosTiming> timing() const;
  [[nodiscard]] const std::map<NodeId, MesosFlags>& master_flags() const { return masters_; }

 private:
  std::string prefix_;
  std::vector<MesosPlace> places_;
  std::size_t master_count_ = 0, agent_count_ = 0;
  unsigned largest_zone_ = 0;
  ZooKeeperTerms zookeeper_;
  TcpTerms tcp_;
  std::map<NodeId, MesosFlags> masters_, agents_;
};

}  // namespace zq
