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

json entries_json(const std::vector<ProgrammeEntry>& entries) {
  json list = json::array();
  for (const ProgrammeEntry& entry : entries) {
    json windows = json::array();
    for (const Window& window : entry.windows) {
      windows.push_back({{"from_ns", window.from.count()}, {"until_ns", window.until.count()}});
    }
    list.push_back({{"direction", entry.direction == Direction::kEgress ? "egress" : "ingress"},
                    {"peer", entry.peer},
                    {"windows", std::move(windows)}});
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
  const BlastRadius& blast = plan.blast;
  const json document = {{"cluster", cluster.name},
                         {"groups", std::move(groups)},
                         {"address_book", std::move(book)},
                         {"path_targets", std::move(targets)},
                         {"phases", phases_json(plan, cluster)},
                         {"selections", std::move(selections)},
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
