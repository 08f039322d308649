#include <algorithm>
#include <thread>

#include "controller/run/session.h"

namespace zq {
namespace {

constexpr Nanos kTick = std::chrono::milliseconds(50);
constexpr Nanos kPollInterval = std::chrono::seconds(1);
constexpr Nanos kPollTimeout = std::chrono::seconds(1);
constexpr Nanos kFlushInterval = std::chrono::milliseconds(250);
// An agent that has not answered a heartbeat for this long is treated as lost. Shorter than the
// lease, so that the others heal before its own gate does.
constexpr Nanos kSilence = std::chrono::seconds(2);
constexpr Nanos kStall = std::chrono::milliseconds(1500);

}  // namespace

Status RunSession::watch(MonoTime until, const std::string& phase, MonoTime phase_from,
                         Nanos planned) {
  while (true) {
    if (stop_.stop_requested()) return fail(ErrorCode::kCancelled, "stopped by the user");
    const MonoTime now = mono_now();
    // After a pause of our own (a stopped process, a busy machine) answers wait to be read.
    if (now - last_look_ > kStall) patient_until_ = now + kSilence;
    last_look_ = now;
    ZQ_CHECK(check_health());
    if (steps_ && fired_) ZQ_CHECK(steps_->take_due(now));
    if (now >= next_abort_check_) {
      next_abort_check_ = now + kFlushInterval;
      ZQ_CHECK(check_abort());
    }
    if (armed_ && now >= next_poll_) poll_paths();
    if (now >= next_flush_) {
      flush();
      if (!phase.empty()) listener_.tick(phase, now - phase_from, planned, hub_->series());
    }
    if (now >= until) return {};
    std::this_thread::sleep_for(std::min<Nanos>(kTick, until - now));
  }
}

Status RunSession::check_health() {
  const auto health = fleet_->health();
  const MonoTime now = mono_now();
  for (std::size_t i = 0; i < health.size(); ++i) {
    const std::string& node = cluster_.nodes[i].name;
    if (!health[i].violations.empty()) {
      return fail(ErrorCode::kUnavailable, "{}: {}", node, fmt::join(health[i].violations, "; "));
    }
    if (!health[i].error.empty()) {
      lost_agents_.insert(node);
      return fail(ErrorCode::kUnavailable,
                  "the agent of {} is gone ({}); its gate passes everything within {}", node,
                  health[i].error, format_duration(options_.arm.lease));
    }
    if (health[i].last_reply && now - *health[i].last_reply > kSilence && now > patient_until_) {
      lost_agents_.insert(node);
      return fail(ErrorCode::kUnavailable,
                  "the agent of {} has not answered for {}; its gate passes everything within {}",
                  node, format_duration(kSilence), format_duration(options_.arm.lease));
    }
  }
  // The record says what is between the zones.
  return testbed_ == nullptr ? Status() : testbed_->environment_alive();
}

Status RunSession::check_abort() {
  const auto& abort_if = experiment_.limits.abort_if;
  if (!abort_if || !fired_) return {};
  const MonoTime now = mono_now();
  ZQ_TRY(const std::optional<bool> holds,
         evaluate_condition(*abort_if, live_context(), hub_->series(), now));
  if (!holds.value_or(false)) {
    abort_since_.reset();
    return {};
  }
  if (!abort_since_) abort_since_ = now;
  if (now - *abort_since_ < experiment_.limits.abort_after) return {};
  return fail(ErrorCode::kRefused, "the limit abort_if = \"{}\" was reached", abort_if->text());
}

PathSnapshot RunSession::poll_paths(std::optional<MonoTime> complete_until, bool begins_stage) {
  zonequake::PathsRequest request;
  *request.mutable_run() = run_;
  if (begins_stage) {
    request.set_begin_stage(true);
    request.set_stage(++stage_);
  }
  std::size_t agents = 0;
  for (const Node& node : cluster_.nodes) agents += node.has_agent() ? 1U : 0U;
  PathSnapshot snapshot;
  do {
    const auto replies = fleet_->measure_paths(request, kPollTimeout);
    snapshot = {};
    for (std::size_t i = 0; i < replies.size(); ++i) {
      if (!replies[i]) continue;
      const ClockEstimate clock = fleet_->clock(i).value_or(ClockEstimate{});
      snapshot.add(node_index_, static_cast<NodeId>(i), *replies[i],
                   mono_from_ns(replies[i]->at_mono_ns()) - clock.offset, clock);
    }
  } while (complete_until && snapshot.answers() < agents && mono_now() < *complete_until &&
           !stop_.stop_requested());
  const MonoTime now = mono_now();
  if (!last_poll_.paths().empty()) {
    hub_->add(path_samples(cluster_, last_poll_, snapshot, now), 3 * kPollInterval);
  }
  last_poll_ = snapshot;
  next_poll_ = now + kPollInterval;
  // The time that a silent agent made us wait is not the others' silence.
  last_look_ = now;
  return snapshot;
}

PathStage RunSession::stage_of(const std::string& name,
                               std::optional<PathStage::Inside> window) const {
  return {.name = name,
          .window = window,
          .port = options_.arm.probe_port,
          .probe_rate = options_.arm.probe_rate,
          .with_bulk = has_bulk(experiment_)};
}

void RunSession::take_measurement(PathMeasurement measurement) {
  findings_.merge(assess_paths(measurement.records));
  std::move(measurement.unmeasured.begin(), measurement.unmeasured.end(),
            std::back_inserter(findings_.inconclusive));
  std::move(measurement.records.begin(), measurement.records.end(),
            std::back_inserter(path_records_));
}

void RunSession::flush() {
  next_flush_ = mono_now() + kFlushInterval;
  if (Status written = hub_->flush(store_, record_.id); !written && !flush_failed_) {
    flush_failed_ = true;
    invalidate("observations could not be stored: " + written.error().message);
  }
}

JudgeContext RunSession::live_context() const {
  JudgeContext context;
  context.phases = actual_phases_;
  context.variables = record_.variables;
  for (const auto& [name, nodes] : plan_.selections) {
    std::set<std::string> zones;
    for (const NodeId node : nodes) {
      context.selected_nodes[name].push_back(cluster_.nodes[node].name);
      zones.insert(cluster_.nodes[node].zone);
    }
    context.selected_zones[name].assign(zones.begin(), zones.end());
  }
  return context;
}

void RunSession::event(const std::string& kind, const std::string& node, const std::string& text) {
  // An event that cannot be written must not stop the healing that comes after it.
  if (Status added = store_.add_event(
          record_.id, {.at_mono_ns = to_ns(mono_now()), .kind = kind, .node = node, .text = text});
      !added) {
    listener_.trouble("an event could not be stored: " + added.error().message);
  }
}

void RunSession::note_early(const Error& error) {
  if (early_) return;
  const bool aborted =
      error.code == ErrorCode::kCancelled || (fired_ && error.code == ErrorCode::kRefused);
  early_ = {.verdict = aborted ? RunVerdict::kAborted : RunVerdict::kInvalid,
            .reason = error.message};
  event(aborted ? "abort" : "violation", "", error.message);
  listener_.trouble(error.message);
}

void RunSession::invalidate(const std::string& reason) {
  findings_.invalid.push_back(reason);
  event("violation", "", reason);
  listener_.trouble(reason);
}

std::vector<ClockEstimate> RunSession::clocks() const {
  std::vector<ClockEstimate> result;
  const auto health = fleet_->health();
  for (std::size_t i = 0; i < health.size(); ++i) {
    const ClockEstimate unknown{.offset = {},
                                .uncertainty = fleet_->has_agent(i) ? Nanos::max() : Nanos{0}};
    result.push_back(health[i].clock.value_or(unknown));
  }
  return result;
}

Nanos RunSession::uncertainty() const {
  Nanos worst{0};
  for (const ClockEstimate& clock : clocks()) worst = std::max(worst, clock.uncertainty);
  return worst;
}

LiveCluster RunSession::live_cluster() const {
  return {.leader = [this](const std::string& system) { return hub_->leader(system); }};
}

void RunSession::record_phase(const PlannedPhase& phase, MonoTime from, MonoTime until) {
  const auto known = std::find_if(actual_phases_.begin(), actual_phases_.end(),
                                  [&](const auto& window) { return window.name == phase.name; });
  if (known != actual_phases_.end()) {
    known->until = until;
  } else {
    actual_phases_.push_back({.name = phase.name, .from = from, .until = until});
  }
  const PhaseRecord record{.name = phase.name,
                           .planned_from_ns = phase.from.count(),
                           .planned_until_ns = phase.until.count(),
                           .from_mono_ns = to_ns(from),
                           .until_mono_ns = to_ns(until)};
  if (Status put = store_.put_phases(record_.id, {&record, 1}); !put) {
    listener_.trouble("a phase could not be stored: " + put.error().message);
  }
}

}  // namespace zq
