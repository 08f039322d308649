#include "controller/run/path_asked.h"

#include <netinet/in.h>

#include <algorithm>
#include <set>

namespace zq {
namespace {

double to_ms(Nanos duration) { return to_seconds(duration) * 1e3; }

bool holds(const std::vector<PortRange>& ranges, std::uint16_t port) {
  return ranges.empty() || std::any_of(ranges.begin(), ranges.end(), [&](const PortRange& range) {
           return range.first <= port && port <= range.last;
         });
}

// The segments of both ends that a probe may meet, in the order in which they decide.
std::vector<std::vector<const FaultSegment*>> segments_of(const Plan& plan, const ProbeFlow& flow) {
  std::vector<std::vector<const FaultSegment*>> ends;
  const auto add = [&](NodeId at, Direction direction, NodeId peer) {
    std::vector<const FaultSegment*>& end = ends.emplace_back();
    for (const ProgrammeEntry& entry : plan.programmes[at].entries) {
      if (entry.direction != direction || entry.peer != plan.programmes[peer].group) continue;
      for (const FaultSegment& segment : entry.segments) {
        if (scope_holds_probe(segment.scope, flow)) end.push_back(&segment);
      }
    }
  };
  add(flow.from, Direction::kEgress, flow.to);
  add(flow.to, Direction::kIngress, flow.from);
  return ends;
}

// What happens to the path while nothing changes.
struct Moment {
  bool cut = false;
  bool mixed = false;
  double flapping = 0;
  const Impairment* impairment = nullptr;
  bool impairment_flaps = false;
  Nanos longest_period{};
};

Moment moment_of(const Plan& plan, const std::vector<std::vector<const FaultSegment*>>& ends,
                 Nanos begin, Nanos end) {
  Moment moment;
  for (const auto& segments : ends) {
    for (const FaultSegment* segment : segments) {
      if (segment->window.from > begin || segment->window.until < end) continue;
      const bool flaps = segment->period > Nanos{0};
      moment.longest_period = std::max(moment.longest_period, segment->period);
      // Less than one turn says nothing about how often it is on.
      if (flaps && end - begin < segment->period) moment.mixed = true;
      if (segment->treatment == Treatment::kImpair) {
        moment.impairment = &plan.impairments[segment->impairment];
        moment.impairment_flaps = flaps;
        break;
      }
      if (!flaps) {
        moment.cut = true;
        break;
      }
      moment.flapping =
          std::max(moment.flapping, to_seconds(segment->on) / to_seconds(segment->period));
    }
  }
  return moment;
}

void add(AskedPath& asked, const Moment& moment, double weight, bool first) {
  const Impairment none;
  const Impairment& what = moment.impairment != nullptr ? *moment.impairment : none;
  const auto range = [&](double value) {
    return Range{moment.impairment_flaps ? 0 : value, value};
  };
  const double share = what.missing_share();
  const double lost = 1 - (1 - moment.flapping) * (1 - share);
  const Range loss{moment.impairment_flaps ? moment.flapping : lost, lost};
  const auto put = [&](Range& into, const Range& value) {
    if (first) into = value;
    into.include(value);
  };
  put(asked.delay_ms, range(to_ms(what.delay)));
  put(asked.loss, loss);
  put(asked.duplicate, range(what.doubled_share()));
  put(asked.reorder, range(what.reorder));
  put(asked.corrupt, range(what.corrupt));
  put(asked.rate_bps, range(static_cast<double>(what.rate_bps)));
  asked.mean_delay_ms += weight * to_ms(what.delay);
  asked.mean_loss += weight * lost;
  asked.jitter_ms = std::max(asked.jitter_ms, to_ms(what.jitter));
  asked.flapping = std::max(asked.flapping, moment.flapping);
  asked.longest_period = std::max(asked.longest_period, moment.longest_period);
  asked.impaired = asked.impaired || moment.impairment != nullptr || moment.flapping > 0;
  asked.mixed = asked.mixed || moment.mixed;
}

// Borders of segments inside (begin, end), and both of them.
std::vector<Nanos> borders_between(const std::vector<const FaultSegment*>& segments, Nanos begin,
                                   Nanos end) {
  std::set<Nanos> borders{begin, end};
  for (const FaultSegment* segment : segments) {
    for (const Nanos border : {segment->window.from, segment->window.until}) {
      if (begin < border && border < end) borders.insert(border);
    }
  }
  return {borders.begin(), borders.end()};
}

Range sum(const Range& a, const Range& b) { return {a.low + b.low, a.high + b.high}; }
Range either(const Range& a, const Range& b) {
  return {1 - (1 - a.low) * (1 - b.low), 1 - (1 - a.high) * (1 - b.high)};
}

std::vector<const FaultSegment*> all_segments(const Plan& plan) {
  std::vector<const FaultSegment*> segments;
  for (const NodeProgramme& programme : plan.programmes) {
    for (const ProgrammeEntry& entry : programme.entries) {
      for (const FaultSegment& segment : entry.segments) segments.push_back(&segment);
    }
  }
  return segments;
}

// The longest that a packet may be held by what is in force just before, and at, an instant.
Nanos drain_around(const Plan& plan, const std::vector<const FaultSegment*>& segments, Nanos at) {
  Nanos longest{0};
  for (const FaultSegment* segment : segments) {
    if (segment->treatment != Treatment::kImpair) continue;
    if (segment->window.from > at || segment->window.until < at) continue;
    longest = std::max(longest, drain_bound(plan.impairments[segment->impairment]));
  }
  return longest;
}

}  // namespace

bool probes_starve(const AskedPath& asked, double probe_rate, bool with_bulk) {
  if (with_bulk && asked.rate_bps.high > 0) return true;
  // A probe with its headers, and its echo; a node has at most two targets in a group, by two
  // families. Twice that leaves room for the system's own traffic.
  constexpr double kProbeBits = 2 * 4 * 2 * 8 * 160;
  return asked.rate_bps.high > 0 && asked.rate_bps.low < kProbeBits * probe_rate;
}

bool scope_holds_probe(const Scope& scope, const ProbeFlow& flow) {
  const bool has_ports =
      !scope.ports.empty() || !scope.source_ports.empty() || !scope.destination_ports.empty();
  const std::uint8_t protocol = flow.icmp ? IPPROTO_ICMP : flow.tcp ? IPPROTO_TCP : IPPROTO_UDP;
  if (scope.protocol != 0 && scope.protocol != protocol) return false;
  if (flow.icmp) return !has_ports;
  // Where TCP's data comes from is not known before.
  if (flow.tcp && !scope.source_ports.empty()) return false;
  return holds(scope.ports, flow.port) && holds(scope.source_ports, flow.port) &&
         holds(scope.destination_ports, flow.port);
}

AskedPath asked_of(const Plan& plan, const ProbeFlow& flow, Nanos begin, Nanos end) {
  const auto ends = segments_of(plan, flow);
  std::vector<const FaultSegment*> all;
  for (const auto& segments : ends) all.insert(all.end(), segments.begin(), segments.end());
  const std::vector<Nanos> borders = borders_between(all, begin, end);
  AskedPath asked;
  std::size_t cuts = 0;
  bool same = true;
  const Impairment* only = nullptr;
  for (std::size_t i = 0; i + 1 < borders.size(); ++i) {
    const Moment moment = moment_of(plan, ends, borders[i], borders[i + 1]);
    if (moment.cut) ++cuts;
    const double weight = to_seconds(borders[i + 1] - borders[i]) / to_seconds(end - begin);
    add(asked, moment, weight, i == 0);
    if (i > 0 && moment.impairment != only) same = false;
    only = moment.impairment;
    same = same && !moment.impairment_flaps && moment.flapping == 0;
  }
  asked.cut = cuts > 0 && cuts == borders.size() - 1;
  asked.mixed = asked.mixed || (cuts > 0 && !asked.cut);
  asked.only = same && cuts == 0 ? only : nullptr;
  return asked;
}

AskedPath asked_both_ways(const Plan& plan, const ProbeFlow& flow, Nanos begin, Nanos end) {
  const AskedPath there = asked_of(plan, flow, begin, end);
  ProbeFlow reverse = flow;
  std::swap(reverse.from, reverse.to);
  const AskedPath back = asked_of(plan, reverse, begin, end);
  AskedPath both;
  both.impaired = there.impaired || back.impaired;
  both.cut = there.cut || back.cut;
  both.mixed = there.mixed || back.mixed;
  both.delay_ms = sum(there.delay_ms, back.delay_ms);
  both.loss = either(there.loss, back.loss);
  both.corrupt = either(there.corrupt, back.corrupt);
  both.duplicate = either(there.duplicate, back.duplicate);
  both.reorder = {0, std::max(there.reorder.high, back.reorder.high)};
  both.rate_bps = {0, std::max(there.rate_bps.high, back.rate_bps.high)};
  both.mean_delay_ms = there.mean_delay_ms + back.mean_delay_ms;
  both.mean_loss = 1 - (1 - there.mean_loss) * (1 - back.mean_loss);
  both.jitter_ms = there.jitter_ms + back.jitter_ms;
  both.flapping = std::max(there.flapping, back.flapping);
  both.longest_period = std::max(there.longest_period, back.longest_period);
  return both;
}

std::vector<MeasureWindow> measure_windows(const Plan& plan, const PlannedPhase& phase,
                                           const MeasureTimes& times) {
  const auto segments = all_segments(plan);
  const std::vector<Nanos> borders = borders_between(segments, phase.from, phase.until);
  std::vector<MeasureWindow> windows;
  const auto add = [&](Nanos begin, Nanos end, Nanos drain) {
    const Nanos from = begin + times.settle + drain;
    const Nanos until = end - times.tail;
    if (until - from < times.shortest) return false;
    windows.push_back({.stage = {}, .from = from, .until = until, .begin = begin, .end = end});
    return true;
  };
  for (std::size_t i = 0; i + 1 < borders.size(); ++i) {
    add(borders[i], borders[i + 1], drain_around(plan, segments, borders[i]));
  }
  const std::string stage = "during:" + phase.name;
  if (windows.empty()) {
    // Too many changes for each to be measured: the phase as a whole, as well as its length allows.
    Nanos drain{0};
    for (const Nanos border : borders)
      drain = std::max(drain, drain_around(plan, segments, border));
    if (!add(phase.from, phase.until, drain) && !add(phase.from, phase.until, Nanos{0})) {
      const Nanos middle = phase.from + (phase.until - phase.from) / 2;
      windows.push_back({.stage = {},
                         .from = std::min(phase.from + times.settle, middle),
                         .until = std::max(phase.until - times.tail, middle),
                         .begin = phase.from,
                         .end = phase.until});
    }
  }
  for (std::size_t i = 0; i < windows.size(); ++i) {
    windows[i].stage =
        windows.size() == 1 ? stage : fmt::format("{} {} of {}", stage, i + 1, windows.size());
  }
  return windows;
}

}  // namespace zq
