#include "controller/testbed/environment.h"

#include <algorithm>
#include <map>
#include <set>

#include "controller/testbed/network.h"

namespace zq::testbed {
namespace {

using ZonePair = std::pair<std::uint32_t, std::uint32_t>;

// Zones count by their place among the zones that have nodes.
class LinkPlanner {
 public:
  LinkPlanner(const Cluster& cluster, const std::vector<ZoneAddresses>& zones) {
    for (std::uint32_t i = 0; i < zones.size(); ++i) index_of_[zones[i].zone] = i;
    for (const Zone& zone : cluster.zones) {
      const auto found = index_of_.find(zone.name);
      if (found != index_of_.end()) zones_of_[zone.region].push_back(found->second);
    }
  }

  Result<std::vector<WanLink>> plan(const std::vector<TestbedLink>& links) {
    // Zones first: what they claim is not left to regions.
    for (const bool of_zones : {true, false}) {
      for (const TestbedLink& link : links) {
        if (link.a == link.b) {
          return fail(ErrorCode::kInput, "{}: a link joins two zones or regions, not '{}' twice",
                      link.position.to_string(), link.a);
        }
        if (joins_zones(link) == of_zones) ZQ_CHECK(of_zones ? add_zones(link) : add_regions(link));
      }
    }
    return std::move(planned_);
  }

 private:
  [[nodiscard]] bool joins_zones(const TestbedLink& link) const {
    return index_of_.contains(link.a) && index_of_.contains(link.b);
  }

  Status add_zones(const TestbedLink& link) {
    const std::uint32_t a = index_of_.at(link.a);
    const std::uint32_t b = index_of_.at(link.b);
    if (!claim(a, b)) {
      return fail(ErrorCode::kInput, "{}: zones '{}' and '{}' are linked twice; remove one link",
                  link.position.to_string(), link.a, link.b);
    }
    planned_.push_back({link.a, link.b, link.impairment, {{a, b}}});
    return {};
  }

  Status add_regions(const TestbedLink& link) {
    for (const std::string& name : {link.a, link.b}) {
      if (zones_of_.contains(name)) continue;
      return fail(ErrorCode::kInput,
                  "{}: the cluster has no region '{}'; a link joins two of its zones or two of "
                  "its regions",
                  link.position.to_string(), name);
    }
    WanLink shared{link.a, link.b, link.impairment, {}};
    for (const std::uint32_t a : zones_of_.at(link.a)) {
      for (const std::uint32_t b : zones_of_.at(link.b)) {
        if (claim(a, b)) shared.pairs.push_back({a, b});
      }
    }
    if (!shared.pairs.empty()) planned_.push_back(std::move(shared));
    return {};
  }

  bool claim(std::uint32_t a, std::uint32_t b) { return claimed_.insert(std::minmax(a, b)).second; }

  std::map<std::string, std::uint32_t> index_of_;
  std::map<std::string, std::vector<std::uint32_t>> zones_of_;  // by region
  std::set<ZonePair> claimed_;
  std::vector<WanLink> planned_;
};

}  // namespace

Result<std::optional<WanConfig>> plan_environment(const Cluster& cluster,
                                                  const std::vector<ZoneAddresses>& zones) {
  if (!cluster.testbed || cluster.testbed->links.empty()) return std::optional<WanConfig>();
  WanConfig config;
  for (std::size_t i = 0; i < zones.size(); ++i) {
    WanZone zone{zones[i].zone, core_device(i), {}};
    for (const NodeAddresses& node : zones[i].nodes) {
      for (const IpAddress& address : node.addresses) {
        zone.addresses.push_back(IpPrefix::host(address));
      }
    }
    config.zones.push_back(std::move(zone));
  }
  ZQ_TRY(config.links, LinkPlanner(cluster, zones).plan(cluster.testbed->links));
  return std::optional(std::move(config));
}

Launch plan_environment_process(const WanConfig& config, const Layout& layout,
                                const std::string& agent_binary) {
  const std::string dir = layout.node_dir(kCoreNode);
  Launch launch;
  launch.node = kCoreNode;
  launch.name = "environment";
  launch.files = {{dir + "/environment.json", to_text(config)}};
  launch.request.argv = {agent_binary,  "wan",        "--config", dir + "/environment.json",
                         "--state-dir", dir + "/wan", "--netns",  layout.core_netns()};
  launch.request.env = {kProgramPath, "HOME=" + dir, "LC_ALL=C.UTF-8"};
  launch.request.cgroup = layout.core_cgroup();
  launch.request.directory = dir;
  launch.request.output = launch.request.errors = dir + "/environment.log";
  launch.ready = ReadyCheck{"file", {dir + "/wan/ready"}, "", std::chrono::seconds(30), ""};
  return launch;
}

Result<WanConfig> environment_of(const Launch& launch) {
  if (launch.files.empty()) return fail(ErrorCode::kInternal, "the testbed's state is damaged");
  return parse_wan_config(launch.files.front().second);
}

}  // namespace zq::testbed
