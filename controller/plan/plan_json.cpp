#include <nlohmann/json.hpp>

#include "controller/plan/plan.h"

namespace zq {

namespace {

using nlohmann::json;

json names(const Cluster& cluster, const auto& nodes) {
  json list = json::array();
  for (const NodeId node : nodes) list.push_back(cluster.nodes[node].name);
  return list;
}

json ports_json(const std::vector<PortRange>& ranges) {
  json list = json::array();
  for (const PortRange& range : ranges) list.push_back({range.first, range.last});
  return list;
}

// Only what narrows it: {} is everything.
json scope_json(const Scope& scope) {
  json object = json::object();
  if (scope.protocol != 0) object["protocol"] = scope.protocol;
  if (!scope.ports.empty()) object["ports"] = ports_json(scope.ports);
  if (!scope.source_ports.empty()) object["source_ports"] = ports_json(scope.source_ports);
  if (!scope.destination_ports.empty()) {
    object["destination_ports"] = ports_json(scope.destination_ports);
  }
  return object;
}

json segment_json(const FaultSegment& segment) {
  json object = {{"from_ns", segment.window.from.count()},
                 {"until_ns", segment.window.until.count()},
                 {"scope", scope_json(segment.scope)}};
  if (segment.period > Nanos{0}) {
    object["period_ns"] = segment.period.count();
    object["on_ns"] = segment.on.count();
  }
  switch (segment.treatment) {
    case Treatment::kDrop:
      object["treatment"] = "drop";
      break;
    case Treatment::kReject:
      object["treatment"] = "reject";
      break;
    case Treatment::kImpair:
      object["treatment"] = "impair";
      object["impairment"] = segment.impairment;
      break;
  }
  return object;
}

json entries_json(const std::vector<ProgrammeEntry>& entries) {
  json list = json::array();
  for (const ProgrammeEntry& entry : entries) {
    json segments = json::array();
    for (const FaultSegment& segment : entry.segments) segments.push_back(segment_json(segment));
    json windows = json::array();
    for (const Window& window : entry.windows) {
      windows.push_back({{"from_ns", window.from.count()}, {"until_ns", window.until.count()}});
    }
    list.push_back({{"direction", entry.direction == Direction::kEgress ? "egress" : "ingress"},
                    {"peer", entry.peer},
                    {"segments", std::move(segments)},
                    {"windows", std::move(windows)}});
  }
  return list;
}

std::string_view name_of(Distribution distribution) {
  switch (distribution) {
    case Distribution::kUniform:
      return "uniform";
    case Distribution::kNormal:
      return "normal";
    case Distribution::kPareto:
      return "pareto";
    case Distribution::kParetoNormal:
      return "paretonormal";
    case Distribution::kCustom:
      return "custom";
  }
  return "";
}

std::string_view name_of(LossModel::Kind kind) {
  switch (kind) {
    case LossModel::Kind::kNone:
      return "none";
    case LossModel::Kind::kRandom:
      return "random";
    case LossModel::Kind::kGilbertElliott:
      return "gilbert-elliott";
    case LossModel::Kind::kFourState:
      return "4-state";
  }
  return "";
}

// Without the values of a table, which can be many.
json impairments_json(const std::vector<Impairment>& impairments) {
  json list = json::array();
  for (const Impairment& one : impairments) {
    list.push_back({{"text", to_string(one)},
                    {"delay_ns", one.delay.count()},
                    {"jitter_ns", one.jitter.count()},
                    {"delay_correlation", one.delay_correlation},
                    {"distribution", name_of(one.distribution)},
                    {"loss",
                     {{"model", name_of(one.loss.kind)},
                      {"parameters", one.loss.parameters},
                      {"expected", one.loss.expected()}}},
                    {"duplicate", one.duplicate},
                    {"corrupt", one.corrupt},
                    {"reorder", one.reorder},
                    {"rate_bps", one.rate_bps}});
  }
  return list;
}

std::string_view name_of(ProcessStep::What what) {
  switch (what) {
    case ProcessStep::What::kKill:
      return "kill";
    case ProcessStep::What::kStop:
      return "stop";
    case ProcessStep::What::kPause:
      return "pause";
    case ProcessStep::What::kRestart:
      return "restart";
    case ProcessStep::What::kHook:
      return "hook";
  }
  return "";
}

json processes_json(const Plan& plan, const Cluster& cluster) {
  json list = json::array();
  for (const ProcessStep& step : plan.processes) {
    list.push_back({{"what", name_of(step.what)},
                    {"nodes", names(cluster, step.nodes)},
                    {"system", step.system},
                    {"hook", step.hook},
                    {"at_ns", step.at.count()},
                    {"undo_at_ns", step.undo_at.count()}});
  }
  return list;
}

json phases_json(const Plan& plan, const Cluster& cluster) {
  json list = json::array();
  for (const PlannedPhase& phase : plan.phases) {
    list.push_back({{"name", phase.name},
                    {"from_ns", phase.from.count()},
                    {"until_ns", phase.until.count()},
                    {"down", names(cluster, phase.down)},
                    {"kill_after_ns", phase.kill_after.count()}});
  }
  return list;
}

}  // namespace

std::string plan_to_json(const Plan& plan, const Cluster& cluster) {
  json groups = json::array();
  for (std::size_t group = 0; group < plan.groups.size(); ++group) {
    const NodeProgramme& programme = plan.programmes[plan.groups[group].front()];
    groups.push_back({{"group", group},
                      {"nodes", names(cluster, plan.groups[group])},
                      {"has_agent", programme.has_agent},
                      {"programme", entries_json(programme.entries)}});
  }
  json book = json::array();
  for (const AddressBookEntry& entry : plan.address_book) {
    book.push_back({{"prefix", entry.prefix.to_string()}, {"group", entry.group}});
  }
  json targets = json::object();
  for (const NodeProgramme& programme : plan.programmes) {
    targets[cluster.nodes[programme.node].name] = names(cluster, programme.path_targets);
  }
  json selections = json::object();
  for (const auto& [name, nodes] : plan.selections) selections[name] = names(cluster, nodes);
  json environment = json::array();
  if (cluster.testbed) {
    for (const TestbedLink& link : cluster.testbed->links) {
      environment.push_back(
          {{"between", {link.a, link.b}}, {"impairment", to_string(link.impairment)}});
    }
  }
  const BlastRadius& blast = plan.blast;
  const json document = {{"cluster", cluster.name},
                         {"groups", std::move(groups)},
                         {"address_book", std::move(book)},
                         {"path_targets", std::move(targets)},
                         {"impairments", impairments_json(plan.impairments)},
                         {"phases", phases_json(plan, cluster)},
                         {"processes", processes_json(plan, cluster)},
                         {"selections", std::move(selections)},
                         {"environment", std::move(environment)},
                         {"fault_end_ns", plan.fault_end().count()},
                         {"blast",
                          {{"zones_cut", blast.zones_cut},
                           {"nodes_impaired", names(cluster, blast.nodes_impaired)},
                           {"pairs_impaired", blast.pairs_impaired},
                           {"pairs_total", blast.pairs_total},
                           {"quorum_at_risk", blast.quorum_at_risk}}}};
  return document.dump(2, ' ', false, json::error_handler_t::replace);
}

}  // namespace zq
