#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "controller/check/rules.h"
#include "experiments/presets.h"

namespace zq::rules {
namespace {

constexpr double kLoss = 0.001;  // the recommendation's "highly available" in numbers
// Probes between two agents' countings: not lost.
constexpr double kSlackProbes = 2;
constexpr std::uint64_t kFewProbes = 50;

const char* link_between(const Node& a, const Node& b) {
  if (a.region != b.region) return "inter-region";
  return a.zone != b.zone ? "inter-zone" : "intra-zone";
}

double preset_ms(const char* name) {
  const Preset* const preset = find_preset(name);
  return preset == nullptr ? 0 : to_seconds(preset->rtt) * 1e3;
}

double preset_mbps(const char* name) {
  const Preset* const preset = find_preset(name);
  return preset == nullptr ? 0 : static_cast<double>(preset->bandwidth_bps) / 1e6;
}

bool coordinates_others(const Node& node) {
  return node.has_role("master") || node.has_role("coordinator") || node.has_role("scheduler");
}

std::string ends(const CheckInput& input, NodeId from, NodeId to) {
  return fmt::format("{} -> {}", input.cluster.nodes[from].name, input.cluster.nodes[to].name);
}

void judge_path(const CheckInput& input, CheckResult& result, const PathFacts& path) {
  const Node& from = input.cluster.nodes[path.from];
  const Node& to = input.cluster.nodes[path.to];
  const std::string name = fmt::format("{} ({})", ends(input, path.from, path.to), path.address);
  const bool one_region = from.region == to.region;
  const double limit = preset_ms(one_region ? "inter-zone" : "inter-region");
  const double missing = static_cast<double>(path.sent) - static_cast<double>(path.received);
  if (path.sent < kFewProbes) {
    result.unknown.push_back(fmt::format("{}: {} probes are too few", name, path.sent));
    return;
  }
  if (missing > kSlackProbes + kLoss * static_cast<double>(path.sent)) {
    blame(result, fmt::format("{}: {} of {} probes were not answered, {:.2g}% (at most 0.1%)", name,
                              path.sent - path.received, path.sent,
                              100 * missing / static_cast<double>(path.sent)));
  }
  if (!path.rtt_p99_ms) {
    if (path.received > 0) {
      result.unknown.push_back(fmt::format("{}: its round-trip time was not told", name));
    }
    return;
  }
  if (*path.rtt_p99_ms > limit) {
    blame(result, fmt::format("{}: round trip p50 {:.2f} ms, p99 {:.2f} ms, more than the {:g} ms "
                              "of {}",
                              name, path.rtt_p50_ms.value_or(*path.rtt_p99_ms), *path.rtt_p99_ms,
                              limit, one_region ? "a region" : "links between regions"));
  }
}

// Of a node, as it says itself; otherwise empty.
bool useless(const IpAddress& address) {
  static const std::array<IpPrefix, 8> kUseless{
      *IpPrefix::parse("127.0.0.0/8"), *IpPrefix::parse("169.254.0.0/16"),
      *IpPrefix::parse("224.0.0.0/4"), *IpPrefix::parse("0.0.0.0/8"),
      *IpPrefix::parse("::1"),         *IpPrefix::parse("fe80::/10"),
      *IpPrefix::parse("ff00::/8"),    *IpPrefix::parse("::")};
  return std::any_of(kUseless.begin(), kUseless.end(),
                     [&](const IpPrefix& prefix) { return prefix.contains(address); });
}

class AddressCheck {
 public:
  AddressCheck(const CheckInput& input, CheckResult& result) : input_(input), result_(result) {}

  void run() {
    const Cluster& cluster = input_.cluster;
    for (std::size_t i = 0; i < cluster.nodes.size(); ++i) {
      for (const IpPrefix& prefix : cluster.nodes[i].addresses) {
        if (prefix.is_host()) add(prefix.address(), cluster.nodes[i].name);
      }
    }
    for (const VoterFacts& voter : input_.facts.voters) {
      advertised(voter.system, voter.node, cluster.nodes[voter.node].name, voter.advertised);
    }
    for (const MemberFacts& member : input_.facts.members) {
      const std::string name = member.node ? cluster.nodes[*member.node].name : member.hostname;
      advertised(member.system, member.node, name, member.advertised);
    }
    for (const AppFacts& app : input_.facts.apps) {
      for (const IpAddress& address : app.addresses) {
        if (useless(address)) {
          blame(result_, fmt::format("{} has an instance at {}, which nobody else can reach",
                                     app.id, address.to_string()));
        }
        instances_[address].push_back("an instance of " + app.id);
      }
    }
    report_duplicates();
  }

 private:
  void add(const IpAddress& address, const std::string& owner) { owners_[address].insert(owner); }

  void advertised(const std::string& system, std::optional<NodeId> node, const std::string& name,
                  const std::vector<IpAddress>& addresses) {
    for (const IpAddress& address : addresses) {
      add(address, name);
      if (useless(address)) {
        blame(result_, fmt::format("{}: {} advertises {}, which nobody else can reach", system,
                                   name, address.to_string()));
        continue;
      }
      if (!node) continue;
      const Node& known = input_.cluster.nodes[*node];
      const bool own =
          std::any_of(known.addresses.begin(), known.addresses.end(),
                      [&](const IpPrefix& prefix) { return prefix.contains(address); });
      if (own) continue;
      blame(result_,
            fmt::format("{}: {} advertises {}, but is reached at {}: it seems to be behind "
                        "address translation",
                        system, name, address.to_string(), known.addresses.front().to_string()));
    }
  }

  void report_duplicates() {
    std::size_t count = 0;
    for (const auto& [address, owners] : owners_) {
      ++count;
      if (owners.size() > 1) {
        blame(result_, fmt::format("{} is the address of {}", address.to_string(),
                                   fmt::join(owners, " and of ")));
      }
    }
    // Each instance that tells of an address has it for itself.
    for (const auto& [address, names] : instances_) {
      ++count;
      const auto node = owners_.find(address);
      if (node != owners_.end()) {
        blame(result_, fmt::format("{} is the address of {} and of {}", address.to_string(),
                                   *node->second.begin(), names.front()));
      } else if (names.size() > 1) {
        blame(result_, fmt::format("{} is the address of {}", address.to_string(),
                                   fmt::join(names, " and of ")));
      }
    }
    result_.seen.push_back(fmt::format("{} addresses of nodes and instances", count));
  }

  const CheckInput& input_;
  CheckResult& result_;
  std::map<IpAddress, std::set<std::string>> owners_;
  std::map<IpAddress, std::vector<std::string>> instances_;
};

void ports(const CheckInput& input, CheckResult& result) {
  std::size_t open = 0, answered = 0;
  for (const PortFacts& port : input.facts.ports) {
    if (port.connects) {
      ++open;
    } else if (port.refused) {
      ++answered;
    } else {
      blame(result, fmt::format("{}: port {} cannot be reached: {}",
                                ends(input, port.from, port.to), port.port, port.error));
    }
  }
  result.seen.push_back(fmt::format(
      "{} of {} connections to the systems' ports were taken, {} were answered by a closed port",
      open, input.facts.ports.size(), answered));
  if (input.facts.ports.empty() && !input.cluster.systems.empty()) {
    result.unknown.push_back("no connection was tried: no agent answered");
  }
  for (const auto& [node, why] : input.facts.unchecked) {
    result.unknown.push_back(
        fmt::format("{} was not asked: {}", input.cluster.nodes[node].name, why));
  }
}

void measured_bandwidth(const CheckInput& input, CheckResult& result) {
  std::map<std::pair<std::string, std::string>, double> best;  // of a pair of zones
  for (const PathFacts& path : input.facts.paths) {
    if (!path.throughput_mbps) continue;
    const Node& from = input.cluster.nodes[path.from];
    const Node& to = input.cluster.nodes[path.to];
    if (from.zone == to.zone) continue;
    const char* const link = link_between(from, to);
    const double least = preset_mbps(link);
    const std::string line = fmt::format(
        "{} ({} -> {}): {:.0f} Mbit/s, the page expects at least {:.0f} of {} links",
        ends(input, path.from, path.to), from.zone, to.zone, *path.throughput_mbps, least, link);
    if (*path.throughput_mbps < least) {
      blame(result, line);
    } else {
      result.seen.push_back(line);
    }
    double& known = best[{from.zone, to.zone}];
    known = std::max(known, *path.throughput_mbps);
  }
  if (best.empty()) {
    result.unknown.push_back(input.throughput_asked
                                 ? "no throughput between zones could be measured"
                                 : "throughput was not measured; ask for it with --throughput");
    return;
  }
  // A follower that comes back takes the whole snapshot within initLimit.
  double slowest = best.begin()->second;
  for (const auto& [zones, mbps] : best) slowest = std::min(slowest, mbps);
  for (const auto& [system, bytes] : input.facts.snapshot_bytes) {
    const auto limit = input.facts.timers.find({system, "init_limit_time"});
    if (limit == input.facts.timers.end() || slowest <= 0) continue;
    const double takes = bytes * 8 / (slowest * 1e6);
    const std::string line = fmt::format(
        "{}: a snapshot of at most {:.0f} bytes takes {:.3g}s over the slowest link; "
        "initLimit allows {:g}s",
        system, bytes, takes, limit->second);
    if (takes >= limit->second) {
      blame(result, line);
    } else {
      result.seen.push_back(line);
    }
  }
}

}  // namespace

void latency(const CheckInput& input, CheckResult& result) {
  std::map<std::string, std::pair<double, double>> worst;  // of a kind of link: p50, p99
  std::size_t measured = 0;
  for (const PathFacts& path : input.facts.paths) {
    if (path.sent == 0) continue;  // throughput only
    const Node& from = input.cluster.nodes[path.from];
    const Node& to = input.cluster.nodes[path.to];
    if (!coordinates_others(from) || !coordinates_others(to)) continue;
    ++measured;
    judge_path(input, result, path);
    auto& [p50, p99] = worst[link_between(from, to)];
    p50 = std::max(p50, path.rtt_p50_ms.value_or(0));
    p99 = std::max(p99, path.rtt_p99_ms.value_or(0));
  }
  for (const auto& [link, rtt] : worst) {
    result.seen.push_back(fmt::format("{}: worst round trip p50 {:.2f} ms, p99 {:.2f} ms", link,
                                      rtt.first, rtt.second));
  }
  result.seen.push_back(
      fmt::format("{} paths between masters, schedulers and coordinators", measured));
  const auto masters =
      std::count_if(input.cluster.nodes.begin(), input.cluster.nodes.end(), coordinates_others);
  if (measured == 0 && masters > 1) result.unknown.push_back("no path could be measured");
  for (const auto& [node, why] : input.facts.unchecked) {
    if (!coordinates_others(input.cluster.nodes[node])) continue;
    result.unknown.push_back(
        fmt::format("{} was not asked: {}", input.cluster.nodes[node].name, why));
  }
}

void addresses(const CheckInput& input, CheckResult& result) {
  AddressCheck(input, result).run();
  ports(input, result);
}

void bandwidth(const CheckInput& input, CheckResult& result) {
  const bool regions = input.topology == Topology::kT3;
  for (const AppFacts& app : input.facts.apps) {
    if (!app.io_intensive) continue;
    std::set<std::string> places;
    for (const MemberFacts& member : input.facts.members) {
      if (std::find(app.running_on.begin(), app.running_on.end(), member.id) ==
          app.running_on.end()) {
        continue;
      }
      places.insert(regions ? region_of_member(input.cluster, member)
                            : zone_of_member(input.cluster, member));
    }
    const std::string line = fmt::format("{} is data-intensive and runs in {} {}", app.id,
                                         regions ? "region" : "zone", fmt::join(places, ", "));
    if (places.size() > 1) {
      blame(result, line);
    } else {
      result.seen.push_back(line);
    }
  }
  measured_bandwidth(input, result);
}

void dedicated_links(const CheckInput& input, CheckResult& result) {
  std::map<std::string, std::set<std::string>> declared;  // region -> kinds of link
  for (const Node& node : input.cluster.nodes) {
    const auto label = node.labels.find("link");
    declared[node.region].insert(label == node.labels.end() ? "" : label->second);
  }
  for (const auto& [region, kinds] : declared) {
    if (kinds == std::set<std::string>{"dedicated"}) {
      result.seen.push_back(fmt::format("region {}: links declared as dedicated", region));
    } else if (kinds == std::set<std::string>{""}) {
      result.unknown.push_back(fmt::format(
          "region {}: its nodes do not declare the kind of their links (label link)", region));
    } else {
      std::set<std::string> shown;
      for (const std::string& kind : kinds) shown.insert(kind.empty() ? "nothing" : kind);
      blame(result, fmt::format("region {}: links declared as {}", region, fmt::join(shown, ", ")));
    }
  }
  for (const PathFacts& path : input.facts.paths) {
    const Node& from = input.cluster.nodes[path.from];
    const Node& to = input.cluster.nodes[path.to];
    if (from.region != to.region && path.sent > 0) judge_path(input, result, path);
  }
  std::map<std::string, std::map<std::string, std::vector<std::string>>> regions;  // by system
  for (const VoterFacts& voter : input.facts.voters) {
    if (voter.region) {
      regions[voter.system][*voter.region].push_back(input.cluster.nodes[voter.node].name);
    }
  }
  for (const auto& [system, told] : regions) {
    result.seen.push_back(fmt::format("{}: masters' own regions: {}", system, zones_text(told)));
    if (told.size() > 1) {
      blame(result, fmt::format("{}: the masters' fault domains name different regions; they exit "
                                "for it",
                                system));
    }
  }
}

}  // namespace zq::rules
