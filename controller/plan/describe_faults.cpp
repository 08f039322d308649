#include "controller/plan/describe_faults.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "controller/plan/faults.h"
#include "controller/plan/scopes.h"

namespace zq {

namespace {

constexpr std::size_t kNodesShown = 8;
constexpr std::size_t kStepsShown = 4;

using Segments = std::vector<FaultSegment>;

// What happens from one group to another, as it is entered where everything is: at the sender, or
// at the receiver where the sender has no agent. Programmes are the same for all nodes of a group.
std::map<std::pair<GroupId, GroupId>, Segments> borders_of(const Plan& plan) {
  std::map<std::pair<GroupId, GroupId>, Segments> borders;
  const auto has_agent = [&](GroupId group) {
    return plan.programmes[plan.groups[group].front()].has_agent;
  };
  for (GroupId group = 0; group < plan.groups.size(); ++group) {
    for (const ProgrammeEntry& entry : plan.programmes[plan.groups[group].front()].entries) {
      if (entry.direction == Direction::kEgress) {
        borders[{group, entry.peer}] = entry.segments;
      } else if (!has_agent(entry.peer)) {
        borders[{entry.peer, group}] = entry.segments;
      }
    }
  }
  return borders;
}

auto key_of(const FaultSegment& segment) {
  return std::tuple(segment.window, segment.period, segment.on, segment.scope, segment.treatment,
                    segment.impairment);
}

// Whether what happens on the way back is the same, seen from the other end.
bool alike(const Segments& there, Segments back) {
  for (FaultSegment& segment : back) segment.scope = reversed(std::move(segment.scope));
  const auto matches = [&](const FaultSegment& one) {
    return std::any_of(back.begin(), back.end(),
                       [&](const FaultSegment& other) { return key_of(one) == key_of(other); });
  };
  return there.size() == back.size() && std::all_of(there.begin(), there.end(), matches);
}

// The parts that an impairment has.
auto shape_of(const Impairment& one) {
  return std::tuple(one.delay > Nanos{0}, one.jitter > Nanos{0}, one.distribution, one.loss.kind,
                    one.duplicate > 0, one.corrupt > 0, one.reorder > 0, one.rate_bps > 0);
}

bool is_next_step(const Plan& plan, const FaultSegment& before, const FaultSegment& next) {
  const Nanos difference =
      (next.window.until - next.window.from) - (before.window.until - before.window.from);
  if (before.treatment != Treatment::kImpair || next.treatment != Treatment::kImpair) return false;
  return before.scope == next.scope && before.period == next.period && before.on == next.on &&
         before.window.until == next.window.from && difference >= Nanos{-1} &&
         difference <= Nanos{1} &&
         shape_of(plan.impairments[before.impairment]) ==
             shape_of(plan.impairments[next.impairment]);
}

std::string action(const Plan& plan, const FaultSegment& segment) {
  switch (segment.treatment) {
    case Treatment::kDrop:
      return "dropped";
    case Treatment::kReject:
      return "rejected";
    case Treatment::kImpair:
      break;
  }
  const Impairment& impairment = plan.impairments[segment.impairment];
  return to_string(impairment) + (impairment.rate_bps > 0 ? " for each node" : "");
}

// The segments [first, last), more than one of them the steps of a ramp.
std::string line(const Plan& plan, const Segments& segments, std::size_t first, std::size_t last) {
  const FaultSegment& segment = segments[first];
  const std::size_t steps = last - first;
  std::string text = fmt::format("    {} to {}", describe_instant(segment.window.from),
                                 describe_instant(segments[last - 1].window.until));
  if (steps > 1) {
    text += fmt::format(", {} steps of {}", steps,
                        format_duration(segment.window.until - segment.window.from));
  }
  if (segment.period > Nanos{0}) {
    text += fmt::format(", for {} of every {}", format_duration(segment.on),
                        format_duration(segment.period));
  }
  text += segment.scope.everything() ? ": everything" : ": " + to_string(segment.scope);
  text += segment.treatment == Treatment::kImpair ? ": " : " ";
  for (std::size_t i = first; i < last; ++i) {
    if (i > first) text += "; ";
    if (steps > kStepsShown && i == first + 2) {
      text += "...; ";
      i = last - 1;
    }
    text += action(plan, segments[i]);
  }
  return text + "\n";
}

std::string received(GroupId group) {
  return fmt::format(", what group {} sends is treated where it arrives", group);
}

std::string_view word(ProcessStep::What what) {
  switch (what) {
    case ProcessStep::What::kKill:
      return "killed, and started again";
    case ProcessStep::What::kStop:
      return "stopped, and started again";
    case ProcessStep::What::kPause:
      return "paused, and resumed";
    case ProcessStep::What::kRestart:
      return "restarted";
    case ProcessStep::What::kHook:
      return "run, and undone";
  }
  return "";
}

}  // namespace

std::string describe_instant(Nanos at) {
  if (at == Nanos{0}) return "T";
  // format_duration() would round it.
  if (at > std::chrono::minutes(1) && at % std::chrono::seconds(1) != Nanos{0}) {
    return fmt::format("T+{:.9g}s", to_seconds(at));
  }
  return at < Nanos{0} ? "T-" + format_duration(-at) : "T+" + format_duration(at);
}

std::string describe_borders(const Plan& plan) {
  auto borders = borders_of(plan);
  if (borders.empty()) return "  all pass untouched\n";
  std::string text;
  for (auto& [pair, segments] : borders) {
    const auto [from, to] = pair;
    const bool from_agent = plan.programmes[plan.groups[from].front()].has_agent;
    const auto back = borders.find({to, from});
    const bool both = from != to && back != borders.end() && alike(segments, back->second);
    if (both && to < from) continue;  // said with the other direction
    text += from == to ? fmt::format("  within group {}", from)
                       : fmt::format("  group {} {} group {}", from, both ? "<->" : "-->", to);
    if (!from_agent) text += received(from);
    const bool to_agent = plan.programmes[plan.groups[to].front()].has_agent;
    if (both && !to_agent) text += received(to);
    text += "\n";
    // For people in order of time, not of precedence.
    std::stable_sort(segments.begin(), segments.end(),
                     [](const FaultSegment& one, const FaultSegment& two) {
                       return one.window.from < two.window.from;
                     });
    for (std::size_t first = 0; first < segments.size();) {
      std::size_t last = first + 1;
      while (last < segments.size() && is_next_step(plan, segments[last - 1], segments[last]))
        ++last;
      text += line(plan, segments, first, last);
      first = last;
    }
  }
  return text;
}

std::string describe_processes(const Plan& plan, const Cluster& cluster) {
  std::string text;
  for (const ProcessStep& step : plan.processes) {
    const std::string what = !step.hook.empty()    ? fmt::format("hook {}", step.hook)
                             : step.system.empty() ? "all processes"
                                                   : "processes of " + step.system;
    text += fmt::format("  {}: {} {}", describe_instant(step.at), what, word(step.what));
    if (step.undo_at > step.at) text += " at " + describe_instant(step.undo_at);
    text += fmt::format(": {}\n", list_nodes(cluster, step.nodes, kNodesShown));
  }
  return text;
}

}  // namespace zq
