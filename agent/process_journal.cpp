#include "agent/process_journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "agent/base/unique_fd.h"
#include "agent/dataplane/journal.h"
#include "agent/process_cgroup.h"
#include "agent/process_units.h"

namespace zq {
namespace {

std::string journal_path(const std::string& state_dir) { return state_dir + "/process.journal"; }

Status sync_directory(const std::string& state_dir) {
  const UniqueFd fd(::open(state_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return fail_errno(errno, "syncing " + state_dir);
  return {};
}

Status remove_journal_file(const std::string& state_dir) {
  const std::string path = journal_path(state_dir);
  if (::unlink(path.c_str()) == 0) return sync_directory(state_dir);
  if (errno == ENOENT) return {};
  return fail_errno(errno, "removing " + path);
}

Result<std::string> resume(const std::string& name) {
  const auto cgroup = ProcessCgroup::find(name);
  // Gone with everything in it.
  if (!cgroup && cgroup.error().code == ErrorCode::kRefused) return std::string();
  if (!cgroup) return tl::unexpected(cgroup.error());
  if (!cgroup->freeze_requested()) return std::string();
  if (auto thawed = cgroup->freeze(false); !thawed && cgroup->exists()) {
    return tl::unexpected(std::move(thawed).error());
  }
  return fmt::format("cgroup {} was paused: resumed", name);
}

Result<std::string> start(const std::string& name) {
  ZQ_TRY(Units units, Units::connect());
  ZQ_TRY(const UnitState state, units.state(name));
  if (state.runs() || state.starts()) return std::string();
  ZQ_CHECK(units.start(name));
  return fmt::format("unit {} was {}: told to start", name, state.active);
}

}  // namespace

Status write_process_journal(const std::string& state_dir, const ProcessJournal& journal) {
  if (journal.debts.empty()) return remove_journal_file(state_dir);
  nlohmann::json debts = nlohmann::json::array();
  for (const auto& debt : journal.debts) {
    debts.push_back({{"what", debt.what == ProcessDebt::What::kPaused ? "paused" : "stopped"},
                     {"name", debt.name},
                     {"from_mono_ns", to_ns(debt.from)}});
  }
  const nlohmann::json document{
      {"life", journal.life}, {"boot_id", journal.boot_id}, {"debts", std::move(debts)}};
  const std::string text = document.dump(2) + "\n";
  const std::string path = journal_path(state_dir);
  const std::string fresh = path + ".new";
  const UniqueFd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      ::fsync(fd.get()) != 0 || ::rename(fresh.c_str(), path.c_str()) != 0) {
    return fail_errno(errno, "writing " + path);
  }
  return sync_directory(state_dir);
}

Result<std::optional<ProcessJournal>> read_process_journal(const std::string& state_dir) {
  const std::string path = journal_path(state_dir);
  std::ifstream file(path);
  if (!file) {
    if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT) {
      return std::optional<ProcessJournal>();
    }
    return fail_errno(errno, path);
  }
  try {
    const auto document = nlohmann::json::parse(file);
    ProcessJournal journal;
    journal.life = document.at("life").get<std::string>();
    journal.boot_id = document.at("boot_id").get<std::string>();
    for (const auto& debt : document.at("debts")) {
      const auto what = debt.at("what").get<std::string>();
      journal.debts.push_back(
          {what == "paused" ? ProcessDebt::What::kPaused : ProcessDebt::What::kStopped,
           debt.at("name").get<std::string>(),
           mono_from_ns(debt.at("from_mono_ns").get<std::int64_t>())});
    }
    return std::optional<ProcessJournal>(std::move(journal));
  } catch (const nlohmann::json::exception& error) {
    return fail(ErrorCode::kInput,
                "{} is damaged ({}): look for paused cgroups and stopped units on this node, then "
                "delete the file",
                path, error.what());
  }
}

Result<std::string> settle(const ProcessDebt& debt) {
  if (mono_now() < debt.from) return std::string();
  return debt.what == ProcessDebt::What::kPaused ? resume(debt.name) : start(debt.name);
}

Result<std::vector<std::string>> settle_process_journal(const std::string& state_dir,
                                                        const std::optional<std::string>& life) {
  const std::string lock_path = state_dir + "/process.lock";
  const UniqueFd lock(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock || ::flock(lock.get(), LOCK_EX) != 0) return fail_errno(errno, lock_path);
  ZQ_TRY(const auto journal, read_process_journal(state_dir));
  std::vector<std::string> done;
  if (!journal || (life && *life != journal->life)) return done;
  ZQ_TRY(const std::string boot_id, current_boot_id());
  if (journal->boot_id == boot_id) {
    ProcessJournal rest = *journal;
    rest.debts.clear();
    Status failed;
    for (const auto& debt : journal->debts) {
      if (auto line = settle(debt); !line) {
        rest.debts.push_back(debt);
        failed = tl::unexpected(std::move(line).error());
      } else if (!line->empty()) {
        done.push_back(*line);
      }
    }
    if (!failed) {
      ZQ_CHECK(write_process_journal(state_dir, rest));
      return fail(failed.error().code,
                  "undoing a process fault: {}; put it right by hand, then delete {}",
                  failed.error().message, journal_path(state_dir));
    }
  }
  ZQ_CHECK(remove_journal_file(state_dir));
  return done;
}

}  // namespace zq
