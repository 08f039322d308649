// The parts of a run's report; private to results/. Each returns its whole section, or nothing.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "results/store.h"

namespace zq {

struct RunReport {
  RunRecord run;
  std::vector<PhaseRecord> phases;
  std::vector<NodeRecord> nodes;
  std::vector<VerdictRecord> verdicts;
  std::vector<FaultEvidenceRecord> evidence;
  std::vector<PathRecord> paths;
  std::vector<EventRecord> events;
  std::size_t width = 100;
  bool color = false;

  // "T+1.5s" once there is a T, else "+1.5s" from the start of the run.
  [[nodiscard]] std::string instant(std::int64_t mono_ns) const;
  // Node -> what its group is called: its zones, if no other group has nodes there.
  [[nodiscard]] std::map<std::string, std::string> group_of_node() const;
  [[nodiscard]] std::map<std::uint32_t, std::string> group_names() const;
  [[nodiscard]] std::string heading(const std::string& title) const;
};

[[nodiscard]] std::string render_header(const RunReport& report);
[[nodiscard]] std::string render_verdicts(const RunReport& report);
[[nodiscard]] std::string render_phases(const RunReport& report);
[[nodiscard]] std::string render_evidence(const RunReport& report);
[[nodiscard]] std::string render_paths(const RunReport& report);
[[nodiscard]] std::string render_dumps(const RunReport& report);
[[nodiscard]] std::string render_events(const RunReport& report);

// "T", "T+1.2ms": an instant by its distance from the fault's.
[[nodiscard]] std::string around_fault(std::int64_t ns);
// "+1.2ms", "-30us"
[[nodiscard]] std::string signed_duration(std::int64_t ns);

}  // namespace zq
