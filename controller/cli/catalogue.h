// The experiments that come with zonequake, and what each would take and do.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/time.h"
#include "controller/plan/plan.h"
#include "experiments/cluster.h"
#include "experiments/experiment.h"

namespace zq {

struct CatalogueEntry {
  std::string name;      // of the file, without its suffix
  std::string topology;  // T1 to T4, as its caveat begins; "control" for runs without a fault
  Experiment experiment;
  Nanos lasts{};                            // all phases
  std::vector<std::string> assumed_timers;  // that `lasts` is made of and nobody has given
  // With a cluster: its plan, or why it does not run there, a sentence each, without positions.
  std::optional<BlastRadius> blast = {};
  std::vector<std::string> why_not = {};
};

// All of data_dir()/catalogue, by topology, caveat and name. Timers (seconds) that are not given
// are taken to be kAssumedTimer. The error of the first file that cannot be read.
Result<std::vector<CatalogueEntry>> read_catalogue(const std::map<std::string, double>& timers,
                                                   const Cluster* cluster);

// "cuts 1 zone, kills, takes a quorum away": from the faults and limits.
[[nodiscard]] std::string describe_deeds(const Experiment& experiment);

}  // namespace zq
