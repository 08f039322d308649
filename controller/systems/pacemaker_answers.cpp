#include "controller/systems/pacemaker_answers.h"

#include <algorithm>
#include <boost/property_tree/ptree.hpp>
#include <boost/property_tree/xml_parser.hpp>
#include <sstream>

#include "controller/systems/zookeeper_answers.h"

namespace zq {
namespace {

using boost::property_tree::ptree;

std::string attribute(const ptree& element, const char* name) {
  return element.get<std::string>(std::string("<xmlattr>.") + name, "");
}

bool is_true(const ptree& element, const char* name) { return attribute(element, name) == "true"; }

// Resources of groups and clones are nested in elements of their own.
void add_resources(const ptree& parent, std::vector<PacemakerResource>& resources) {
  for (const auto& [name, element] : parent) {
    if (name == "<xmlattr>") continue;
    if (name != "resource") {
      add_resources(element, resources);
      continue;
    }
    PacemakerResource resource;
    resource.id = attribute(element, "id");
    std::string role = attribute(element, "role");
    if (!role.empty()) role.front() = static_cast<char>(role.front() | 0x20);
    resource.state = role == "started" && is_true(element, "active") ? "running" : role;
    for (const auto& [child, node] : element) {
      if (child == "node") resource.nodes.push_back(attribute(node, "name"));
    }
    resources.push_back(std::move(resource));
  }
}

}  // namespace

std::optional<PacemakerState> parse_crm_mon(const std::string& body) {
  ptree root;
  try {
    std::istringstream stream(body);
    boost::property_tree::read_xml(stream, root);
  } catch (const boost::property_tree::ptree_error&) {
    return std::nullopt;
  }
  const auto result = root.get_child_optional("pacemaker-result");
  if (!result) return std::nullopt;
  const auto nodes = result->get_child_optional("nodes");
  if (!nodes) return std::nullopt;
  PacemakerState state;
  if (const auto dc = result->get_child_optional("summary.current_dc")) {
    // "2.1.5-a3f44794f94"
    state.version = attribute(*dc, "version");
    state.version = state.version.substr(0, state.version.find('-'));
    state.quorum = is_true(*dc, "present") && is_true(*dc, "with_quorum");
  }
  for (const auto& [name, element] : *nodes) {
    if (name != "node") continue;
    state.nodes.push_back({.name = attribute(element, "name"),
                           .online = is_true(element, "online") && !is_true(element, "pending") &&
                                     !is_true(element, "unclean") && !is_true(element, "standby"),
                           .leads = is_true(element, "is_dc")});
  }
  if (const auto resources = result->get_child_optional("resources")) {
    add_resources(*resources, state.resources);
  }
  return state;
}

std::optional<CorosyncTerms> parse_corosync_totem(const std::string& body) {
  const auto seconds = [&](const std::string& key) -> std::optional<double> {
    // "runtime.config.totem.token (u32) = 1650"
    const auto at = body.find("runtime.config.totem." + key + " (u32) = ");
    if (at == std::string::npos) return std::nullopt;
    const auto begin = body.find("= ", at) + 2;
    const auto value = parse_whole_number(body.substr(begin, body.find('\n', begin) - begin));
    return value ? std::optional<double>(*value / 1000) : std::nullopt;
  };
  const auto token = seconds("token");
  const auto consensus = seconds("consensus");
  if (!token || !consensus) return std::nullopt;
  return CorosyncTerms{*token, *consensus};
}

bool is_instance_of(const std::string& resource, const std::string& app) {
  if (!resource.starts_with(app)) return false;
  if (resource.size() == app.size()) return true;
  const std::string rest = resource.substr(app.size() + 1);
  return (resource[app.size()] == '-' || resource[app.size()] == ':') && !rest.empty() &&
         std::ranges::all_of(rest, [](char letter) { return letter >= '0' && letter <= '9'; });
}

}  // namespace zq
