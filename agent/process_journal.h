// What was done to processes of the node and has to be undone when the run ends, on disk: whoever
// survives the agent (its guardian, its next life) reads it. Undoing is idempotent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/time.h"

namespace zq {

struct ProcessDebt {
  enum class What {
    kPaused,   // a cgroup: to be resumed
    kStopped,  // a unit that ran, and was stopped or killed: to be started
  };
  What what = What::kPaused;
  std::string name;
  MonoTime from;  // when it is done; nothing has to be undone before
  auto operator<=>(const ProcessDebt&) const = default;
};

struct ProcessJournal {
  std::string life;     // of the agent that wrote it: guardians of another leave it alone
  std::string boot_id;  // after another boot nothing of it is left
  std::vector<ProcessDebt> debts;
};

// Durable when it returns. Without debts the file is removed.
Status write_process_journal(const std::string& state_dir, const ProcessJournal& journal);
// nullopt = there is none. kInput: damaged.
Result<std::optional<ProcessJournal>> read_process_journal(const std::string& state_dir);

// Undoes a debt that is due. What happened, for people; empty = there was nothing to undo. Units
// are told to start, not waited for.
Result<std::string> settle(const ProcessDebt& debt);

// Undoes what the journal says, and removes it when all of it is undone. `life`: nothing happens
// when the journal is of another. One process at a time, the others wait.
Result<std::vector<std::string>> settle_process_journal(
    const std::string& state_dir, const std::optional<std::string>& life = std::nullopt);

}  // namespace zq
