// The SQLite store (DESIGN part 8): one file, WAL, foreign keys, a schema version with migrations.
// Written while a run goes on, so that a run that was cut short is visible as such.
// Threading: one thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/time.h"
#include "experiments/signal.h"

namespace zq {

using RunId = std::int64_t;

enum class RunVerdict {
  kRunning,
  kPassed,
  kFailed,
  kInconclusive,
  kInvalid,
  kAborted,
  kInterrupted
};
[[nodiscard]] std::string_view to_string(RunVerdict verdict);
[[nodiscard]] std::optional<RunVerdict> parse_run_verdict(std::string_view text);

struct RunRecord {
  RunId id = 0;
  std::string title, caveat;
  std::string experiment_path, experiment_text;
  std::string cluster_name, cluster_path, cluster_text;
  std::map<std::string, std::string> labels;
  std::string plan_json;                        // empty until planned
  std::map<std::string, double> variables;      // replicas, timers (seconds)
  std::map<std::string, std::string> versions;  // "swarm" -> "20.10.24", "agent m1" -> "0.1.0"
  std::int64_t started_wall_ns = 0;
  std::int64_t started_mono_ns = 0;  // the same instant on the controller's clock
  std::optional<std::int64_t> ended_wall_ns;
  std::optional<std::int64_t> fault_mono_ns;  // T
  std::int64_t uncertainty_ns = 0;
  RunVerdict verdict = RunVerdict::kRunning;
  std::string reason;  // why it is not passed
  // Identity of the controller process, to tell a crashed run from one that goes on.
  std::int64_t controller_pid = 0;
  std::uint64_t controller_start_ticks = 0;
  std::string boot_id;
};

struct PhaseRecord {
  std::string name;
  std::int64_t planned_from_ns = 0, planned_until_ns = 0;   // relative to T
  std::optional<std::int64_t> from_mono_ns, until_mono_ns;  // actual, controller clock
};

struct NodeRecord {
  std::string name, zone, region, roles, addresses;
  std::uint32_t group = 0;
  std::string kernel, agent_version, boot_id;
  std::int64_t clock_offset_ns = 0, clock_uncertainty_ns = 0;
  std::string dump_before, dump_after;  // empty = not taken
  std::string capabilities = {};        // JSON: [{"name", "present", "text"}]; empty = not asked

  // No agent was asked to be there, so there is nothing to describe, arm or dump.
  [[nodiscard]] bool agentless() const { return agent_version == "none"; }
};

// Evidence of one segment of a node's programme, in controller time.
struct FaultEvidenceRecord {
  std::string node, direction;  // "egress" / "ingress"
  std::uint32_t group = 0;
  std::int64_t from_mono_ns = 0, until_mono_ns = 0;
  std::uint64_t dropped_packets = 0, dropped_bytes = 0, passed_packets = 0, exempt_packets = 0;
  std::int64_t last_passed_ns = 0, first_dropped_ns = 0, last_dropped_ns = 0, first_passed_ns = 0;
  std::uint32_t segment = 0;       // its place in the rule
  std::string treatment = "drop";  // "drop", "reject", "impair"
  std::string scope = "all";       // for people
  std::string asked = {};          // "delay 50ms"; empty for a plain drop
  std::uint64_t impaired_packets = 0, impaired_bytes = 0;
  std::uint64_t impaired_segments = 0;  // wire packets that these were
  std::uint64_t lost_packets = 0, duplicated_packets = 0;
  std::uint64_t held_dropped_packets = 0, held_passed_packets = 0;
  std::int64_t first_impaired_ns = 0, last_impaired_ns = 0;
};

// One queue of a node: a (direction, group, impairment).
struct QueueRecord {
  std::string node, direction;
  std::uint32_t group = 0;
  std::string asked = {};  // "delay 50ms +-5ms normal"
  std::string lane = {};   // "netem", "htb", "delay-line"
  std::uint64_t rate_bps = 0;
  std::uint64_t limit_packets = 0, burst_bytes = 0, quantum_bytes = 0;
  std::int64_t drain_ns = 0;
  std::uint64_t sent_packets = 0, sent_bytes = 0;
  std::uint64_t dropped_packets = 0;    // nobody asked for: a cap's own drops are not among them
  std::uint64_t backlog_packets = 0;    // still in it when it was read
  std::uint64_t discarded_packets = 0;  // still in it when it was removed
};

// One quantity of a directed path over a stretch of the run, asked against measured.
struct MeasurementRecord {
  std::string stage;  // "before", "during:PHASE", "after"
  std::string from, to, address;
  std::string quantity;  // delay_ms, jitter_ms, loss, duplicate, reorder, rate_mbps
  double asked = 0;
  std::optional<double> measured = {};  // nothing arrived that would tell
  double low = 0, high = 0;             // what is within tolerance
  std::uint64_t samples = 0;
  std::string within = "unknown";  // "yes", "no", "unknown": too few samples
};

// A step that acts on processes or runs a command, in controller time.
struct ProcessRecord {
  std::string node;
  std::string step;    // "kill", "pause", "resume", "start", "hook power", "hook power undo"
  std::string target;  // unit, cgroup, or the command
  std::int64_t planned_mono_ns = 0;
  std::optional<std::int64_t> began_mono_ns = {}, done_mono_ns = {};
  bool by_agent = false;  // at an instant of the node's own clock
  std::uint32_t processes = 0;
  std::string error = {}, output = {};
  std::string undo = {};  // a command line that has to follow
};

// One directed path between two nodes, measured over a stretch of the run.
struct PathRecord {
  std::string stage;  // "before", "during:PHASE", "after"
  std::string from, to, address;
  bool expected_cut = false;
  std::uint64_t sent = 0, received = 0, sent_in_window = 0, received_in_window = 0;
  std::int64_t rtt_p50_ns = 0;
  double allowed_loss = 0;  // share that the plan lets get lost, its tolerance included
};

// Kind of the events that say that a run was judged again, and how that changed its verdict.
inline constexpr std::string_view kJudgedEvent = "judged";

struct EventRecord {
  std::int64_t at_mono_ns = 0;
  std::string kind;  // "phase", "fault", "violation", "agent", "process", "note", "judged"
  std::string node;  // may be empty
  std::string text;
};

struct VerdictRecord {
  std::string expectation, page, predicted, verdict, unit, evidence;
  std::optional<double> measured, bound, margin;
  std::optional<std::int64_t> at_mono_ns;
};

struct RunFilter {
  std::map<std::string, std::string> labels;  // all must match
  std::optional<std::string> caveat;
  std::size_t limit = 50;
};

class Store {
 public:
  // Creates the file if need be, migrates an older one; a newer one is refused (kRefused) with what
  // to do. kInput when the file is something else.
  static Result<Store> open(const std::string& path);
  Store(Store&&) noexcept;
  Store& operator=(Store&&) noexcept;
  ~Store();

  Result<RunId> begin_run(const RunRecord& record);  // id and verdict are ignored
  // Updates plan, variables, versions, fault instant, uncertainty of a run that goes on.
  Status update_run(const RunRecord& record);
  Status finish_run(RunId run, RunVerdict verdict, const std::string& reason);

  Status put_nodes(RunId run, std::span<const NodeRecord> nodes);     // insert or replace by name
  Status put_phases(RunId run, std::span<const PhaseRecord> phases);  // insert or replace by name
  Status add_evidence(RunId run, std::span<const FaultEvidenceRecord> evidence);
  Status add_paths(RunId run, std::span<const PathRecord> paths);
  Status add_queues(RunId run, std::span<const QueueRecord> queues);
  Status add_measurements(RunId run, std::span<const MeasurementRecord> measurements);
  // Inserts, or replaces the one of the same node, step, target and planned instant.
  Status put_process(RunId run, const ProcessRecord& process);
  Status add_event(RunId run, const EventRecord& event);
  // Replaces the verdicts of an earlier judging.
  Status put_verdicts(RunId run, std::span<const VerdictRecord> verdicts);

  // Appends samples as changes: a value equal to the series' newest segment extends it, unless the
  // series was silent for longer than `stale_after` in between. Samples of one series come in order
  // of time; one that is older than its series' newest counts as of that moment. `stale_after` is
  // stored when the series is new. Changes are in the file when this returns; mere confirmations
  // follow within a second, as long as calls come, and with every read.
  struct SeriesSample {
    const Sample* sample;
    Nanos stale_after;
  };
  Status add_samples(RunId run, std::span<const SeriesSample> samples);

  Result<RunRecord> run(RunId run) const;                              // kNotFound
  Result<std::vector<RunRecord>> runs(const RunFilter& filter) const;  // newest first, no texts
  Result<std::vector<NodeRecord>> nodes(RunId run) const;
  Result<std::vector<PhaseRecord>> phases(RunId run) const;
  Result<std::vector<FaultEvidenceRecord>> evidence(RunId run) const;
  Result<std::vector<PathRecord>> paths(RunId run) const;
  Result<std::vector<QueueRecord>> queues(RunId run) const;
  Result<std::vector<MeasurementRecord>> measurements(RunId run) const;
  Result<std::vector<ProcessRecord>> processes(RunId run) const;  // by planned instant
  Result<std::vector<EventRecord>> events(RunId run) const;
  Result<std::vector<VerdictRecord>> verdicts(RunId run) const;
  Result<std::vector<Series>> series(RunId run) const;

  // Runs still marked as running whose controller process is gone (other pid start time, other
  // boot): marks them interrupted and returns them.
  Result<std::vector<RunRecord>> mark_interrupted();

  // The whole run as one JSON document, series included.
  Result<std::string> export_json(RunId run) const;

 private:
  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// This process's identity for RunRecord.
struct ProcessIdentity {
  std::int64_t pid = 0;
  std::uint64_t start_ticks = 0;  // field 22 of /proc/PID/stat
  std::string boot_id;
};
Result<ProcessIdentity> own_identity();

}  // namespace zq
