// Who does which step to processes, and when: agents at instants of their own clocks where they
// can, the controller for what is left (a testbed's processes are started again by the testbed,
// hooks run on the controller's machine). Pure.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent.pb.h"
#include "agent/base/error.h"
#include "agent/base/time.h"
#include "controller/plan/plan.h"
#include "experiments/cluster.h"

namespace zq {

// What every testbed calls its agents.
inline constexpr const char* kTestbedAgent = "agent";

// What an agent acts on: one of both is set.
struct ProcessTarget {
  std::string unit;          // of systemd
  std::string cgroup;        // below the cgroup-2 root
  std::string process = {};  // of a testbed's recipe; empty = all of the node's
};

struct AgentStep {
  NodeId node = 0;
  zonequake::ProcessVerb verb{};
  ProcessTarget target;
  Nanos at{};  // relative to T
};

struct ControllerStep {
  enum class Kind { kKill, kStart, kHook };
  Kind kind = Kind::kHook;
  NodeId node = 0;
  std::string name;                    // "start", "hook power", "hook power undo"
  std::vector<std::string> argv;       // kHook
  std::vector<std::string> processes;  // kStart: of the recipe, that must have ended; none = all
  Nanos timeout{};                     // kHook
  Nanos at{};                          // relative to T
  // This one undoes what another one did: the one of that number, or else the agents at `since`.
  bool undo = false;
  std::optional<std::size_t> undoes;
  Nanos since{};  // relative to T
};

struct ProcessSchedule {
  std::vector<AgentStep> agents;
  std::vector<ControllerStep> controller;  // by `at`
};

// What the processes of a system (empty = of all) on a node are to their agent; empty = nothing.
using FindTargets =
    std::function<std::vector<ProcessTarget>(NodeId node, const std::string& system)>;

// By the units and cgroups of the cluster file.
[[nodiscard]] FindTargets targets_of_systems(const Cluster& cluster);

// With `testbed` killed and stopped processes are started again by the testbed. kInput: a node on
// which nobody can act, or a hook that the cluster does not have.
Result<ProcessSchedule> schedule_processes(const Cluster& cluster, const Plan& plan, bool testbed,
                                           const FindTargets& targets);

// "run power b1 off" with {name}, {ip}, {zone} of the node.
[[nodiscard]] std::vector<std::string> hook_command(const std::vector<std::string>& command,
                                                    const Node& node);

}  // namespace zq
