// What the plan does to the probes of a path over a stretch of time. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controller/plan/plan.h"
#include "controller/run/tolerance.h"

namespace zq {

// Probes of one directed path. An agentless target is probed by ICMP echo, and only what came back
// tells of it: then `asked_of` is about both ways.
struct ProbeFlow {
  NodeId from = 0;
  NodeId to = 0;
  std::uint16_t port = 0;  // on both ends, or the receiver's for TCP
  bool icmp = false;
  bool tcp = false;  // bulk data instead of probes
};

// What the treatments in force over the stretch ask of the path; ranges where they change.
struct AskedPath {
  bool impaired = false;
  bool cut = false;    // all of the time
  bool mixed = false;  // a part of the time, or too short to tell: shares say nothing
  Range delay_ms, loss, duplicate, reorder, corrupt, rate_bps;
  double mean_delay_ms = 0, mean_loss = 0;  // over the stretch
  double jitter_ms = 0;                     // the largest
  double flapping = 0;                      // share of the time that a flapping fault takes
  Nanos longest_period{};                   // of what flaps
  // The only impairment, when nothing else is in force all the time.
  const Impairment* only = nullptr;
};

[[nodiscard]] AskedPath asked_of(const Plan& plan, const ProbeFlow& flow, Nanos begin, Nanos end);
// The same, there and back.
[[nodiscard]] AskedPath asked_both_ways(const Plan& plan, const ProbeFlow& flow, Nanos begin,
                                        Nanos end);

// A cap that the probes themselves could fill delays and drops them; with bulk data of our own
// every cap may be full. `probe_rate` is per second and target.
[[nodiscard]] bool probes_starve(const AskedPath& asked, double probe_rate, bool with_bulk);

// True when a probe is among the packets of the scope.
[[nodiscard]] bool scope_holds_probe(const Scope& scope, const ProbeFlow& flow);

// Stretches of a phase in which what the plan does to any path stays the same, kept clear of what
// came before and comes after. When no part is long enough, the whole phase, with what changes in
// it.
struct MeasureWindow {
  std::string stage;      // "during:PHASE", or "during:PHASE 1 of 3"
  Nanos from{}, until{};  // what is measured, relative to T
  Nanos begin{}, end{};   // the part of the phase that it stands for
};
struct MeasureTimes {
  Nanos settle = std::chrono::milliseconds(300);    // after a border, beside what queues need
  Nanos tail = std::chrono::milliseconds(600);      // before a border, for the agents to answer
  Nanos shortest = std::chrono::milliseconds(500);  // of what is measured
};
[[nodiscard]] std::vector<MeasureWindow> measure_windows(const Plan& plan,
                                                         const PlannedPhase& phase,
                                                         const MeasureTimes& times);

}  // namespace zq
