// Bodies of the HTTP interfaces of Mesos masters and agents (1.0 to 1.12), as far as the adapters
// read them. Every parser returns nothing when the body is not what it should be: then the answer
// says nothing.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/ip.h"
#include "controller/check/facts.h"

namespace zq {

// Stout's durations: "15secs", "10mins", "2weeks", "1.5secs". In seconds.
std::optional<double> parse_mesos_duration(std::string_view text);
// A rate limit "100/1mins": seconds from one permit to the next.
std::optional<double> parse_mesos_spacing(std::string_view text);
// The host of "master@10.0.1.5:5050", "slave(1)@[fd66::1]:5051", "//10.0.1.5:5050/state" or
// "http://10.0.1.5:8080"; empty when there is none.
std::string host_of_address(std::string_view text);

struct MesosDomain {
  std::optional<std::string> zone, region;
};

// POST /api/v1 GET_MASTER. Only a master that leads answers it.
struct MesosMaster {
  std::string id, hostname, host;  // host: of its pid
  double elected_time = 0;         // Unix seconds
  MesosDomain domain;
};
std::optional<MesosMaster> parse_mesos_master(const std::string& body);

// GET /flags of masters and agents: those that were set or have a default.
struct MesosFlags {
  std::map<std::string, std::string> all;
  [[nodiscard]] std::optional<double> seconds(std::initializer_list<const char*> names) const;
  [[nodiscard]] std::optional<double> number(std::initializer_list<const char*> names) const;
  [[nodiscard]] MesosDomain domain() const;
};
std::optional<MesosFlags> parse_mesos_flags(const std::string& body);

// GET /version.
std::optional<std::string> parse_mesos_version(const std::string& body);

// GET /slaves: the agents that are registered, and those that a new leader found in the registry
// and has not heard of yet. Unreachable ones are not among them.
struct MesosAgent {
  std::string id, hostname, host;  // host: of its pid
  bool active = true;              // false: its connection is closed
  bool recovered = false;          // not heard of yet
  std::map<std::string, std::string> attributes;
  MesosDomain domain;
  std::optional<Resources> total, unused;  // unused: neither taken nor reserved for a role
};
std::optional<std::vector<MesosAgent>> parse_mesos_agents(const std::string& body);

// GET /registrar(1)/registry: the only list of unreachable agents. Masters that do not lead answer
// {}, which gives nothing.
struct MesosRegistry {
  std::map<std::string, std::string> admitted;  // id -> host name
  std::set<std::string> unreachable, gone;
};
std::optional<MesosRegistry> parse_mesos_registry(const std::string& body);

struct MesosTask {
  std::string framework, id, name, agent;
  std::string state;  // "running", "unreachable", ...: Mesos' names without TASK_, in small letters
};
// "TASK_RUNNING" -> "running".
std::string mesos_state_name(std::string_view state);

// GET /state of an agent: what really runs there.
struct MesosAgentState {
  std::string id, hostname, version;
  std::vector<MesosTask> tasks;  // of executors that live, those that have ended left out
};
std::optional<MesosAgentState> parse_mesos_agent_state(const std::string& body);

// POST /api/v1 GET_FRAMEWORKS: those that are not completed.
struct MesosFramework {
  std::string id, name, hostname, host;  // host: of its web address
  bool active = true;
  bool checkpoint = false;
  double failover_timeout = 0;
  std::set<std::string> capabilities;
};
std::optional<std::vector<MesosFramework>> parse_mesos_frameworks(const std::string& body);

// GET /metrics/snapshot.
std::optional<std::map<std::string, double>> parse_mesos_metrics(const std::string& body);

}  // namespace zq
