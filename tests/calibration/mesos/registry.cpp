#include "tests/calibration/mesos/registry.h"

#include "controller/systems/json.h"

namespace zq::calibration {

using nlohmann::json;

namespace {

json stamped(const std::map<std::string, std::int64_t>& ids) {
  json list = json::array();
  for (const auto& [id, ns] : ids) {
    list.push_back({{"id", {{"value", id}}}, {"timestamp", {{"nanoseconds", ns}}}});
  }
  return {{"slaves", list}};
}

void read_stamped(const json& root, const char* key, std::map<std::string, std::int64_t>& ids) {
  const json* const list = json_at(root, {key, "slaves"});
  if (list == nullptr || !list->is_array()) return;
  for (const auto& entry : *list) {
    const auto id = json_string(entry, {"id", "value"});
    const json* const ns = json_at(entry, {"timestamp", "nanoseconds"});
    if (id) ids[*id] = ns != nullptr && ns->is_number() ? ns->get<std::int64_t>() : 0;
  }
}

}  // namespace

json Registry::to_json() const {
  if (master.is_null()) return json::object();
  json root = {{"master", {{"info", master}}}};
  json list = json::array();
  for (const auto& [id, info] : slaves) list.push_back({{"info", info}, {"deactivated", false}});
  root["slaves"] = {{"slaves", list}};
  if (!unreachable.empty()) root["unreachable"] = stamped(unreachable);
  if (!gone.empty()) root["gone"] = stamped(gone);
  if (!maintenance.empty()) root["schedules"] = json::array({maintenance});
  return root;
}

Registry Registry::from_json(const json& root) {
  Registry registry;
  if (const json* const info = json_at(root, {"master", "info"})) registry.master = *info;
  if (const json* const list = json_at(root, {"slaves", "slaves"}); list && list->is_array()) {
    for (const auto& entry : *list) {
      const auto id = json_string(entry, {"info", "id", "value"});
      if (id) registry.slaves[*id] = entry.at("info");
    }
  }
  read_stamped(root, "unreachable", registry.unreachable);
  read_stamped(root, "gone", registry.gone);
  if (const json* const schedules = json_at(root, {"schedules"});
      schedules != nullptr && schedules->is_array() && !schedules->empty()) {
    registry.maintenance = schedules->front();
  }
  return registry;
}

void Registry::admit(const std::string& id, const json& info) {
  slaves[id] = info;
  unreachable.erase(id);
}

void Registry::mark_unreachable(const std::string& id, std::int64_t now_ns) {
  slaves.erase(id);
  unreachable[id] = now_ns;
}

void Registry::mark_gone(const std::string& id, std::int64_t now_ns) {
  slaves.erase(id);
  unreachable.erase(id);
  gone[id] = now_ns;
}

}  // namespace zq::calibration
