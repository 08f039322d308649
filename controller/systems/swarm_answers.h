// Bodies of the Docker Engine API (1.41), as far as the swarm adapter reads them. Every parser
// returns nothing when the body is not what it should be: then the answer says nothing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/base/ip.h"

namespace zq {

struct SwarmMember {
  std::string id, hostname;
  std::vector<IpAddress> addresses;
  std::optional<bool> healthy;  // nothing: the manager itself says "unknown"
  bool leader = false;
};
std::optional<std::vector<SwarmMember>> parse_swarm_nodes(const std::string& body);

struct SwarmTask {
  std::string service_id;
  std::string node_id;  // empty: not placed yet
  std::string state;
};
std::optional<std::vector<SwarmTask>> parse_swarm_tasks(const std::string& body);

struct SwarmService {
  std::string id, name;
  std::optional<double> restart_delay, stop_grace;  // seconds; nothing: swarmkit's default
};
std::optional<std::vector<SwarmService>> parse_swarm_services(const std::string& body);

// Of /info, which holds the cluster's spec without the join tokens that /swarm would reveal.
struct SwarmInfo {
  std::string version;
  // The cluster's timers. Nothing while the node reports an error: the spec is all zeros then,
  // although ControlAvailable stays true.
  struct Spec {
    std::optional<double> heartbeat, election_tick;  // seconds, ticks; nothing: the default
  };
  std::optional<Spec> spec;
};
std::optional<SwarmInfo> parse_swarm_info(const std::string& body);

struct SwarmContainer {
  std::string service;  // name
  std::string state;
};
std::optional<std::vector<SwarmContainer>> parse_swarm_containers(const std::string& body);

}  // namespace zq
