#include "experiments/signal.h"

#include <algorithm>
#include <array>

namespace zq {
namespace {

constexpr std::array<std::string_view, 3> kNodeLabels{"node", "zone", "system"};
constexpr std::array<std::string_view, 4> kMemberLabels{"node", "zone", "system", "seen_by"};
constexpr std::array<std::string_view, 6> kInstanceLabels{"app",    "zone",   "state",
                                                          "source", "system", "seen_by"};
constexpr std::array<std::string_view, 3> kAppWaitingLabels{"app", "system", "seen_by"};
constexpr std::array<std::string_view, 4> kAnswerLabels{"app", "instance", "node", "zone"};
constexpr std::array<std::string_view, 4> kPathLabels{"from", "to", "from_zone", "to_zone"};

// Values are never negative: the judge reasons with that where a series is unknown.
constexpr std::array<SignalInfo, 22> kSignals{{
    {"master.up", kNodeLabels, "1 while the node's master process answers, else 0"},
    {"master.leads", kNodeLabels, "1 while the node's master says that it leads, else 0"},
    {"master.serves", kNodeLabels, "1 while the node's master serves requests, else 0"},
    {"master.accepts", kNodeLabels,
     "1 while the node's master commits changes (an active no-op update succeeds), else 0"},
    {"member.state", kMemberLabels,
     "1 while the node is a healthy member in the eyes of node seen_by, else 0"},
    {"member.unreachable", kMemberLabels,
     "1 while node seen_by has given the node up as lost, else 0: a member may be inactive (state "
     "0) "
     "and not given up"},
    {"app.instances", kInstanceLabels,
     "number of the app's instances in that state, as node seen_by says: as the scheduler or the "
     "master sees it, or of its own (source = scheduler, master, node)"},
    {"app.answers", kAnswerLabels, "1 while the instance itself answers on its own node, else 0"},
    {"app.waiting", kAppWaitingLabels,
     "number of the app's instances that the scheduler wants and has no place for, as seen_by "
     "says"},
    {"scheduler.up", kNodeLabels, "1 while the node's scheduler process answers, else 0"},
    {"scheduler.leads", kNodeLabels, "1 while the node's scheduler says that it leads, else 0"},
    {"scheduler.accepts", kNodeLabels,
     "1 while the node's scheduler accepts changes (an active no-op update succeeds), else 0"},
    {"coordinator.serves", kNodeLabels, "1 while the node's coordinator serves clients, else 0"},
    {"coordinator.leads", kNodeLabels, "1 while the node's coordinator leads, else 0"},
    {"write.attempted", kNodeLabels, "number of unique-value writes tried from the node so far"},
    {"write.acknowledged", kNodeLabels, "number of those writes acknowledged so far"},
    {"write.read_back", kNodeLabels,
     "1: everything that was acknowledged has been asked for again"},
    {"write.lost", kNodeLabels,
     "number of acknowledged writes that reading back after the heal did not find"},
    {"net.reachable", kPathLabels, "1 while what `from` sends arrives at `to`, else 0"},
    {"net.rtt_ms", kPathLabels, "round-trip time in milliseconds"},
    {"net.loss", kPathLabels, "share of what `from` sends that does not arrive at `to`, 0 to 1"},
    {"net.throughput_mbps", kPathLabels, "measured throughput in Mbit/s"},
}};

}  // namespace

std::optional<double> Series::at(MonoTime time) const {
  const auto after = std::upper_bound(
      segments.begin(), segments.end(), time,
      [](MonoTime instant, const Segment& segment) { return instant < segment.from; });
  if (after == segments.begin()) return std::nullopt;
  const Segment& segment = *std::prev(after);
  // In this form nothing overflows when stale_after is "never".
  if (time - segment.last > stale_after) return std::nullopt;
  return segment.value;
}

std::span<const SignalInfo> known_signals() { return kSignals; }

const SignalInfo* find_signal(std::string_view name) {
  const auto* const found = std::ranges::find(kSignals, name, &SignalInfo::name);
  return found == kSignals.end() ? nullptr : found;
}

}  // namespace zq
