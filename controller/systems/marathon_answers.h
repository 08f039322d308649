// Bodies of Marathon's REST interface (1.4 to 1.11), as far as the adapter reads them. Every parser
// returns nothing when the body is not what it should be: then the answer says nothing.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controller/check/facts.h"

namespace zq {

// GET /v2/leader: "host:port".
std::optional<std::string> parse_marathon_leader(const std::string& body);

// GET /v2/info. Timers in seconds; nothing where this version does not tell them.
struct MarathonInfo {
  std::string version, framework;
  std::optional<bool> checkpoint;
  std::optional<double> failover_timeout;
  std::optional<double> reconciliation, scale_apps, zk_session;
};
std::optional<MarathonInfo> parse_marathon_info(const std::string& body);

struct MarathonTask {
  std::string id, host, agent;
  std::string state;  // "running", "unreachable", ...; both kinds of unreachable are "unreachable"
  std::vector<IpAddress> addresses;  // when it has its own
};

struct MarathonApp {
  std::string path;  // "/group/web"
  unsigned instances = 0;
  Resources each;
  // unreachableStrategy in seconds, as stored with the app: what Marathon's defaults are depends on
  // when it was made. Nothing: "disabled".
  struct Unreachable {
    double inactive_after = 0, expunge_after = 0;
  };
  std::optional<Unreachable> unreachable;
  std::optional<double> kill_grace;  // seconds
  std::vector<PlacementConstraint> constraints;
  bool local_volumes = false;  // residency, persistent volumes, or the node's own paths
  std::map<std::string, std::string> labels;
  std::vector<MarathonTask> tasks;
};
// GET /v2/apps/{id}?embed=app.tasks.
std::optional<MarathonApp> parse_marathon_app(const std::string& body);
// GET /v2/apps?embed=apps.tasks.
std::optional<std::vector<MarathonApp>> parse_marathon_apps(const std::string& body);

// GET /v2/deployments: the paths of apps that deployments are under way for.
std::optional<std::set<std::string>> parse_marathon_deployments(const std::string& body);

// GET /v2/queue: instances that wait for an offer, by the app's path.
std::optional<std::map<std::string, double>> parse_marathon_queue(const std::string& body);

// An event of GET /v2/events, as StreamProbe hands it on.
struct MarathonEvent {
  std::string type;  // "instance_changed_event", ...
  std::string instance, app, host,
      condition;  // of an instance_changed_event: "UnreachableInactive"
};
std::optional<MarathonEvent> parse_marathon_event(const std::string& body);

}  // namespace zq
