// The recommendations of the page "Hybrid Cloud and Multi-Datacenter" as checks, P-01 to P-12.
// Pure: what the systems and agents told (facts.h) in, results out.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "controller/check/facts.h"
#include "controller/check/placement_model.h"

namespace zq {

// The page's configurations: T1 masters in one zone; T2 masters across zones of one region; T3
// masters in one region, agents in several; T4 masters in several regions.
enum class Topology { kT1, kT2, kT3, kT4 };

[[nodiscard]] std::string to_string(Topology topology);    // "T1"
[[nodiscard]] std::string describe(Topology topology);     // the page's heading
Result<Topology> parse_topology(const std::string& text);  // "T1", "t1"; kInput else

// Nodes with the role master, or coordinator where there are none, are the masters. kInput without
// any.
Result<Topology> detect_topology(const Cluster& cluster);

enum class CheckStatus { kPassed, kFailed, kCannotTell, kNotApplicable };
[[nodiscard]] std::string to_string(CheckStatus status);  // "passed", ..., "cannot tell"

struct CheckResult {
  std::string id;              // "P-04"
  std::string title;           // a few words
  std::string recommendation;  // the page's own sentences
  std::set<Topology> topologies;
  CheckStatus status = CheckStatus::kPassed;
  std::vector<std::string> seen;     // what was seen, with names, one line each
  std::vector<std::string> wrong;    // of these: what the check failed for
  std::vector<std::string> unknown;  // what could not be told
  std::string to_do;                 // when failed or not told
};

// What waits after the loss of each zone that members run in.
struct ZonePrediction {
  std::string zone;
  Prediction prediction;
};

struct CheckInput {
  const Cluster& cluster;
  const Facts& facts;
  Topology topology = Topology::kT1;
  bool throughput_asked = false;
};

struct CheckReport {
  Topology topology = Topology::kT1;
  std::vector<CheckResult> checks;     // in the order of their ids
  std::vector<std::string> warnings;   // "T3 is typically not recommended ..."
  std::vector<ZonePrediction> losses;  // of P-04, whatever the topology
};

// The ids that there are, in order.
[[nodiscard]] std::vector<std::string> check_ids();

// `only` empty: all of them. kInput for an unknown id (nearest known named).
Result<CheckReport> run_checks(const CheckInput& input, const std::set<std::string>& only = {});

[[nodiscard]] std::vector<ZonePrediction> predict_losses(const Cluster& cluster,
                                                         const Facts& facts);

}  // namespace zq
