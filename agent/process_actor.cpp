#include "agent/process_actor.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>

#include "agent/dataplane/journal.h"

namespace zq {
namespace {

constexpr Nanos kCgroupEach = std::chrono::milliseconds(1);
constexpr Nanos kUnitEach = std::chrono::milliseconds(20);
constexpr Nanos kFreezePatience = std::chrono::seconds(2);
constexpr Nanos kKillPatience = std::chrono::seconds(5);
// systemd kills what has not stopped after 90 s, unless the unit says otherwise.
constexpr Nanos kStopPatience = std::chrono::seconds(100);

const char* name_of(ProcessVerb verb) {
  switch (verb) {
    case ProcessVerb::kKill:
      return "kill";
    case ProcessVerb::kStop:
      return "stop";
    case ProcessVerb::kPause:
      return "pause";
    case ProcessVerb::kResume:
      return "resume";
    case ProcessVerb::kStart:
      return "start";
    case ProcessVerb::kRestart:
      return "restart";
  }
  return "?";
}

bool needs_cgroup(const ProcessAction& action) {
  if (!action.cgroup.empty()) return true;
  return action.verb == ProcessVerb::kKill || action.verb == ProcessVerb::kPause ||
         action.verb == ProcessVerb::kResume;
}

// None of those who were there is there still; others may have come since.
Result<bool> all_gone(const ProcessCgroup& cgroup, const std::vector<int>& before) {
  if (!cgroup.exists() || !cgroup.populated()) return true;
  const auto now = cgroup.processes();
  return std::none_of(before.begin(), before.end(),
                      [&](int pid) { return std::find(now.begin(), now.end(), pid) != now.end(); });
}

BegunAction failed(Error error) {
  BegunAction begun;
  begun.status = tl::unexpected(std::move(error));
  return begun;
}

}  // namespace

std::string to_string(const ProcessAction& action) {
  return fmt::format("{} of {} {}", name_of(action.verb), action.unit.empty() ? "cgroup" : "unit",
                     action.unit.empty() ? action.cgroup : action.unit);
}

ProcessActor::ProcessActor(std::string state_dir, std::string program)
    : state_dir_(std::move(state_dir)),
      program_(std::move(program)),
      life_(fmt::format("{}-{}", ::getpid(), to_ns(mono_now()))) {
  if (auto boot_id = current_boot_id()) boot_id_ = std::move(*boot_id);
}

Result<Units*> ProcessActor::units() {
  if (!units_) {
    ZQ_TRY(units_, Units::connect());
  }
  return &*units_;
}

Result<UnitState> ProcessActor::unit_state(const std::string& unit) {
  ZQ_TRY(Units* const systemd, units());
  auto state = systemd->state(unit);
  if (!state && state.error().code == ErrorCode::kUnavailable) units_.reset();  // connect anew
  return state;
}

Result<PreparedAction> ProcessActor::prepare(const ProcessAction& action) {
  PreparedAction prepared{action, std::nullopt, std::nullopt};
  std::string cgroup = action.cgroup;
  if (!action.unit.empty()) {
    ZQ_TRY(const UnitState state, unit_state(action.unit));
    ran_before_.try_emplace(action.unit, state.runs() || state.starts());
    cgroup = state.cgroup;
    if (!cgroup.empty()) ZQ_CHECK(ProcessCgroup::check_name(cgroup));
    if (cgroup.empty() && needs_cgroup(action)) {
      return fail(ErrorCode::kRefused, "unit {} has no processes: it is {}", action.unit,
                  state.active);
    }
    const bool ends = action.verb == ProcessVerb::kKill || action.verb == ProcessVerb::kStop;
    if (ends && ran_before_[action.unit]) {
      prepared.debt = {ProcessDebt::What::kStopped, action.unit, action.at};
    }
  } else if (action.verb == ProcessVerb::kStart || action.verb == ProcessVerb::kRestart) {
    return fail(ErrorCode::kInput, "{}: only systemd's units can be started", to_string(action));
  }
  if (!needs_cgroup(action)) return prepared;
  ZQ_TRY(prepared.cgroup, ProcessCgroup::find(cgroup));
  const ProcessDebt pause{ProcessDebt::What::kPaused, prepared.cgroup->name(), action.at};
  const bool ours = std::any_of(debts_.begin(), debts_.end(), [&](const Debt& debt) {
    return debt.begun && debt.what.what == pause.what && debt.what.name == pause.name;
  });
  const bool freezer = action.verb == ProcessVerb::kPause || action.verb == ProcessVerb::kResume;
  if (freezer && !ours && prepared.cgroup->freeze_requested()) {
    return fail(ErrorCode::kRefused, "{}: it is frozen already, and not by this run",
                to_string(action));
  }
  if (action.verb == ProcessVerb::kPause) prepared.debt = pause;
  return prepared;
}

Status ProcessActor::write_journal() {
  ProcessJournal journal{life_, boot_id_, {}};
  for (const auto& debt : debts_) journal.debts.push_back(debt.what);
  ZQ_CHECK(write_process_journal(state_dir_, journal));
  journal_is_old_ = false;
  return {};
}

Status ProcessActor::insure(const std::vector<PreparedAction>& actions) {
  // Of what was to come only that counts which is given now.
  std::erase_if(debts_, [](const Debt& debt) { return !debt.begun; });
  for (const auto& prepared : actions) {
    if (prepared.debt) debts_.push_back({*prepared.debt, false});
  }
  if (!debts_.empty() && (!guardian_ || !guardian_->alive())) {
    guardian_.reset();
    ZQ_TRY(Guardian guardian, Guardian::start(program_, state_dir_, life_));
    guardian_.emplace(std::move(guardian));
  }
  return write_journal();
}

BegunAction ProcessActor::begin(const PreparedAction& prepared) {
  for (auto& debt : debts_) {
    if (prepared.debt && debt.what == *prepared.debt) debt.begun = true;
  }
  BegunAction begun = prepared.cgroup ? begin_cgroup(prepared) : begin_unit(prepared.action);
  if (!begun.status) begun.progress = nullptr;
  return begun;
}

BegunAction ProcessActor::begin_cgroup(const PreparedAction& prepared) {
  const ProcessCgroup& cgroup = *prepared.cgroup;
  const std::vector<int> before = cgroup.processes();
  BegunAction begun;
  begun.processes = before.size();
  begun.ask_each = kCgroupEach;
  if (before.empty() && prepared.action.verb != ProcessVerb::kResume) {
    begun.status =
        fail(ErrorCode::kNotFound, "{}: there is no process", to_string(prepared.action));
    return begun;
  }
  switch (prepared.action.verb) {
    case ProcessVerb::kKill:
      begun.status = cgroup.kill();
      begun.patience = kKillPatience;
      begun.progress = [cgroup, before] { return all_gone(cgroup, before); };
      break;
    case ProcessVerb::kStop:
      begun.status = cgroup.terminate();
      begun.patience = kStopPatience;
      begun.progress = [cgroup, before] { return all_gone(cgroup, before); };
      break;
    case ProcessVerb::kPause:
      begun.status = cgroup.freeze(true);
      begun.patience = kFreezePatience;
      begun.progress = [cgroup]() -> Result<bool> {
        if (cgroup.frozen()) return true;
        if (cgroup.freeze_requested()) return false;
        return fail(ErrorCode::kCancelled, "cgroup {} was resumed before all of it stood still",
                    cgroup.name());
      };
      break;
    default:
      begun.status = cgroup.freeze(false);
      begun.patience = kFreezePatience;
      begun.progress = [cgroup]() -> Result<bool> { return !cgroup.frozen(); };
      break;
  }
  return begun;
}

BegunAction ProcessActor::begin_unit(const ProcessAction& action) {
  auto connected = units();
  if (!connected) return failed(std::move(connected).error());
  Units& systemd = **connected;
  BegunAction begun;
  begun.ask_each = kUnitEach;
  begun.patience = kStopPatience;
  const bool stops = action.verb == ProcessVerb::kStop;
  if (stops) {
    if (const auto state = systemd.state(action.unit); state && !state->cgroup.empty()) {
      if (const auto cgroup = ProcessCgroup::find(state->cgroup)) {
        begun.processes = cgroup->processes().size();
      }
    }
    begun.status = systemd.stop(action.unit);
  } else {
    begun.status = action.verb == ProcessVerb::kStart ? systemd.start(action.unit)
                                                      : systemd.restart(action.unit);
  }
  begun.progress = [this, action, stops]() -> Result<bool> {
    ZQ_TRY(const UnitState state, unit_state(action.unit));
    if (state.job) return false;
    if (stops ? state.runs() : state.active == "failed") {
      return fail(ErrorCode::kKernel, "{}: systemd says that it is {}; see journalctl -u {}",
                  to_string(action), state.active, action.unit);
    }
    return true;
  };
  return begun;
}

void ProcessActor::finished(const PreparedAction& prepared) {
  const bool started = prepared.action.verb == ProcessVerb::kStart;
  if (!started && prepared.action.verb != ProcessVerb::kResume) return;
  const auto before = debts_.size();
  std::erase_if(debts_, [&](const Debt& debt) {
    return debt.begun && (started ? debt.what.what == ProcessDebt::What::kStopped &&
                                        debt.what.name == prepared.action.unit
                                  : debt.what.what == ProcessDebt::What::kPaused &&
                                        debt.what.name == prepared.cgroup->name());
  });
  journal_is_old_ = journal_is_old_ || debts_.size() != before;
}

void ProcessActor::tend() {
  if (journal_is_old_) {
    if (auto written = write_journal(); !written) spdlog::error("{}", written.error().message);
  }
  if (debts_.empty() || (guardian_ && guardian_->alive())) return;
  spdlog::warn("the guardian of this node's processes has ended: starting another");
  guardian_.reset();
  auto guardian = Guardian::start(program_, state_dir_, life_);
  if (guardian) {
    guardian_.emplace(std::move(*guardian));
  } else {
    spdlog::error("{}", guardian.error().message);
  }
}

std::vector<ProcessActor::Undone> ProcessActor::settle_all() {
  std::vector<Undone> undone;
  std::vector<Debt> rest;
  for (const auto& debt : debts_) {
    if (!debt.begun) continue;
    const bool paused = debt.what.what == ProcessDebt::What::kPaused;
    const auto line = settle(debt.what);
    if (line && line->empty()) continue;
    const ProcessAction action{paused ? ProcessVerb::kResume : ProcessVerb::kStart,
                               paused ? "" : debt.what.name,
                               paused ? debt.what.name : "",
                               {}};
    undone.push_back({action, mono_now(), line ? "" : line.error().message});
    if (!line) rest.push_back(debt);
    spdlog::log(line ? spdlog::level::info : spdlog::level::err, "{}",
                line ? *line : line.error().message);
  }
  debts_ = std::move(rest);
  if (auto written = write_journal(); !written) spdlog::error("{}", written.error().message);
  return undone;
}

}  // namespace zq
