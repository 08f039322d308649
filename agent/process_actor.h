// Does actions to processes and keeps the debts of a run: what has to be undone when it ends. Does
// not know of instants. One thread at a time.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/time.h"
#include "agent/guardian.h"
#include "agent/process_action.h"
#include "agent/process_cgroup.h"
#include "agent/process_journal.h"
#include "agent/process_units.h"

namespace zq {

// An action on something that was there, and may be acted on, when it was prepared.
struct PreparedAction {
  ProcessAction action;
  std::optional<ProcessCgroup> cgroup;
  std::optional<ProcessDebt> debt;
};

struct BegunAction {
  Status status;
  std::size_t processes = 0;
  // Asked from time to time: whether it is done. Empty = done at once.
  std::function<Result<bool>()> progress;
  Nanos ask_each{};
  Nanos patience{};  // of asking
};

class ProcessActor {
 public:
  // `program`: the agent's, for the guardian.
  ProcessActor(std::string state_dir, std::string program);

  // Changes nothing. kInput, kRefused: the agent's own unit or cgroup, one that is not there, one
  // that somebody else has frozen. kUnavailable: systemd.
  Result<PreparedAction> prepare(const ProcessAction& action);
  // Journal and guardian, before the first of these actions begins.
  Status insure(const std::vector<PreparedAction>& actions);
  BegunAction begin(const PreparedAction& prepared);
  // The action is done: what it owed, or what it paid back.
  void finished(const PreparedAction& prepared);
  // Housekeeping for when there is time: the guardian lives, the journal is up to date.
  void tend();

  struct Undone {
    ProcessAction action;
    MonoTime at;
    std::string error;
  };
  // Undoes every debt of an action that has begun. What fails stays in the journal.
  std::vector<Undone> settle_all();

 private:
  Result<Units*> units();
  Result<UnitState> unit_state(const std::string& unit);
  BegunAction begin_cgroup(const PreparedAction& prepared);
  BegunAction begin_unit(const ProcessAction& action);
  Status write_journal();

  struct Debt {
    ProcessDebt what;
    bool begun = false;
    auto operator<=>(const Debt&) const = default;
  };

  const std::string state_dir_;
  const std::string program_;
  const std::string life_;
  std::string boot_id_;
  std::optional<Units> units_;
  std::optional<Guardian> guardian_;
  std::vector<Debt> debts_;
  std::map<std::string, bool> ran_before_;  // units, when they were first prepared
  bool journal_is_old_ = false;
};

}  // namespace zq
