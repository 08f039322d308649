// Which borders' throughput is measured, and how long that takes. Pure.
#pragma once

#include <vector>

#include "controller/plan/plan.h"
#include "controller/run/path_asked.h"
#include "controller/run/path_matrix.h"
#include "experiments/cluster.h"

namespace zq {

inline constexpr Nanos kThroughputTime = std::chrono::seconds(2);
// Connecting, slow start of the next one behind what is still queued, and the answer.
inline constexpr Nanos kThroughputPause = std::chrono::milliseconds(500);

// One border and direction with a cap on the rate.
struct CappedBorder {
  struct Sender {
    PlannedPath path;
    double rate_bps = 0;
  };
  // One is enough where the cap is a node's own; where it is divided over them, all at once.
  std::vector<Sender> senders;
  double rate_bps = 0;  // of all of them
  // Something else than the cap may keep TCP from reaching it.
  bool held_back = false;
};

// Of the paths between nodes with agents that are capped all through [begin, end). `sum`: the
// senders of a border are measured together.
[[nodiscard]] std::vector<CappedBorder> find_capped_borders(const Cluster& cluster,
                                                            const Plan& plan, std::uint16_t port,
                                                            Nanos begin, Nanos end, bool sum);

// For so many borders, one after the other: as many as fit into `room`.
[[nodiscard]] Nanos throughput_time(std::size_t borders, Nanos room);

}  // namespace zq
