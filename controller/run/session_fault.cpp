#include <algorithm>

#include "controller/run/session.h"

namespace zq {
namespace {

constexpr Nanos kLoadTimeout = std::chrono::seconds(1);
// Around a phase's borders packets of both sides are on their way; measuring keeps off by this
// much.
constexpr Nanos kSettle = std::chrono::milliseconds(300);

}  // namespace

Status RunSession::fire() {
  const MonoTime fault_at = mono_now() + options_.lead;
  fault_at_ = fault_at;
  record_.fault_mono_ns = to_ns(fault_at);
  const std::vector<ClockEstimate> clock = clocks();
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    nodes_[i].clock_offset_ns = clock[i].offset.count();
    nodes_[i].clock_uncertainty_ns = clock[i].uncertainty.count();
  }
  record_.uncertainty_ns = uncertainty().count();
  ZQ_CHECK(store_.update_run(record_));
  ZQ_CHECK(store_.put_nodes(record_.id, nodes_));

  const bool impairs =
      std::any_of(plan_.programmes.begin(), plan_.programmes.end(),
                  [](const auto& programme) { return !programme.entries.empty(); });
  fired_ = true;
  if (impairs) {
    listener_.step(
        fmt::format("loading the programmes; T is in {}", format_duration(fault_at - mono_now())));
    const auto replies = fleet_->load(load_requests(plan_, run_, fault_at, clock), kLoadTimeout);
    for (std::size_t i = 0; i < replies.size(); ++i) {
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
  }
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

Status RunSession::fault_phases() {
  for (std::size_t i = 1; i + 1 < plan_.phases.size(); ++i) {
    const PlannedPhase& phase = plan_.phases[i];
    const MonoTime from = *fault_at_ + phase.from;
    const MonoTime until = *fault_at_ + phase.until;
    const Nanos length = phase.until - phase.from;
    listener_.phase(phase.name, length);
    event("phase", "", phase.name);
    // A run that ends inside this phase has been in it up to that moment; heal() corrects the end.
    record_phase(phase, from, until);
    ZQ_CHECK(apply_processes(phase, from));

    const MonoTime measure_from = from + std::max(kSettle, phase.kill_after + kSettle);
    const MonoTime measure_until = until - 2 * kSettle;
    ZQ_CHECK(watch(measure_from, phase.name, from, length));
    const PathSnapshot before = poll_paths(measure_until - kSettle);
    ZQ_CHECK(watch(measure_until, phase.name, from, length));
    const PathSnapshot after = poll_paths(until - kSettle);
    take_measurement(measure_paths({.name = "during:" + phase.name,
                                    .window = PathStage::Inside{.from = from + kSettle / 3,
                                                                .until = until,
                                                                .from_t = phase.from,
                                                                .until_t = phase.until}},
                                   cluster_, plan_, before, after));
    ZQ_CHECK(watch(until, phase.name, from, length));
  }
  return {};
}

Status RunSession::apply_processes(const PlannedPhase& phase, MonoTime started) {
  std::set<std::string> wanted;
  for (const NodeId node : phase.down) wanted.insert(cluster_.nodes[node].name);
  std::vector<std::string> to_kill, to_start;
  std::set_difference(wanted.begin(), wanted.end(), down_.begin(), down_.end(),
                      std::back_inserter(to_kill));
  std::set_difference(down_.begin(), down_.end(), wanted.begin(), wanted.end(),
                      std::back_inserter(to_start));
  if (to_kill.empty() && to_start.empty()) return {};
  if (testbed_ == nullptr) {
    return fail(ErrorCode::kInput, "process faults need a testbed, and this cluster has none");
  }
  if (!to_start.empty()) {
    ZQ_CHECK(testbed_->restart(to_start));
    for (const std::string& node : to_start) down_.erase(node);
    event("process", "", fmt::format("started again: {}", fmt::join(to_start, " ")));
  }
  if (!to_kill.empty()) {
    ZQ_CHECK(watch(started + phase.kill_after, phase.name, started, phase.until - phase.from));
    down_.insert(to_kill.begin(), to_kill.end());
    ZQ_CHECK(testbed_->kill(to_kill));
    event("process", "",
          fmt::format("killed {} after the start of {}: {}", format_duration(mono_now() - started),
                      phase.name, fmt::join(to_kill, " ")));
  }
  return {};
}

}  // namespace zq
