// The node's safety: whatever goes wrong with a run ends in a healed node.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <sstream>

#include "agent/session_run.h"

namespace zq {
namespace {

constexpr Nanos kTick = std::chrono::milliseconds(100);
constexpr Nanos kInspectEach = std::chrono::milliseconds(500);
constexpr Nanos kReleaseRetry = std::chrono::seconds(5);

std::vector<std::string> sorted_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  std::sort(lines.begin(), lines.end());
  return lines;
}

// Lines that only one of the texts has: "- gone", "+ new".
std::vector<std::string> line_changes(const std::string& before, const std::string& after) {
  const auto old_lines = sorted_lines(before);
  const auto new_lines = sorted_lines(after);
  std::vector<std::string> gone;
  std::vector<std::string> appeared;
  std::set_difference(old_lines.begin(), old_lines.end(), new_lines.begin(), new_lines.end(),
                      std::back_inserter(gone));
  std::set_difference(new_lines.begin(), new_lines.end(), old_lines.begin(), old_lines.end(),
                      std::back_inserter(appeared));
  std::vector<std::string> changes;
  changes.reserve(gone.size() + appeared.size());
  for (const auto& line : gone) changes.push_back("- " + line);
  for (const auto& line : appeared) changes.push_back("+ " + line);
  return changes;
}

}  // namespace

Status Session::swap_programme(Run& run, GateProgramme programme) {
  // Never a moment in which probes claim a cut that the kernel no longer makes.
  run.prober->set_programme({});
  if (auto loaded = run.gate.load(programme); !loaded) {
    run.prober->set_programme(run.programme.rules);
    return loaded;
  }
  run.prober->set_programme(programme.rules);
  run.programme = std::move(programme);
  return {};
}

Status Session::heal(Run& run) {
  if (run.healed_at) return {};
  run.prober->set_programme({});
  run.evidence = run.gate.evidence();
  if (!run.evidence) {
    run.evidence.error().message.insert(0, "what was cut until the heal cannot be told: ");
    spdlog::error("run {}: {}", run.order.run, run.evidence.error().message);
  }
  run.keeper->stop();
  // Either of the two ends every fault.
  auto loaded = run.gate.load({});
  auto ended = run.gate.end_lease();
  run.throughput->cancel();
  if (auto undone = run.processes->undo(); !undone) {
    run.processes_left = undone.error().message;
    spdlog::error("run {}: processes: {}", run.order.run, run.processes_left);
  }
  if (!loaded && !ended) return loaded;
  run.healed_at = mono_now();
  run.programme = {};
  spdlog::info("run {}: healed", run.order.run);
  return {};
}

Status Session::let_go(const std::string& why) {
  ZQ_CHECK(heal(*run_));
  run_->prober.reset();
  run_->throughput->stop();
  run_->monitor.reset();
  if (auto detached = run_->gate.detach(); !detached) {
    return tl::unexpected(std::move(detached).error().with_context(
        fmt::format("run {}: healed, but the gate cannot be removed", run_->order.run)));
  }
  if (const auto after = dump_everything()) {
    last_changes_ = line_changes(run_->everything_before, *after);
  }
  if (!run_->processes_left.empty()) {
    last_changes_.push_back("processes could not be put back: " + run_->processes_left);
  }
  spdlog::info("run {}: let go: {}", run_->order.run, why);
  remember({run_->order.run, run_->order.epoch, run_->uplinks, why});
  run_.reset();
  return {};
}

void Session::release(const std::string& why) {
  const std::lock_guard turn(turn_);
  const std::lock_guard lock(mutex_);
  if (!run_) return;
  if (auto released = let_go(why); !released) spdlog::error("{}", released.error().message);
}

void Session::watch(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  MonoTime last = mono_now();
  while (true) {
    wake_.wait_for(lock, stop, kTick, [] { return false; });
    if (stop.stop_requested()) return;
    const MonoTime now = mono_now();
    if (run_) look_after(*run_, now - last - kTick);
    last = now;
  }
}

void Session::look_after(Run& run, Nanos stalled) {
  const MonoTime now = mono_now();
  std::vector<std::string> found;
  if (auto failure = run.keeper->failure()) found.push_back(std::move(*failure));
  if (run.monitor && run.monitor->relevant_change().value_or(true)) run.inspect_at = now;
  if (run.monitor && now >= run.inspect_at) {
    run.inspect_at = now + kInspectEach;
    auto violations = run.gate.violations();
    if (!violations) violations = {std::move(violations).error().message};
    found.insert(found.end(), violations->begin(), violations->end());
  }
  if (run.monitor) {
    const auto& between = run.monitor->violations();
    found.insert(found.end(), between.begin(), between.end());
  }
  for (const auto& violation : found) {
    if (std::find(run.violations.begin(), run.violations.end(), violation) !=
        run.violations.end()) {
      continue;
    }
    spdlog::error("run {}: violation: {}", run.order.run, violation);
    run.violations.push_back(violation);
  }
  if (!run.violations.empty()) {
    if (auto healed = heal(run); !healed) {
      spdlog::error("run {}: {}", run.order.run, healed.error().message);
    }
  }
  // Beats that came while this process stood still have not been read yet: they get a moment. The
  // lease is not renewed for it.
  if (stalled > run.order.orphan / 2) {
    run.release_at = now + std::min<Nanos>(run.order.orphan / 2, std::chrono::seconds(1));
  }
  if (now - run.keeper->last_beat() <= run.order.orphan || now < run.release_at) return;
  run.release_at = now + kReleaseRetry;
  if (auto released = let_go(
          fmt::format("no heartbeat of its controller for {}", format_duration(run.order.orphan)));
      !released) {
    spdlog::error("{}", released.error().message);
  }
}

}  // namespace zq
