#include "controller/run/process_schedule.h"

#include <algorithm>

namespace zq {
namespace {

using What = ProcessStep::What;

void replace_all(std::string& text, const std::string& what, const std::string& by) {
  for (std::size_t at = text.find(what); at != std::string::npos;
       at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
}

zonequake::ProcessVerb verb_of(What what, bool testbed) {
  switch (what) {
    case What::kStop:
      return zonequake::STOP;
    case What::kPause:
      return zonequake::PAUSE;
    case What::kRestart:
      // A testbed's processes are started by the testbed, so the agent only ends them.
      return testbed ? zonequake::KILL : zonequake::RESTART;
    default:
      return zonequake::KILL;
  }
}

class Scheduler {
 public:
  Scheduler(const Cluster& cluster, bool testbed, const FindTargets& targets)
      : cluster_(cluster), testbed_(testbed), targets_(targets) {}

  Status add(const ProcessStep& step) {
    for (const NodeId node : step.nodes) {
      if (step.what == What::kHook) {
        ZQ_CHECK(add_hook(step, node));
      } else {
        ZQ_CHECK(add_processes(step, node));
      }
    }
    return {};
  }

  ProcessSchedule finish() {
    // Steps refer to each other by number, so they are put in order with it.
    std::vector<std::size_t> order(schedule_.controller.size()), place(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return schedule_.controller[a].at < schedule_.controller[b].at;
    });
    std::vector<ControllerStep> sorted;
    for (std::size_t i = 0; i < order.size(); ++i) {
      place[order[i]] = i;
      sorted.push_back(std::move(schedule_.controller[order[i]]));
    }
    for (ControllerStep& step : sorted) {
      if (step.undoes) step.undoes = place[*step.undoes];
    }
    schedule_.controller = std::move(sorted);
    return std::move(schedule_);
  }

 private:
  Status add_hook(const ProcessStep& step, NodeId node) {
    const auto hook = std::find_if(cluster_.hooks.begin(), cluster_.hooks.end(),
                                   [&](const HookSpec& spec) { return spec.name == step.hook; });
    if (hook == cluster_.hooks.end()) {
      return fail(ErrorCode::kInput, "the cluster has no [[hook]] named '{}'", step.hook);
    }
    const Node& where = cluster_.nodes[node];
    const std::size_t number = schedule_.controller.size();
    schedule_.controller.push_back({.kind = ControllerStep::Kind::kHook,
                                    .node = node,
                                    .name = "hook " + hook->name,
                                    .argv = hook_command(hook->run, where),
                                    .processes = {},
                                    .timeout = hook->timeout,
                                    .at = step.at,
                                    .undo = false,
                                    .undoes = {},
                                    .since = {}});
    if (hook->undo.empty()) return {};
    schedule_.controller.push_back({.kind = ControllerStep::Kind::kHook,
                                    .node = node,
                                    .name = "hook " + hook->name + " undo",
                                    .argv = hook_command(hook->undo, where),
                                    .processes = {},
                                    .timeout = hook->timeout,
                                    .at = step.undo_at,
                                    .undo = true,
                                    .undoes = number,
                                    .since = {}});
    return {};
  }

  Status add_processes(const ProcessStep& step, NodeId node) {
    const Node& where = cluster_.nodes[node];
    const bool pause = step.what == What::kPause;
    const auto found =
        where.has_agent() ? targets_(node, step.system) : std::vector<ProcessTarget>{};
    if (found.empty() && (!testbed_ || pause || !step.system.empty())) {
      return fail(ErrorCode::kInput, "nobody can act on the processes of {}: {}", where.name,
                  !where.has_agent() ? "it has no agent; use a hook"
                  : testbed_
                      ? "the testbed runs none there, or the agent finds no cgroup-2 hierarchy"
                      : "none of its systems names a unit or a cgroup");
    }
    for (const ProcessTarget& target : found) {
      schedule_.agents.push_back(
          {.node = node, .verb = verb_of(step.what, testbed_), .target = target, .at = step.at});
      if (pause) {
        schedule_.agents.push_back(
            {.node = node, .verb = zonequake::RESUME, .target = target, .at = step.undo_at});
      } else if (!testbed_ && step.what != What::kRestart && !target.unit.empty()) {
        schedule_.agents.push_back(
            {.node = node, .verb = zonequake::START, .target = target, .at = step.undo_at});
      }
    }
    if (!testbed_ || pause) return {};
    ControllerStep start{.kind = ControllerStep::Kind::kStart,
                         .node = node,
                         .name = "start",
                         .argv = {},
                         .processes = {},
                         .timeout = {},
                         .at = step.undo_at,
                         .undo = true,
                         .undoes = {},
                         .since = step.at};
    for (const ProcessTarget& target : found) {
      if (!target.process.empty()) start.processes.push_back(target.process);
    }
    if (found.empty()) {  // no agent: the testbed itself can kill
      start.undoes = schedule_.controller.size();
      schedule_.controller.push_back({.kind = ControllerStep::Kind::kKill,
                                      .node = node,
                                      .name = "kill",
                                      .argv = {},
                                      .processes = {},
                                      .timeout = {},
                                      .at = step.at,
                                      .undo = false,
                                      .undoes = {},
                                      .since = {}});
    }
    schedule_.controller.push_back(std::move(start));
    return {};
  }

  const Cluster& cluster_;
  const bool testbed_;
  const FindTargets& targets_;
  ProcessSchedule schedule_;
};

}  // namespace

std::vector<std::string> hook_command(const std::vector<std::string>& command, const Node& node) {
  std::vector<std::string> result = command;
  auto address = node.host(true);
  if (!address) address = node.host(false);
  for (std::string& word : result) {
    replace_all(word, "{name}", node.name);
    replace_all(word, "{zone}", node.zone);
    if (address) replace_all(word, "{ip}", address->to_string());
  }
  return result;
}

FindTargets targets_of_systems(const Cluster& cluster) {
  return [&cluster](NodeId node, const std::string& system) {
    std::vector<ProcessTarget> targets;
    const auto only =
        system.empty() ? Result<const SystemSpec*>(nullptr) : find_system_by(cluster, system);
    if (!only) return targets;
    for (const SystemSpec& spec : cluster.systems) {
      if (*only != nullptr && *only != &spec) continue;
      if (spec.unit.empty() && spec.cgroup.empty()) continue;
      const auto nodes = spec.nodes.resolve(cluster, {}, nullptr);
      if (nodes && nodes->contains(node)) targets.push_back({spec.unit, spec.cgroup});
    }
    return targets;
  };
}

Result<ProcessSchedule> schedule_processes(const Cluster& cluster, const Plan& plan, bool testbed,
                                           const FindTargets& targets) {
  Scheduler scheduler(cluster, testbed, targets);
  for (const ProcessStep& step : plan.processes) ZQ_CHECK(scheduler.add(step));
  return scheduler.finish();
}

}  // namespace zq
