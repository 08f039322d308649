#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "controller/check/rules.h"

namespace zq::rules {
namespace {

bool runs_members(const CheckInput& input, CheckResult& result) {
  if (!input.facts.members.empty()) return true;
  const bool any = std::any_of(input.cluster.nodes.begin(), input.cluster.nodes.end(),
                               [](const Node& node) { return node.has_role("agent"); });
  if (any || !input.facts.missing.empty()) {
    result.unknown.push_back("no system told of agents that run apps");
    copy_missing(input, result);
  } else {
    result.status = CheckStatus::kNotApplicable;
    result.seen.push_back("no node of this cluster runs apps");
  }
  return false;
}

bool runs_apps_here(const CheckInput& input, CheckResult& result) {
  if (!runs_members(input, result)) return false;
  if (!input.facts.apps.empty()) return true;
  if (input.facts.missing.empty()) {
    result.seen.push_back("no app runs");
  } else {
    result.unknown.push_back("no system told of its apps");
    copy_missing(input, result);
  }
  return false;
}

// The zone that the member itself says it is in, and where it says so; empty: it does not.
std::pair<std::string, std::string> told_zone(const MemberFacts& member) {
  if (const auto tag = member.attributes.find("zone"); tag != member.attributes.end()) {
    return {tag->second, "attribute"};
  }
  return {member.zone.value_or(""), "fault domain"};
}

std::string name_of(const CheckInput& input, const MemberFacts& member) {
  if (member.node) return input.cluster.nodes[*member.node].name;
  return member.hostname.empty() ? member.id : member.hostname;
}

}  // namespace

void zone_tags(const CheckInput& input, CheckResult& result) {
  if (!runs_members(input, result)) return;
  std::size_t right = 0;
  bool domains = false;
  std::set<NodeId> told;
  for (const MemberFacts& member : input.facts.members) {
    const std::string name = name_of(input, member);
    if (!member.node) {
      blame(result, fmt::format("{}: {} is a member that the cluster file does not have",
                                member.system, name));
      continue;
    }
    told.insert(*member.node);
    domains = domains || member.zone.has_value();
    // Members that take no apps, like drained managers, need none.
    if (!input.cluster.nodes[*member.node].has_role("agent")) continue;
    const std::string& zone = input.cluster.nodes[*member.node].zone;
    const auto [said, where] = told_zone(member);
    if (said.empty()) {
      blame(result, fmt::format("{} in zone {} has no zone attribute", name, zone));
    } else if (said != zone) {
      blame(result, fmt::format("{} is in zone {}, but its {} says {}", name, zone, where, said));
    } else {
      ++right;
    }
  }
  result.seen.push_back(fmt::format("{} agents carry the zone that they are in", right));
  for (std::size_t i = 0; i < input.cluster.nodes.size(); ++i) {
    const Node& node = input.cluster.nodes[i];
    if (node.has_role("agent") && !told.contains(static_cast<NodeId>(i))) {
      result.unknown.push_back(node.name + ": no system told of this agent");
    }
  }
  // A master without a domain refuses agents that have one.
  for (const VoterFacts& voter : input.facts.voters) {
    const bool mesos = std::any_of(
        input.facts.members.begin(), input.facts.members.end(), [&](const MemberFacts& member) {
          return member.system == voter.system && member.zone.has_value();
        });
    if (domains && mesos && !voter.zone) {
      blame(result, fmt::format("master {} has no fault domain, but agents have: it refuses them",
                                input.cluster.nodes[voter.node].name));
    }
  }
}

void zone_level_resources(const CheckInput& input, CheckResult& result) {
  if (!runs_apps_here(input, result)) return;
  std::size_t free = 0;
  for (const AppFacts& app : input.facts.apps) {
    std::map<std::string, std::vector<std::string>> bound;  // why -> zones
    std::set<std::string> zones;
    for (const MemberFacts& member : input.facts.members) {
      if (std::find(app.running_on.begin(), app.running_on.end(), member.id) ==
          app.running_on.end()) {
        continue;
      }
      zones.insert(zone_of_member(input.cluster, member));
    }
    for (const std::string& zone : zones) {
      const std::string why = why_bound(input.cluster, input.facts, app, zone);
      if (!why.empty()) bound[why].push_back(zone);
    }
    if (bound.empty()) ++free;
    for (const auto& [why, where] : bound) {
      blame(result, fmt::format("{} does not move when zone {} is lost: {}", app.id,
                                fmt::join(where, ", or zone "), why));
    }
  }
  result.seen.push_back(
      fmt::format("{} of {} apps can move out of any zone", free, input.facts.apps.size()));
}

void spare_capacity(const CheckInput& input, CheckResult& result) {
  if (!runs_apps_here(input, result)) return;
  for (const ZonePrediction& loss : predict_losses(input.cluster, input.facts)) {
    unsigned lost = 0, moved = 0;
    for (const auto& [key, app] : loss.prediction.apps) {
      lost += app.lost;
      moved += app.moved;
    }
    for (const std::string& unknown : loss.prediction.unknown) {
      const std::string line = fmt::format("loss of zone {}: {}", loss.zone, unknown);
      result.unknown.push_back(line);
    }
    result.seen.push_back(fmt::format("loss of zone {}: {} of {} instances have a place elsewhere",
                                      loss.zone, moved, lost));
    for (const auto& [key, app] : loss.prediction.apps) {
      if (app.left > 0) {
        result.seen.push_back(fmt::format("loss of zone {}: {} of {} are not replaced: {}",
                                          loss.zone, app.left, key.second, app.why));
      }
      if (app.waiting == 0) continue;
      blame(result, fmt::format("loss of zone {}: {} of {} will stay waiting: {}", loss.zone,
                                app.waiting, key.second, app.why));
    }
  }
}

}  // namespace zq::rules
