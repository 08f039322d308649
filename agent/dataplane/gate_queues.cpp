#include "agent/dataplane/gate_queues.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "agent/dataplane/hooks.h"
#include "agent/dataplane/traffic_control.h"

namespace zq {
namespace {

constexpr Nanos kPatienceMargin = std::chrono::seconds(1);
constexpr Nanos kMaxPatience = std::chrono::seconds(65);

}  // namespace

GateQueues::GateQueues(Shaper shaper, std::vector<Uplink> uplinks)
    : shaper_(std::move(shaper)), uplinks_(std::move(uplinks)) {}

Result<GateQueues> GateQueues::make(const std::vector<Uplink>& uplinks, const GateObject& object) {
  ZQ_TRY(auto shaper, Shaper::make(uplinks, object.shaper_programs()));
  shaper.set_liveness_map(object.line_fd());
  return GateQueues(std::move(shaper), uplinks);
}

Status GateQueues::prepare(NetlinkSocket& socket, const GateObject& object,
                           const GateProgramme& programme) {
  std::vector<QueueClass> classes = classes_;
  decltype(in_use_) in_use;
  bool line_may_come = false;
  for (const GateRule& rule : programme.rules) {
    for (const GateRule::Segment& segment : rule.segments) {
      if (segment.treatment != Treatment::kImpair) continue;
      const Impairment& impairment = programme.impairments[segment.impairment];
      if (!impairment.queues()) continue;
      const auto key = std::tuple(rule.direction, rule.group, segment.impairment);
      if (in_use.contains(key)) continue;
      const auto known = std::ranges::find_if(classes, [&](const QueueClass& queue) {
        return queue.direction == rule.direction && queue.group == rule.group &&
               queue.impairment == impairment;
      });
      if (known != classes.end()) {
        known->impairment_index = segment.impairment;
        in_use[key] = known->id;
        continue;
      }
      if (classes.size() == kMaxQueues) {
        return fail(
            ErrorCode::kRefused,
            "programme: more than {} queues (pairs of a group and an impairment) in one run",
            kMaxQueues);
      }
      classes.push_back({.id = static_cast<std::uint16_t>(classes.size() + 1),
                         .direction = rule.direction,
                         .group = rule.group,
                         .impairment_index = segment.impairment,
                         .impairment = impairment});
      in_use[key] = classes.back().id;
      line_may_come = line_may_come ||
                      (rule.direction == FlowDirection::kEgress && impairment.delay > Nanos{0});
    }
  }
  if (in_use.empty()) return {};
  ZQ_CHECK(check_hooks(socket));
  // Should a delay line replace the egress lane, packets must not be steered while one of the
  // steering filter and what it does to packets is the old lane's and the other the new one's.
  const bool changes = line_may_come && !classes_.empty() && !shaper_.uses_delay_line() &&
                       !probe_queue_support().netem.empty();
  if (changes) object.set_egress_lane(ZQ_LANE_CHANGING);
  auto prepared = shaper_.prepare(classes);
  object.set_egress_lane(shaper_.uses_delay_line() ? ZQ_LANE_TAP : ZQ_LANE_IFB);
  ZQ_CHECK(std::move(prepared));
  classes_ = std::move(classes);
  in_use_ = std::move(in_use);
  return {};
}

// Packets that go through a queue are out of sight of filters behind the steering filter.
Status GateQueues::check_hooks(NetlinkSocket& socket) const {
  ZQ_TRY(const auto behind, filters_behind(socket, uplinks_));
  if (behind.empty()) return {};
  return fail(ErrorCode::kRefused,
              "packets that are delayed or slowed down would not be seen by {}: remove it for the "
              "time of the run",
              fmt::join(behind, ", "));
}

std::uint16_t GateQueues::class_of(const GateRule& rule, std::uint32_t impairment_index) const {
  const auto found = in_use_.find({rule.direction, rule.group, impairment_index});
  return found == in_use_.end() ? std::uint16_t{0} : found->second;
}

Result<std::vector<QueueState>> GateQueues::state() const {
  ZQ_TRY(auto states, shaper_.state());
  for (QueueState& state : states) {
    const auto index = static_cast<std::size_t>(state.queue.id) - 1;
    if (index < classes_.size()) state.queue.impairment_index = classes_[index].impairment_index;
  }
  return states;
}

Result<std::vector<std::string>> GateQueues::violations() const { return shaper_.violations(); }

Nanos GateQueues::longest_drain() const {
  Nanos longest{};
  for (const QueueClass& queue : classes_) {
    longest = std::max(longest, shaper_numbers(queue.impairment).drain);
  }
  return longest;
}

Status GateQueues::remove() {
  if (classes_.empty()) return {};
  ZQ_CHECK(shaper_.remove(std::min(longest_drain() + kPatienceMargin, kMaxPatience)));
  classes_.clear();
  return {};
}

}  // namespace zq
