// The parts of a run's report; private to results/. Each returns its whole section, or nothing.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
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
  std::vector<MeasurementRecord> measurements;
  std::vector<QueueRecord> queues;
  std::vector<ProcessRecord> processes;
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
[[nodiscard]] std::string render_impairments(const RunReport& report);
[[nodiscard]] std::string render_measurements(const RunReport& report);
[[nodiscard]] std::string render_queues(const RunReport& report);
[[nodiscard]] std::string render_processes(const RunReport& report);
[[nodiscard]] std::string render_capabilities(const RunReport& report);
[[nodiscard]] std::string render_paths(const RunReport& report);
[[nodiscard]] std::string render_dumps(const RunReport& report);
[[nodiscard]] std::string render_events(const RunReport& report);

// What evidence is about, by the phases that its segment covers. On the controller's clock the
// segments of different nodes differ by what the clocks are not known to, so the phase with the
// nearest planned border is meant. The number orders segments.
[[nodiscard]] std::pair<std::int64_t, std::string> window_name(const RunReport& report,
                                                               const FaultEvidenceRecord& one);
// Names of the sender's and the receiver's group.
struct BorderName {
  std::string from, to;
};
[[nodiscard]] BorderName border_name(const RunReport& report, const std::string& node,
                                     std::uint32_t group, const std::string& direction);

// "T", "T+1.2ms": an instant by its distance from the fault's.
[[nodiscard]] std::string around_fault(std::int64_t ns);
// "+1.2ms", "-30us"
[[nodiscard]] std::string signed_duration(std::int64_t ns);

}  // namespace zq
