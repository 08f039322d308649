// The state of one run and its steps, in order. Private to controller/run.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "controller/fleet/fleet.h"
#include "controller/judge/judge.h"
#include "controller/run/evidence.h"
#include "controller/run/live_timers.h"
#include "controller/run/path_matrix.h"
#include "controller/run/path_measure.h"
#include "controller/run/process_steps.h"
#include "controller/run/runner.h"
#include "controller/run/signal_hub.h"
#include "controller/run/throughput.h"

namespace zq {

class RunSession {
 public:
  RunSession(const Experiment& experiment, const Cluster& cluster, Testbed* testbed, Store& store,
             const RunOptions& options, RunListener& listener, std::stop_token stop);

  Result<RunOutcome> execute();
  // live_timers.cpp: only what is asked before a plan.
  Result<LiveReading> look();

 private:
  // Why the run ended before its plan did.
  struct Early {
    RunVerdict verdict;
    std::string reason;
  };

  // session_start.cpp: up to a verified baseline. Each returns an error that ends the run early.
  Status begin();
  Status describe_fleet();
  Status learn_timers();
  Status plan_and_check();
  Status schedule_steps();
  Status arm();
  Status wait_for_steady_state();
  Status baseline();
  // How many instances will wait for the loss of the zones that the experiment cuts, as the
  // variable `predicted_waiting` for expectations that ask for it.
  Status predict_waiting();

  // session_fault.cpp: from loading the programmes to the end of the last fault phase.
  Status fire();
  Status load_programmes(MonoTime fault_at, const std::vector<ClockEstimate>& clock);
  Status fault_phases();
  Status measure_window(const PlannedPhase& phase, const MeasureWindow& window);

  // session_measure.cpp: paths and throughput.
  // Begins the next stage of the path probes and takes its first snapshot.
  PathSnapshot begin_stage(MonoTime complete_until);
  void take_stage(const PathStage& stage, const PathSnapshot& first, const PathSnapshot& last);
  // None unless the experiment asks for throughput.
  [[nodiscard]] std::vector<CappedBorder> capped_borders(const MeasureWindow& window) const;
  Status measure_throughput(const PlannedPhase& phase, const MeasureWindow& window);
  void take_throughput(const MeasureWindow& window, const CappedBorder& border,
                       const std::vector<Result<zonequake::ThroughputReply>>& replies);

  // session_finish.cpp: always, in this order, as far as each was begun.
  void heal();
  void recovery();
  Status whole_recovery(const PlannedPhase& phase, MonoTime from);
  void prove_healed_early();
  void disarm();
  RunOutcome conclude();

  // session_evidence.cpp: what the agents have to tell, once the run is over.
  void collect_evidence();
  void collect_process_results();

  // session_watch.cpp: what goes on all the time.
  // Returns at `until`, or earlier with an error: kCancelled (the user), kRefused (abort_if),
  // kUnavailable (an agent is gone or reports a violation).
  Status watch(MonoTime until, const std::string& phase, MonoTime phase_from, Nanos planned);
  Status check_health();
  Status check_abort();
  // With a deadline: asks again until all agents have answered or it is over.
  PathSnapshot poll_paths(std::optional<MonoTime> complete_until = std::nullopt,
                          bool begins_stage = false);
  void take_measurement(PathMeasurement measurement);
  [[nodiscard]] PathStage stage_of(const std::string& name,
                                   std::optional<PathStage::Inside> window = std::nullopt) const;
  void flush();
  [[nodiscard]] JudgeContext live_context() const;

  void event(const std::string& kind, const std::string& node, const std::string& text);
  void note_early(const Error& error);
  void invalidate(const std::string& reason);
  [[nodiscard]] std::vector<ClockEstimate> clocks() const;
  [[nodiscard]] Nanos uncertainty() const;
  [[nodiscard]] LiveCluster live_cluster() const;
  void record_phase(const PlannedPhase& phase, MonoTime from, MonoTime until);

  const Experiment& experiment_;
  const Cluster& cluster_;
  Testbed* const testbed_;
  Store& store_;
  const RunOptions& options_;
  RunListener& listener_;
  const std::stop_token stop_;

  RunRecord record_;
  zonequake::RunRef run_;
  std::unique_ptr<SignalHub> hub_;
  std::unique_ptr<Fleet> fleet_;  // after hub_: its streams end before the hub does
  std::vector<NodeRecord> nodes_;
  const NodeIndex node_index_;
  Plan plan_;
  std::optional<MonoTime> fault_at_;
  std::optional<MonoTime> healed_at_;
  std::optional<MonoTime> drained_at_;  // by when nothing is held any more, after the heal
  PathSnapshot last_poll_;
  MonoTime next_poll_;
  MonoTime next_flush_;
  MonoTime next_abort_check_;
  MonoTime last_look_;      // of watch(): a gap means that this process stood still
  MonoTime patient_until_;  // agents that were kept busy by us may be silent until then
  bool flush_failed_ = false;
  std::vector<PathRecord> path_records_;
  std::vector<MeasurementRecord> measurements_;
  PathSnapshot reference_;   // of the stage "before"
  std::uint32_t stage_ = 0;  // of the path probes
  std::vector<PhaseWindow> actual_phases_;
  std::vector<std::set<std::string>> capabilities_;  // by node
  std::vector<AgentStep> agent_steps_;
  std::unique_ptr<ProcessSteps> steps_;
  std::optional<MonoTime> abort_since_;
  std::set<std::string> lost_agents_;
  bool armed_ = false;
  bool fired_ = false;
  std::optional<Early> early_;
  Findings findings_;
};

}  // namespace zq
