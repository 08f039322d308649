// The canaries of a cluster's apps: deployed, removed, and looked at, all through the nodes'
// agents.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "controller/access/access.h"
#include "controller/canary/agent_calls.h"
#include "controller/canary/scheduler.h"
#include "controller/systems/endpoint.h"
#include "controller/systems/placement.h"

namespace zq {

struct CanaryState {
  std::string app, system;
  unsigned asked = 0;                       // replicas of the cluster file
  std::optional<SchedulerCount> counted;    // nothing: the scheduler has no such app of ours
  std::map<std::string, unsigned> answers;  // by zone: instances that answer themselves
  std::vector<std::string> silent;          // nodes that could not be looked at

  [[nodiscard]] unsigned answering() const;
};

class Canaries {
 public:
  // `app` is one of the cluster's [[app]]s, or empty for all. `dir` is what "{dir}" stands for in
  // endpoints. kInput when there is none, or its system takes no canaries; otherwise as
  // AgentCalls::connect() and resolve_access(). The cluster must outlive it.
  static Result<std::unique_ptr<Canaries>> make(const Cluster& cluster, const Testbed* testbed,
                                                const std::string& app, const std::string& dir,
                                                std::stop_token stop);

  [[nodiscard]] const std::vector<AppSpec>& apps() const { return apps_; }
  [[nodiscard]] Scheduler& scheduler(const AppSpec& app);
  Result<CanaryState> look(const AppSpec& app);
  // Scheduler::tidy() of all systems.
  Result<bool> tidy();

 private:
  struct System {
    std::string name;
    std::vector<Place> places;
    std::vector<HttpEndpoint> endpoints;
    Access access;
    std::unique_ptr<Scheduler> scheduler;
  };

  Canaries(const Cluster& cluster, AgentCalls calls)
      : cluster_(cluster), calls_(std::move(calls)) {}
  Status add_system(const SystemSpec& spec);
  Result<SchedulerAnswer> ask(const System& system, std::size_t place,
                              const zonequake::HttpProbe& request);

  const Cluster& cluster_;
  AgentCalls calls_;
  std::vector<AppSpec> apps_;
  std::map<std::string, std::unique_ptr<System>> systems_;
};

}  // namespace zq
