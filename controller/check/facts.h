// What the checks of the page's recommendations look at: the inventory that the systems themselves
// report, gathered by the adapters (Adapter::add_facts) and by the fleet. Everything is optional:
// what nobody told is absent, and a check that needs it says so instead of guessing.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/base/ip.h"
#include "experiments/cluster.h"

namespace zq {

// Scalar resources of an agent or task: cores, MiB, MiB, devices, number of ports.
struct Resources {
  double cpus = 0, memory_mib = 0, disk_mib = 0, gpus = 0, ports = 0;
};

// A member that runs apps, as its master knows it.
struct MemberFacts {
  std::string system;
  std::string id;              // the system's own
  std::optional<NodeId> node;  // none: the cluster file does not know it
  std::string hostname;
  std::map<std::string, std::string> attributes;  // labels, in Swarm
  std::optional<std::string> zone, region;        // of the system's own fault domain
  bool active = true;
  std::vector<IpAddress> advertised;  // where it says that it is reached
  std::optional<Resources> total;
  std::optional<Resources> unused;  // not taken, not reserved for others
};

// A master, or voter of a coordinator, as it tells about itself.
struct VoterFacts {
  std::string system;
  NodeId node = 0;
  std::optional<std::string> zone, region;  // of its own fault domain
  std::optional<unsigned> quorum;           // as configured
  std::vector<IpAddress> advertised;        // where it says that it is reached
};

// A scheduler, or a framework that is registered with a master.
struct SchedulerFacts {
  std::string system;          // that told
  std::string name;            // "marathon"
  std::string where;           // host name or address as reported
  std::optional<NodeId> node;  // none: it is not one of the cluster's
  bool leads = true;           // false: a candidate that waits
  std::optional<bool> checkpoint, partition_aware, region_aware;
  std::optional<double> failover_timeout_s;
};

struct PlacementConstraint {
  std::string field;  // "@zone", "hostname", an attribute
  std::string op;  // "IS", "IS_NOT", "CLUSTER", "LIKE", "UNLIKE", "UNIQUE", "GROUP_BY", "MAX_PER"
  std::string value;  // may be empty
};

// An app as its scheduler is told to run it, and where it runs.
struct AppFacts {
  std::string system;
  std::string id;
  unsigned instances = 0;
  Resources each;
  std::vector<PlacementConstraint> constraints;
  bool local_volumes = false;  // persistent volumes or bind mounts of the node's own files
  // With local volumes: it waits for them. False where a copy elsewhere starts without their data.
  bool bound_to_volumes = true;
  bool reschedules = true;    // false: unreachableStrategy "disabled", restart condition "none"
  bool io_intensive = false;  // labelled so
  std::string framework;      // of a scheduler that is itself an app; empty = an app
  std::vector<std::string> running_on;  // MemberFacts::id, one entry per instance
  std::vector<IpAddress> addresses;     // of its instances, when they have their own
};

// A path between two nodes, measured by their agents.
struct PathFacts {
  NodeId from = 0, to = 0;
  std::string address;
  std::uint64_t sent = 0, received = 0;  // received: answers to what was sent
  std::optional<double> rtt_p50_ms, rtt_p99_ms;
  std::optional<double> throughput_mbps;
};

// One TCP port of a system on a node, tried from another node.
struct PortFacts {
  NodeId from = 0, to = 0;
  std::uint16_t port = 0;
  bool connects = false;
  bool refused = false;  // the node itself answered that nobody listens: it is routable
  std::string error;
};

struct Facts {
  std::vector<MemberFacts> members;
  std::vector<VoterFacts> voters;
  std::vector<SchedulerFacts> schedulers;
  std::vector<AppFacts> apps;
  std::vector<PathFacts> paths;
  std::vector<PortFacts> ports;
  // (system, name) -> seconds: ping timeouts, session timeouts, tick times.
  std::map<std::pair<std::string, std::string>, double> timers;
  std::map<NodeId, double> clock_offset_s;       // of the wall clock: node minus controller
  std::map<std::string, double> snapshot_bytes;  // of a coordinator, by system
  std::map<NodeId, std::string> unchecked;       // nodes that nothing was asked from, and why
  // What could not be asked, for people: "marathon: no leader answered".
  std::vector<std::string> missing;
};

}  // namespace zq
