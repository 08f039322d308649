#include "agent/dataplane/programme_rules.h"

#include <netinet/in.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <span>
#include <utility>

namespace zq {
namespace {

static_assert(kMaxSegments == ZQ_MAX_SEGMENTS && kMaxPortRanges == ZQ_MAX_RANGES);
static_assert(static_cast<int>(Treatment::kDrop) == ZQ_DROP &&
              static_cast<int>(Treatment::kReject) == ZQ_REJECT &&
              static_cast<int>(Treatment::kImpair) == ZQ_IMPAIR);
static_assert(static_cast<int>(LossModel::Kind::kRandom) == ZQ_RANDOM &&
              static_cast<int>(LossModel::Kind::kGilbertElliott) == ZQ_GILBERT_ELLIOTT &&
              static_cast<int>(LossModel::Kind::kFourState) == ZQ_FOUR_STATE);

const char* name_of(FlowDirection direction) {
  return direction == FlowDirection::kEgress ? "egress" : "ingress";
}

Status check_scope(const Scope& scope, const std::string& where) {
  const std::size_t ranges =
      scope.ports.size() + scope.source_ports.size() + scope.destination_ports.size();
  if (ranges > kMaxPortRanges) {
    return fail(ErrorCode::kInput, "programme: {}: {} port ranges, at most {} fit into a scope",
                where, ranges, kMaxPortRanges);
  }
  for (const auto* list : {&scope.ports, &scope.source_ports, &scope.destination_ports}) {
    for (const PortRange& range : *list) {
      if (range.first <= range.last) continue;
      return fail(ErrorCode::kInput, "programme: {}: ports {}-{} are no range", where, range.first,
                  range.last);
    }
  }
  constexpr std::array<std::uint8_t, 6> kWithPorts{
      0, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_UDPLITE, IPPROTO_DCCP};
  if (ranges > 0 && std::ranges::find(kWithPorts, scope.protocol) == kWithPorts.end()) {
    return fail(ErrorCode::kInput, "programme: {}: IP protocol {} has no ports", where,
                scope.protocol);
  }
  return {};
}

Status check_segment(const GateRule::Segment& segment, std::size_t impairments,
                     const std::string& where) {
  if (segment.until <= segment.from || segment.from < MonoTime{}) {
    return fail(ErrorCode::kInput, "programme: {} ends at {} ns, but begins at {} ns", where,
                to_ns(segment.until), to_ns(segment.from));
  }
  if (segment.period < Nanos{0} || segment.on < Nanos{0} ||
      (segment.period > Nanos{0} && (segment.on == Nanos{0} || segment.on > segment.period))) {
    return fail(ErrorCode::kInput,
                "programme: {} is on for {} ns of every {} ns: the first must be above 0 and not "
                "above the second",
                where, segment.on.count(), segment.period.count());
  }
  if (segment.treatment == Treatment::kImpair && segment.impairment >= impairments) {
    return fail(ErrorCode::kInput, "programme: {} has impairment {}, but there are {}", where,
                segment.impairment, impairments);
  }
  return check_scope(segment.scope, where);
}

std::uint64_t kernel_time(MonoTime time) { return static_cast<std::uint64_t>(to_ns(time)); }

void put_ports(zq_segment& segment, const std::vector<PortRange>& ranges, zq_side side) {
  for (const PortRange& range : ranges) {
    zq_ports& in_kernel = segment.port[segment.ranges++];
    in_kernel.first = range.first;
    in_kernel.last = range.last;
    in_kernel.side = static_cast<std::uint8_t>(side);
    segment.sides = static_cast<std::uint8_t>(segment.sides | side);
  }
}

void put_scope(zq_segment& segment, const Scope& scope) {
  segment.scoped = scope.everything() ? 0 : 1;
  // The kernel's side knows one ICMP for both families.
  segment.protocol = scope.protocol;
  if (segment.protocol == IPPROTO_ICMPV6) segment.protocol = IPPROTO_ICMP;
  put_ports(segment, scope.ports, ZQ_EITHER);
  put_ports(segment, scope.source_ports, ZQ_SOURCE);
  put_ports(segment, scope.destination_ports, ZQ_DESTINATION);
}

// Drops tell of the last packet before them and the first after them. Of several with the same
// scope each is told of those that pass next to it; bridge_gaps() does the rest.
void put_notes(zq_segment& in_kernel, const GateRule::Segment& segment, const GateRule& rule,
               MonoTime end) {
  in_kernel.note_from = in_kernel.from;
  in_kernel.note_until = in_kernel.until;
  if (segment.treatment == Treatment::kImpair) return;
  MonoTime before{};
  MonoTime after = MonoTime::max();
  for (const GateRule::Segment& other : rule.segments) {
    if (other.treatment == Treatment::kImpair || other.scope != segment.scope) continue;
    if (other.until <= segment.from) before = std::max(before, other.until);
    if (other.from >= segment.until && other.from < end) after = std::min(after, other.from);
  }
  in_kernel.note_from = kernel_time(before);
  in_kernel.note_until = kernel_time(after);
}

std::uint32_t threshold(double probability) {
  constexpr double kAlways = std::numeric_limits<std::uint32_t>::max();
  const double scaled = std::round(std::clamp(probability, 0.0, 1.0) * kAlways);
  return static_cast<std::uint32_t>(scaled);
}

}  // namespace

Status check_programme(const GateProgramme& programme, std::uint32_t groups) {
  for (std::size_t i = 0; i < programme.impairments.size(); ++i) {
    if (auto checked = check(programme.impairments[i]); !checked) {
      return tl::unexpected(
          std::move(checked).error().with_context(fmt::format("programme: impairment {}", i)));
    }
  }
  std::set<std::pair<FlowDirection, std::uint32_t>> seen;
  for (const GateRule& rule : programme.rules) {
    const std::string where = fmt::format("{} of group {}", name_of(rule.direction), rule.group);
    if (rule.group >= groups) {
      return fail(ErrorCode::kInput, "programme: {}, but there are {} groups", where, groups);
    }
    if (!seen.emplace(rule.direction, rule.group).second) {
      return fail(ErrorCode::kInput, "programme: {} has two rules", where);
    }
    if (rule.segments.size() > kMaxSegments) {
      return fail(ErrorCode::kInput, "programme: {} has {} segments, at most {} fit", where,
                  rule.segments.size(), kMaxSegments);
    }
    for (std::size_t i = 0; i < rule.segments.size(); ++i) {
      ZQ_CHECK(check_segment(rule.segments[i], programme.impairments.size(),
                             fmt::format("segment {} of {}", i, where)));
    }
  }
  return {};
}

zq_programme_entry kernel_entry(const GateRule& rule, const std::vector<SegmentLinks>& links,
                                std::uint32_t evidence_slot, std::uint32_t evidence_first,
                                MonoTime end) {
  zq_programme_entry entry{};
  entry.evidence_slot = evidence_slot;
  for (std::size_t i = 0; i < rule.segments.size(); ++i) {
    const GateRule::Segment& segment = rule.segments[i];
    if (segment.from >= end) continue;
    zq_segment& in_kernel = entry.segment[entry.segments++];
    in_kernel.from = kernel_time(segment.from);
    in_kernel.until = kernel_time(std::min(segment.until, end));
    in_kernel.period = static_cast<std::uint64_t>(segment.period.count());
    in_kernel.on = static_cast<std::uint64_t>(segment.on.count());
    in_kernel.evidence = evidence_first + static_cast<std::uint32_t>(i);
    in_kernel.treatment = static_cast<std::uint8_t>(segment.treatment);
    in_kernel.chance = links[i].chance;
    in_kernel.class_id = links[i].queue;
    put_scope(in_kernel, segment.scope);
    put_notes(in_kernel, segment, rule, end);
    if (in_kernel.scoped != 0) entry.scoped = 1;
    if (segment.treatment != Treatment::kImpair) entry.noted = 1;
  }
  return entry;
}

zq_chance kernel_chance(const Impairment& impairment) {
  zq_chance chance{};
  chance.loss = static_cast<std::uint32_t>(impairment.loss.kind);
  chance.duplicate = threshold(impairment.duplicate);
  std::ranges::transform(impairment.loss.parameters, std::begin(chance.parameter), threshold);
  return chance;
}

}  // namespace zq
