#include "controller/plan/processes.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <tuple>

namespace zq {

namespace {

using What = ProcessStep::What;

What what_of(FaultKind kind) {
  switch (kind) {
    case FaultKind::kStop:
      return What::kStop;
    case FaultKind::kPause:
      return What::kPause;
    case FaultKind::kRestart:
      return What::kRestart;
    case FaultKind::kHook:
      return What::kHook;
    default:
      return What::kKill;  // zone-down too
  }
}

// One fault's part in one node.
struct Stretch {
  Window window;
  const Fault* fault = nullptr;
};

class ProcessPlanner {
 public:
  ProcessPlanner(const PlanInput& input, Plan& plan) : input_(input), plan_(plan) {}

  Status run(const std::vector<ResolvedFault>& faults) {
    for (const ResolvedFault& fault : faults) {
      if (!fault.fault->of_processes()) continue;
      ZQ_CHECK(check_end(fault));
      const Fault& spec = *fault.fault;
      std::string system = spec.system;
      if (!system.empty()) {
        ZQ_TRY(const SystemSpec* found, find_system_by(input_.cluster, system));
        system = found->name;
      }
      for (const NodeId node : fault.sides[0]) {
        stretches_[{node, what_of(spec.kind), system, spec.hook}].push_back({fault.window, &spec});
      }
    }
    for (auto& [key, list] : stretches_) join(list);
    ZQ_CHECK(check_conflicts());
    make_steps();
    mark_phases();
    return {};
  }

 private:
  using Key = std::tuple<NodeId, What, std::string, std::string>;  // node, what, system, hook

  Status check_end(const ResolvedFault& fault) {
    if (fault.window.until < plan_.phases.back().until || fault.window.from == fault.window.until) {
      return {};
    }
    return fail(ErrorCode::kInput,
                "{}: the last phase leaves {} dead; end with a phase that does not kill",
                fault.fault->position.to_string(),
                list_nodes(input_.cluster, {fault.sides[0].begin(), fault.sides[0].end()}, 5));
  }

  [[nodiscard]] bool stays(const Window& before, const Window& next) const {
    if (next.from <= before.until) return true;
    return std::any_of(plan_.phases.begin(), plan_.phases.end(), [&](const PlannedPhase& phase) {
      return phase.from == before.until && next.from < phase.until;
    });
  }

  void join(std::vector<Stretch>& list) const {
    std::stable_sort(list.begin(), list.end(), [](const Stretch& one, const Stretch& two) {
      return one.window < two.window;
    });
    std::vector<Stretch> joined;
    for (const Stretch& stretch : list) {
      const bool lasts = stretch.window.from < stretch.window.until;
      if (!joined.empty() && lasts && stays(joined.back().window, stretch.window)) {
        joined.back().window.until = std::max(joined.back().window.until, stretch.window.until);
      } else {
        joined.push_back(stretch);
      }
    }
    list = std::move(joined);
  }

  // Hooks are about something else than processes, and stand for themselves.
  Status check_conflicts() const {
    struct Busy {
      Stretch stretch;
      std::string system;
    };
    std::map<NodeId, std::vector<Busy>> by_node;
    for (const auto& [key, list] : stretches_) {
      const auto& [node, what, system, hook] = key;
      if (what == What::kHook) continue;
      for (const Stretch& stretch : list) {
        for (const Busy& other : by_node[node]) {
          const bool apart = stretch.window.until < other.stretch.window.from ||
                             other.stretch.window.until < stretch.window.from ||
                             (stretch.window.until == other.stretch.window.from &&
                              stretch.window.from < stretch.window.until) ||
                             (other.stretch.window.until == stretch.window.from &&
                              other.stretch.window.from < other.stretch.window.until);
          const bool same = system.empty() || other.system.empty() || system == other.system;
          if (apart || !same) continue;
          return fail(ErrorCode::kInput,
                      "{} and {} act on processes of {} at the same time; give them different "
                      "times, nodes or systems",
                      other.stretch.fault->position.to_string(),
                      stretch.fault->position.to_string(), input_.cluster.nodes[node].name);
        }
        by_node[node].push_back({stretch, system});
      }
    }
    return {};
  }

  void make_steps() {
    std::map<std::tuple<Nanos, Nanos, What, std::string, std::string>, ProcessStep> steps;
    for (const auto& [key, list] : stretches_) {
      const auto& [node, what, system, hook] = key;
      for (const auto& [window, fault] : list) {
        ProcessStep& step = steps[{window.from, window.until, what, system, hook}];
        step.what = what;
        step.nodes.push_back(node);  // in order: the node is the first part of the key
        step.system = system;
        step.hook = hook;
        step.at = window.from;
        step.undo_at = window.until;
      }
    }
    for (auto& [key, step] : steps) plan_.processes.push_back(std::move(step));
  }

  void mark_phases() {
    for (PlannedPhase& phase : plan_.phases) {
      NodeSet down;
      for (const ProcessStep& step : plan_.processes) {
        if (step.what != What::kKill && step.what != What::kStop) continue;
        if (!step.system.empty() || step.at >= phase.until || step.undo_at <= phase.from) continue;
        down.insert(step.nodes.begin(), step.nodes.end());
        phase.kill_after = std::max(phase.kill_after, step.at - phase.from);
      }
      phase.down.assign(down.begin(), down.end());
    }
  }

  const PlanInput& input_;
  Plan& plan_;
  std::map<Key, std::vector<Stretch>> stretches_;
};

}  // namespace

Status plan_processes(const PlanInput& input, const std::vector<ResolvedFault>& faults,
                      Plan& plan) {
  return ProcessPlanner(input, plan).run(faults);
}

NodeSet dead_nodes(const Plan& plan, const SystemSpec& system, Nanos at) {
  NodeSet dead;
  for (const ProcessStep& step : plan.processes) {
    if (!step.system.empty() && step.system != system.name) continue;
    Nanos until = step.undo_at;
    if (step.what != What::kPause) {
      const auto phase =
          std::find_if(plan.phases.begin(), plan.phases.end(), [&](const PlannedPhase& candidate) {
            return candidate.from <= step.undo_at && step.undo_at < candidate.until;
          });
      if (phase != plan.phases.end()) until = phase->until;
    }
    if (step.at <= at && at < until) dead.insert(step.nodes.begin(), step.nodes.end());
  }
  return dead;
}

}  // namespace zq
