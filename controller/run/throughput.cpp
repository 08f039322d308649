#include "controller/run/throughput.h"

#include <netinet/in.h>

#include <algorithm>
#include <map>
#include <set>

namespace zq {
namespace {

// One way. TCP has to double its window often enough in the time it is given.
constexpr double kLongDelayMs = 25;

bool hard_for_tcp(const AskedPath& asked) {
  return asked.delay_ms.high > kLongDelayMs || asked.jitter_ms > 0 || asked.loss.high > 0 ||
         asked.reorder.high > 0 || asked.corrupt.high > 0 || asked.duplicate.high > 0;
}

}  // namespace

std::vector<CappedBorder> find_capped_borders(const Cluster& cluster, const Plan& plan,
                                              std::uint16_t port, Nanos begin, Nanos end,
                                              bool sum) {
  std::map<std::pair<GroupId, GroupId>, CappedBorder> borders;
  std::map<std::pair<GroupId, GroupId>, std::set<NodeId>> known;
  for (const PlannedPath& path : planned_paths(cluster, plan)) {
    if (path.agentless) continue;
    const ProbeFlow there{.from = path.key.from, .to = path.key.to, .port = port, .tcp = true};
    const ProbeFlow back{.from = path.key.to, .to = path.key.from, .port = port, .tcp = true};
    const AskedPath asked = asked_of(plan, there, begin, end);
    const AskedPath acknowledged = asked_of(plan, back, begin, end);
    if (asked.only == nullptr || asked.only->rate_bps == 0 || acknowledged.cut) continue;
    const std::pair border(plan.programmes[path.key.from].group,
                           plan.programmes[path.key.to].group);
    if (!known[border].insert(path.key.from).second) continue;  // IPv4 comes first
    CappedBorder& capped = borders[border];
    if (!sum && !capped.senders.empty()) continue;
    const auto rate = static_cast<double>(asked.only->rate_bps);
    capped.senders.push_back({.path = path, .rate_bps = rate});
    capped.rate_bps += rate;
    capped.held_back = capped.held_back || hard_for_tcp(asked) || hard_for_tcp(acknowledged);
  }
  std::vector<CappedBorder> result;
  result.reserve(borders.size());
  for (auto& [groups, border] : borders) result.push_back(std::move(border));
  return result;
}

Nanos throughput_time(std::size_t borders, Nanos room) {
  constexpr Nanos kEach = kThroughputTime + kThroughputPause;
  const auto fit = static_cast<std::size_t>(std::max<std::int64_t>(room / kEach, 0));
  return kEach * static_cast<std::int64_t>(std::min(borders, fit));
}

}  // namespace zq
