#include <algorithm>

#include "controller/run/session.h"

namespace zq {
namespace {

constexpr Nanos kLoadTimeout = std::chrono::seconds(1);

}  // namespace

Status RunSession::fire() {
  const MonoTime fault_at = mono_now() + options_.lead;
  fault_at_ = fault_at;
  record_.fault_mono_ns = to_ns(fault_at);
  std::vector<ClockEstimate> clock = clocks();
  // What is known of T, not of now: clocks drift until then.
  for (ClockEstimate& estimate : clock) estimate = estimate.at(fault_at);
  record_.uncertainty_ns = 0;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    record_.uncertainty_ns = std::max(record_.uncertainty_ns, clock[i].uncertainty.count());
    nodes_[i].clock_offset_ns = clock[i].offset.count();
    nodes_[i].clock_uncertainty_ns = clock[i].uncertainty.count();
  }
  ZQ_CHECK(store_.update_run(record_));
  ZQ_CHECK(store_.put_nodes(record_.id, nodes_));

  const bool impairs =
      std::any_of(plan_.programmes.begin(), plan_.programmes.end(),
                  [](const auto& programme) { return !programme.entries.empty(); });
  fired_ = true;
  steps_->start(fault_at);
  if (impairs || !agent_steps_.empty()) ZQ_CHECK(load_programmes(fault_at, clock));
  const PlannedPhase& baseline = plan_.phases.front();
  ZQ_CHECK(
      watch(fault_at, baseline.name, actual_phases_.front().from, baseline.until - baseline.from));
  record_phase(baseline, actual_phases_.front().from, fault_at);

  // A leader that moved between arming and T would make the fault hit somebody else.
  const LiveCluster live = live_cluster();
  for (const NamedSelector& entry : experiment_.select) {
    if (!entry.selector.is_dynamic()) continue;
    ZQ_TRY(const NodeSet now, entry.selector.resolve(cluster_, plan_.selections, &live));
    if (now != plan_.selections.at(entry.name)) {
      return fail(ErrorCode::kUnavailable,
                  "the selection '{}' = \"{}\" moved between arming and the fault's instant",
                  entry.name, entry.selector.text());
    }
  }
  return {};
}

Status RunSession::load_programmes(MonoTime fault_at, const std::vector<ClockEstimate>& clock) {
  listener_.step(
      fmt::format("loading the programmes; T is in {}", format_duration(fault_at - mono_now())));
  const auto replies =
      fleet_->load(load_requests(plan_, run_, fault_at, clock, agent_steps_), kLoadTimeout);
  for (std::size_t i = 0; i < replies.size(); ++i) {
    if (!fleet_->has_agent(i)) continue;
    if (!replies[i]) {
      return fail(ErrorCode::kUnavailable, "loading the programme failed: {}",
                  replies[i].error().message);
    }
    const MonoTime loaded = mono_from_ns(replies[i]->loaded_mono_ns()) - clock[i].offset;
    if (loaded + clock[i].uncertainty >= fault_at) {
      return fail(ErrorCode::kUnavailable,
                  "{} had its programme only {} after T; is the machine overloaded?",
                  cluster_.nodes[i].name, format_duration(loaded - fault_at));
    }
  }
  event("fault", "",
        fmt::format("programmes loaded on all nodes {} before T",
                    format_duration(fault_at - mono_now())));
  return {};
}

Status RunSession::fault_phases() {
  for (std::size_t i = 1; i + 1 < plan_.phases.size(); ++i) {
    const PlannedPhase& phase = plan_.phases[i];
    const MonoTime from = *fault_at_ + phase.from;
    const MonoTime until = *fault_at_ + phase.until;
    listener_.phase(phase.name, phase.until - phase.from);
    event("phase", "", phase.name);
    // A run that ends inside this phase has been in it up to that moment; heal() corrects the end.
    record_phase(phase, from, until);
    for (const MeasureWindow& window : measure_windows(plan_, phase, {})) {
      ZQ_CHECK(measure_window(phase, window));
    }
    ZQ_CHECK(watch(until, phase.name, from, phase.until - phase.from));
  }
  return {};
}

Status RunSession::measure_window(const PlannedPhase& phase, const MeasureWindow& window) {
  const MonoTime t = *fault_at_;
  const Nanos length = phase.until - phase.from;
  const MeasureTimes times;
  // Bulk data in a capped queue holds up the probes, so that it has to wait until they are counted.
  const Nanos bulk =
      throughput_time(capped_borders(window).size(), window.until - window.from - times.shortest);
  const MonoTime count_until = t + window.until - bulk;
  ZQ_CHECK(watch(t + window.from, phase.name, t + phase.from, length));
  const PathSnapshot first = begin_stage(count_until - times.settle);
  ZQ_CHECK(watch(count_until, phase.name, t + phase.from, length));
  const PathSnapshot last = poll_paths(t + window.end - bulk - times.settle);
  take_stage(stage_of(window.stage, PathStage::Inside{.from = t + window.begin,
                                                      .until = t + window.end,
                                                      .from_t = window.begin,
                                                      .until_t = window.end}),
             first, last);
  return measure_throughput(phase, window);
}

}  // namespace zq
