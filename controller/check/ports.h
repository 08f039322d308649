// The TCP ports that a system's nodes must reach of each other. Pure.
#pragma once

#include <vector>

#include "experiments/cluster.h"

namespace zq {

struct PortToTry {
  NodeId from = 0, to = 0;
  std::uint16_t port = 0;
};

// From every node to the ports of masters, schedulers and coordinators, and from those to the ports
// of every node: linear in nodes. Ports are those of the endpoints in the cluster file and the
// well-known ones of each kind (DC/OS, "Configuring network ports"; Docker, "Getting started with
// swarm mode"; ZooKeeper's and etcd's peers). `from` has an agent.
[[nodiscard]] std::vector<PortToTry> ports_to_try(const Cluster& cluster);

}  // namespace zq
