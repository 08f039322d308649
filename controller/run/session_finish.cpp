#include <algorithm>
#include <thread>

#include "controller/run/judging.h"
#include "controller/run/session.h"
#include "results/dump_difference.h"

namespace zq {
namespace {

constexpr Nanos kHealTimeout = std::chrono::seconds(3);
constexpr int kHealAttempts = 3;
constexpr Nanos kDisarmTimeout = std::chrono::seconds(10);
constexpr Nanos kSettle = std::chrono::milliseconds(500);
constexpr Nanos kPause = std::chrono::milliseconds(50);
// After the heal systems find each other again before the workloads ask for what they wrote.
constexpr Nanos kReadBackAfter = std::chrono::seconds(2);
constexpr Nanos kReadBackTimeout = std::chrono::seconds(30);

// Enough of the difference to see what it is; the whole is in the report.
std::string dump_changes(const NodeRecord& node) {
  constexpr std::size_t kShown = 6;
  std::vector<std::string> changes = dump_difference(node.dump_before, node.dump_after);
  if (changes.size() > kShown) changes.resize(kShown);
  return fmt::format("{}", fmt::join(changes, " | "));
}

}  // namespace

Result<RunOutcome> RunSession::execute() {
  ZQ_CHECK(begin());
  const auto sequence = [this]() -> Status {
    ZQ_CHECK(describe_fleet());
    ZQ_CHECK(learn_timers());
    ZQ_CHECK(plan_and_check());
    ZQ_CHECK(arm());
    ZQ_CHECK(wait_for_steady_state());
    ZQ_CHECK(baseline());
    ZQ_CHECK(predict_waiting());
    ZQ_CHECK(fire());
    return fault_phases();
  };
  // Whatever is thrown here must not keep the nodes from being healed.
  try {
    if (Status status = sequence(); !status) note_early(status.error());
  } catch (const std::exception& error) {
    note_early({ErrorCode::kInternal, fmt::format("internal error: {}", error.what())});
  }
  if (armed_) {
    heal();
    recovery();
    disarm();
  }
  fleet_->stop_observing();
  fleet_->stop_heartbeats();
  return conclude();
}

void RunSession::heal() {
  zonequake::HealRequest request;
  *request.mutable_run() = run_;
  std::vector<std::string> unhealed(cluster_.nodes.size(), "not asked");
  for (int attempt = 0; attempt < kHealAttempts; ++attempt) {
    const auto replies = fleet_->heal(request, kHealTimeout);
    bool again = false;
    for (std::size_t i = 0; i < replies.size(); ++i) {
      if (replies[i]) {
        unhealed[i].clear();
        const MonoTime healed = mono_from_ns(replies[i]->healed_mono_ns()) -
                                fleet_->clock(i).value_or(ClockEstimate{}).offset;
        healed_at_ = std::max(healed_at_.value_or(healed), healed);
        const MonoTime drained =
            healed +
            std::max(Nanos{0}, Nanos{replies[i]->drained_mono_ns() - replies[i]->healed_mono_ns()});
        drained_at_ = std::max(drained_at_.value_or(drained), drained);
      } else if (!fleet_->has_agent(i)) {
        unhealed[i].clear();
      } else if (!unhealed[i].empty()) {
        unhealed[i] = replies[i].error().message;
        again = again || !lost_agents_.contains(cluster_.nodes[i].name);
      }
    }
    if (!again) break;
  }
  if (!healed_at_) healed_at_ = mono_now();
  drained_at_ = std::max(drained_at_.value_or(*healed_at_), *healed_at_);
  for (std::size_t i = 0; i < unhealed.size(); ++i) {
    if (unhealed[i].empty()) continue;
    fleet_->let_go(i);  // without our heartbeats it heals by itself
    if (lost_agents_.contains(cluster_.nodes[i].name)) continue;
    invalidate(
        fmt::format("{} could not be told to heal ({}); its gate passes everything within {}",
                    cluster_.nodes[i].name, unhealed[i],
                    format_duration(options_.arm.lease + options_.arm.orphan)));
  }
  event("fault", "", "healed");
  for (PhaseWindow& window : actual_phases_) {
    if (!early_ || window.until <= *healed_at_) continue;
    window.until = std::max(window.from, *healed_at_);
    const auto planned = std::find_if(plan_.phases.begin(), plan_.phases.end(),
                                      [&](const auto& phase) { return phase.name == window.name; });
    if (planned != plan_.phases.end()) record_phase(*planned, window.from, window.until);
  }
  if (steps_) {
    steps_->undo_all();
    for (const std::string& problem : steps_->take_problems()) invalidate(problem);
  }
}

void RunSession::recovery() {
  if (!fired_) return;
  const PlannedPhase& phase = plan_.phases.back();
  event("phase", "", phase.name);
  if (early_) {
    // Shows that traffic flows again, but does not wait for the cluster.
    listener_.phase(phase.name, options_.arm.lease + kReadBackAfter);
    prove_healed_early();
    record_phase(phase, *healed_at_, mono_now());
    return;
  }
  const MonoTime from = *fault_at_ + phase.from;
  listener_.phase(phase.name, phase.until - phase.from);
  record_phase(phase, from, from + (phase.until - phase.from));
  if (Status status = whole_recovery(phase, from); !status) note_early(status.error());
  record_phase(phase, from, mono_now());
}

Status RunSession::whole_recovery(const PlannedPhase& phase, MonoTime from) {
  const Nanos length = phase.until - phase.from;
  const MonoTime until = from + length;
  // What was held when the faults ended is on its way until then.
  ZQ_CHECK(watch(*drained_at_ + kSettle, phase.name, from, length));
  const PathSnapshot before = begin_stage(*drained_at_ + kReadBackAfter);
  ZQ_CHECK(watch(*drained_at_ + kReadBackAfter, phase.name, from, length));
  if (!experiment_.workloads.empty()) fleet_->update_probes(hub_->probe_sets(run_, true));
  ZQ_CHECK(watch(until - kSettle, phase.name, from, length));
  const PathSnapshot after = poll_paths(mono_now() + kHealTimeout);
  take_stage(stage_of("after"), before, after);
  for (std::string& leak : leaks(cluster_, after)) findings_.invalid.push_back(std::move(leak));
  ZQ_CHECK(watch(until, phase.name, from, length));
  const MonoTime deadline = mono_now() + kReadBackTimeout;
  while (!hub_->workloads_complete() && mono_now() < deadline) {
    ZQ_CHECK(watch(mono_now() + kSettle, phase.name, from, length));
  }
  return {};
}

void RunSession::prove_healed_early() {
  // What ended the run early would end watch() at once, so this waits by itself.
  if (!experiment_.workloads.empty()) fleet_->update_probes(hub_->probe_sets(run_, true));
  std::this_thread::sleep_until(*drained_at_ + kSettle);
  const PathSnapshot before = poll_paths();
  std::this_thread::sleep_until(*drained_at_ + kReadBackAfter);
  PathMeasurement measurement =
      measure_paths(stage_of("after"), cluster_, plan_, before, poll_paths());
  if (assess_paths(measurement.records).invalid.empty()) {
    event("fault", "",
          fmt::format("traffic flows again on all paths between agents that answer, seen {} after "
                      "the heal",
                      format_duration(mono_now() - *healed_at_)));
  }
  take_measurement(std::move(measurement));
  const MonoTime deadline = *drained_at_ + options_.arm.lease + kReadBackAfter;
  while (!hub_->workloads_complete() && mono_now() < deadline) {
    std::this_thread::sleep_for(kPause);
  }
}

void RunSession::disarm() {
  flush();
  collect_evidence();
  collect_process_results();

  listener_.step("disarming");
  zonequake::DisarmRequest request;
  *request.mutable_run() = run_;
  const auto disarmed = fleet_->disarm(request, kDisarmTimeout);
  for (std::size_t i = 0; i < disarmed.size(); ++i) {
    NodeRecord& node = nodes_[i];
    if (node.agentless()) continue;
    if (!disarmed[i]) {
      if (node.dump_before.empty()) continue;  // it was never armed
      invalidate(
          fmt::format("{} could not be disarmed ({}); its gate passes everything, and its "
                      "agent removes it at its next start",
                      node.name, disarmed[i].error().message));
      continue;
    }
    node.dump_after = disarmed[i]->dump();
    for (const std::string& change : disarmed[i]->other_changes()) {
      event("note", node.name, "changed by others during the run: " + change);
    }
    if (!node.dump_before.empty() && node.dump_after != node.dump_before) {
      invalidate(fmt::format("{} does not look as before: {}", node.name, dump_changes(node)));
    }
  }
  if (Status put = store_.put_nodes(record_.id, nodes_); !put) {
    invalidate("nodes could not be stored: " + put.error().message);
  }
  if (Status added = store_.add_paths(record_.id, path_records_); !added) {
    invalidate("paths could not be stored: " + added.error().message);
  }
  if (Status added = store_.add_measurements(record_.id, measurements_); !added) {
    invalidate("measurements could not be stored: " + added.error().message);
  }
}

RunOutcome RunSession::conclude() {
  flush();
  if (hub_->dropped_observations() > 0) {
    findings_.inconclusive.push_back(
        fmt::format("{} observations were lost in full buffers", hub_->dropped_observations()));
  }
  for (const std::string& problem : findings_.invalid) event("invalid", "", problem);
  // Stored as events, so that judging the run again finds them.
  for (const std::string& open : findings_.inconclusive) {
    event(std::string(kInconclusiveEvent), "", open);
  }
  RunOutcome outcome{.id = record_.id, .verdict = RunVerdict::kPassed, .reason = {}};
  if (fired_) {
    if (const auto judged = judge_recorded(store_, record_.id, experiment_, options_.deviations)) {
      outcome.verdict = judged->verdict;
      outcome.reason = judged->reason;
    } else {
      findings_.invalid.push_back("judging failed: " + judged.error().message);
    }
  }
  if (!findings_.invalid.empty()) {
    outcome.verdict = RunVerdict::kInvalid;
    outcome.reason = fmt::format("{}", fmt::join(findings_.invalid, "; "));
  }
  if (early_) {
    // What could not be healed or put back must not hide behind the reason of the early end.
    findings_.invalid.insert(findings_.invalid.begin(), early_->reason);
    outcome.verdict = early_->verdict;
    outcome.reason = fmt::format("{}", fmt::join(findings_.invalid, "; "));
  }
  if (Status finished = store_.finish_run(record_.id, outcome.verdict, outcome.reason); !finished) {
    listener_.trouble("the run's end could not be stored: " + finished.error().message);
  }
  return outcome;
}

Result<RunOutcome> run_experiment(const Experiment& experiment, const Cluster& cluster,
                                  Testbed* testbed, Store& store, const RunOptions& options,
                                  RunListener& listener, const std::stop_token& stop) {
  return RunSession(experiment, cluster, testbed, store, options, listener, stop).execute();
}

}  // namespace zq
