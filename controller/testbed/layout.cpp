#include "controller/testbed/layout.h"

#include <algorithm>
#include <map>

namespace zq::testbed {
namespace {

// Unix socket paths end at 107 bytes, and a node's is the longest path that we make.
constexpr std::size_t kMaxName = 24;

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.';
}

std::string at(const Position& position) {
  return position.line == 0 ? std::string() : position.to_string() + ": ";
}

}  // namespace

std::string Layout::run_dir() const { return std::string(kRunRoot) + "/" + cluster; }
std::string Layout::state_file() const { return run_dir() + "/state.json"; }
std::string Layout::data_dir() const { return std::string(kDataRoot) + "/" + cluster; }
std::string Layout::node_dir(const std::string& node) const { return run_dir() + "/" + node; }
std::string Layout::node_data_dir(const std::string& node) const { return data_dir() + "/" + node; }
std::string Layout::steps_dir() const { return run_dir() + "/.steps"; }

std::string Layout::core_netns() const { return "zq-" + cluster + "-" + kCoreNode; }
std::string Layout::zone_netns(const std::string& zone) const {
  return "zq-" + cluster + "-zone-" + zone;
}
std::string Layout::node_netns(const std::string& node) const {
  return "zq-" + cluster + "-" + node;
}

std::string Layout::cgroup() const { return std::string(kCgroupRoot) + "/" + cluster; }
std::string Layout::node_cgroup(const std::string& node) const {
  return cgroup() + "/nodes/" + node;
}
std::string Layout::agent_cgroup(const std::string& node) const {
  return cgroup() + "/agents/" + node;
}
std::string Layout::core_cgroup() const { return cgroup() + "/core"; }
std::string Layout::steps_cgroup() const { return cgroup() + "/steps"; }
std::string Layout::exec_cgroup() const { return cgroup() + "/exec"; }

Status check_name(const std::string& what, const std::string& name, const Position& position) {
  const bool good = !name.empty() && name.size() <= kMaxName &&
                    std::ranges::all_of(name, is_name_character) && name.front() != '.' &&
                    name.front() != '-';
  if (good) return {};
  return fail(ErrorCode::kInput,
              "{}{} name '{}' cannot be used in a testbed; use 1 to {} letters, digits, '-', '_' "
              "or '.', and start with a letter or digit",
              at(position), what, name, kMaxName);
}

Status check_names(const Cluster& cluster) {
  ZQ_CHECK(check_name("cluster", cluster.name, Position{cluster.path, 0, 0}));
  const Layout layout{cluster.name};
  std::map<std::string, std::string> owners{{layout.core_netns(), "the core namespace"}};
  const auto claim = [&](const std::string& netns, const std::string& owner,
                         const Position& position) -> Status {
    const auto [entry, added] = owners.emplace(netns, owner);
    if (added) return {};
    return fail(ErrorCode::kInput,
                "{}{} and {} would share the network namespace {}; rename one of them",
                at(position), owner, entry->second, netns);
  };
  for (const Zone& zone : cluster.zones) {
    ZQ_CHECK(check_name("zone", zone.name, zone.position));
    ZQ_CHECK(claim(layout.zone_netns(zone.name), "zone " + zone.name, zone.position));
  }
  for (const Node& node : cluster.nodes) {
    ZQ_CHECK(check_name("node", node.name, node.position));
    ZQ_CHECK(claim(layout.node_netns(node.name), "node " + node.name, node.position));
  }
  return {};
}

}  // namespace zq::testbed
