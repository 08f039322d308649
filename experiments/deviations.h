// What versions of real systems are known to do against the page (experiments/deviations.toml). An
// expectation that is refuted exactly as a deviation describes, on a version that has it, becomes
// `known-deviation` instead.
//
//   [[deviation]]
//   id          = "MARATHON-8422"
//   system      = "marathon"              # kind
//   versions    = "1.4.0..1.8.194"        # from the first on up to, without, the second; either
//   may
//                                         # be missing: "..1.5.2", "1.8.0.."
//   experiments = ["t1-c2-agent-zone-partitioned"]
//   expectation = "duplicates-gone"       # its id in each of these
//   instead     = { always = "sum(app.answers) > replicas" }   # as in [[expect]]: always, never,
//   or
//                                         # eventually with within; for; during: another phase
//   note        = "where it is recorded, and what happens"
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.h"
#include "experiments/experiment.h"

namespace zq {

struct VersionRange {
  std::vector<unsigned> from;   // empty = from the first on
  std::vector<unsigned> until;  // empty = to this day

  // "20.10.24+dfsg1": numbers between dots, up to what is neither. False for what has no number.
  [[nodiscard]] bool contains(std::string_view version) const;
};

struct Deviation {
  std::string id;
  std::string system;
  VersionRange versions;
  std::vector<std::string> experiments;
  std::string expectation;
  Expectation instead;  // `during` is empty where it is the expectation's own phase
  std::string note;
  Position position;
};

// Both report everything that is wrong, one "FILE:LINE:COLUMN: message" a line.
Result<std::vector<Deviation>> load_deviations(const std::string& path);
Result<std::vector<Deviation>> parse_deviations(const std::string& text, const std::string& path);

}  // namespace zq
