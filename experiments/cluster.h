// A cluster file: what is under test. Regions > zones > nodes, the systems that run on the nodes,
// the apps that are watched, and, for clusters on this machine, the testbed's recipe.
//
//   name = "swarm-3z"
//   [[region]]                          # one or more; names are lower-case letters, digits, '-'
//   name = "r1"
//   [[region.zone]]                     # one or more; the name is unique in the cluster
//   name = "a"
//   [[region.zone.node]]                # one or more; the name is unique, and may hold dots
//   name = "m1"
//   roles = ["master", "scheduler"]     # optional
//   addresses = ["10.66.1.1", "fd66:1::1"]  # hosts or prefixes, at least one host, nobody else's
//   agent = "10.66.1.1:4270"            # or "unix:/path"; may be missing only with [testbed]
//   labels = { disk = "ssd" }           # optional
//   [[system]]
//   name = "swarm"
//   kind = "swarm"                      # see system_kind.cpp
//   nodes = "role:master | role:agent"  # a selector, see selector.h
//   endpoint = "unix:{dir}/docker.sock"
//   options = { docker = "/usr/bin/docker" }  # optional, per kind
//   credentials = "file:/etc/zonequake/mesos"  # optional; or "env:NAME": where the controller
//   finds
//                                       // USER:PASSWORD, a DC/OS token, or a DC/OS login as JSON:
//                                       // {"uid":"...","password":"...","login_url":"https://..."}
//   auth = "basic"                      # optional: basic, dcos or bearer, instead of by its form
//   ca = "file:/etc/zonequake/ca.pem"   # optional: the certificates to trust with https
//   tls_verify = false                  # optional: trust any certificate
//   unit = "etcd.service"               # optional; or cgroup = "system.slice/etcd": what process
//                                       // faults act on (in a testbed: the recipe's own)
//   [[app]]                             # optional
//   name = "web"
//   system = "swarm"
//   replicas = 3
//   ports = "18080-18089"
//   [[exempt]]                          # optional; at least one of prefix, protocol, port
//   protocol = "tcp"
//   port = 22
//   why = "the operators' way in"
//   [[hook]]                            # optional: what process faults of kind "hook" run, on the
//   name = "power"                      # controller's machine, once for each node
//   run  = ["/usr/local/sbin/ipmi", "{name}", "off"]   # {name}, {ip}, {zone}
//   undo = ["/usr/local/sbin/ipmi", "{name}", "on"]
//   timeout = "30s"
//   [testbed]                           # optional
//   recipe = "../recipes/swarm.toml"    # relative to this file
//   [[testbed.link]]                    # optional: a permanent environment between two zones
//   between = ["a", "b"]                # or regions; a link of zones overrides one of regions
//   preset = "inter-region"             # and / or the keys of an impairing fault
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/impairment.h"
#include "agent/base/ip.h"
#include "agent/base/time.h"
#include "experiments/position.h"
#include "experiments/selector.h"

namespace zq {

using NodeId = std::uint32_t;  // index into Cluster::nodes

inline constexpr const char* kNoAgent = "none";

struct Node {
  std::string name;
  std::string zone;
  std::string region;
  std::vector<std::string> roles;   // master, scheduler, agent, coordinator; others are allowed
  std::vector<IpPrefix> addresses;  // hosts or prefixes; the first host address is the node's own
  std::string agent;  // "unix:/path" or "host:port"; empty = the testbed's own; kNoAgent
  std::map<std::string, std::string> labels;  // free, for recipes
  Position position;

  [[nodiscard]] bool has_role(const std::string& role) const;
  [[nodiscard]] bool has_agent() const { return agent != kNoAgent; }
  // The first host address of the family, if there is one.
  [[nodiscard]] std::optional<IpAddress> host(bool v4) const;
};

struct Zone {
  std::string name;
  std::string region;
  Position position;
};

// How a system lets requests in: references only, the secrets themselves are read at the start of a
// run (controller/access).
struct AccessSpec {
  std::string credentials;  // "file:/PATH" or "env:NAME"; empty = none
  std::string auth;         // basic, dcos, bearer; empty = by the form of what is there
  std::string ca;           // path of a PEM file; empty = what the node trusts
  bool tls_verify = true;
};

// Software under test; an adapter in controller/systems understands `kind`.
struct SystemSpec {
  std::string name;
  std::string kind;  // see system_kind.h
  Selector nodes;    // where it runs
  // As the node's own agent reaches it. "{name}", "{ip}", "{dir}" (with a testbed) are replaced per
  // node.
  std::string endpoint;
  std::map<std::string, std::string> options;  // adapter-specific, checked by the adapter
  std::string unit;                            // of systemd, and
  std::string cgroup;                          // below the cgroup-2 root: at most one of them
  AccessSpec access;
  Position position;
};

// A command for what no agent can do, like a cloud's or a machine's power switch.
struct HookSpec {
  std::string name;
  std::vector<std::string> run;
  std::vector<std::string> undo;  // may be empty
  Nanos timeout = std::chrono::seconds(30);
  Position position;
};

// An application whose instances are canaries (`zonequake-agent canary`).
struct AppSpec {
  std::string name;
  std::string system;
  unsigned replicas = 1;
  // Canaries of this app listen on the first free port of the range, on their node.
  std::uint16_t port_first = 0;
  std::uint16_t port_last = 0;
  Position position;
};

// Traffic that no fault touches, beside what DESIGN 4.6 always exempts.
struct Exemption {
  std::optional<IpPrefix> prefix;  // either end; none = any
  std::string protocol;            // "tcp", "udp", or "" = any
  std::uint16_t port = 0;          // either end; 0 = any
  std::string why;
  Position position;
};

// A permanent impairment between two zones, or between all zones of two regions, both ways.
struct TestbedLink {
  std::string a, b;
  Impairment impairment;  // delay is one way; rate is the total of each direction
  Position position;
};

struct TestbedSpec {
  std::string recipe;  // absolute path of the recipe file
  std::vector<TestbedLink> links{};
  Position position{};
};

struct Cluster {
  std::string name;
  std::string path;  // as given, for messages
  std::string text;  // the exact file, for the record
  std::vector<std::string> regions;
  std::vector<Zone> zones;
  std::vector<Node> nodes;
  std::vector<SystemSpec> systems;
  std::vector<AppSpec> apps;
  std::vector<Exemption> exempt;
  std::vector<HookSpec> hooks;
  std::optional<TestbedSpec> testbed;

  [[nodiscard]] const Node* find_node(const std::string& name) const;
  [[nodiscard]] const SystemSpec* find_system(const std::string& name) const;
};

// The system of that name, or the only one of that kind, or the only "scheduler", "master" or
// "coordinator" (see answers_need() in system_kind.h), so that a file fits many clusters. The
// error's message has no position.
Result<const SystemSpec*> find_system_by(const Cluster& cluster, const std::string& name_or_kind);

// The nodes that the system's quorum is counted over: all its nodes, or those with the role master
// (all when none has it), or none, as voters_of_kind() says.
Result<NodeSet> voters_of(const Cluster& cluster, const SystemSpec& system);

// Both report everything that is wrong with the file, one "FILE:LINE:COLUMN: message" a line.
Result<Cluster> load_cluster(const std::string& path);
// `path` is used in messages only (and to resolve a relative recipe).
Result<Cluster> parse_cluster(std::string text, const std::string& path);

}  // namespace zq
