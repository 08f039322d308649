// Asked against measured, for every impaired path of a stage. Pure.
#pragma once

#include <string>
#include <vector>

#include "controller/plan/plan.h"
#include "controller/run/evidence.h"
#include "controller/run/path_matrix.h"
#include "results/store.h"

namespace zq {

struct MeasureSettings {
  Nanos delay_tolerance = std::chrono::milliseconds(5);  // beside 5 % of what is asked
  double probe_rate = 50;                                // per second and target
  bool with_bulk = false;                                // bulk data fills what is capped
  // Of both ends' clocks together: beyond it a delay is judged by the round trip.
  Nanos clock_uncertainty = std::chrono::milliseconds(2);
  // By NodeId: the node's delays keep the order of packets, so that jitter only adds to them.
  std::vector<bool> keeps_order = {};
};

// `reference` is the last snapshot of the stage "before", `first` and `last` are those of the stage
// itself. Paths are those whose treatment is impaired in the stage, or in `always` for stages
// without faults. What the probes are too many for (a cap on the rate below what they need) is left
// out.
struct MeasuredStage {
  const PathStage& stage;
  const PathSnapshot& reference;
  const PathSnapshot& first;
  const PathSnapshot& last;
};
[[nodiscard]] std::vector<MeasurementRecord> measure_asked(const MeasuredStage& measured,
                                                           const Cluster& cluster, const Plan& plan,
                                                           const MeasureSettings& settings);

// Paths that some impairment of the plan is about.
[[nodiscard]] bool ever_impaired(const Plan& plan, const PlannedPath& path, std::uint16_t port);

// What is out of tolerance makes the run invalid, too few samples make it inconclusive.
[[nodiscard]] Findings assess_measurements(const std::vector<MeasurementRecord>& measurements);

// How much each of the records may lose, from what was measured of its path.
void allow_losses(std::vector<PathRecord>& records,
                  const std::vector<MeasurementRecord>& measurements);

// Goodput of TCP under a cap: from 90 % (none, where something else than the cap may hold it back)
// to all of it.
[[nodiscard]] MeasurementRecord throughput_record(const std::string& stage, const std::string& from,
                                                  const std::string& to, const std::string& address,
                                                  double asked_bps, double measured_bps,
                                                  bool held_back);

}  // namespace zq
