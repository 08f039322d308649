#include "results/identity.h"

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <optional>
#include <sstream>

namespace zq {

namespace {

struct ProcessStat {
  char state = '?';
  std::uint64_t start_ticks = 0;
};

std::optional<ProcessStat> read_stat(std::int64_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text;
  if (!std::getline(file, text)) return std::nullopt;
  // The command's name in parentheses may hold anything, so fields count from the last one.
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(text.substr(name_end + 1));
  ProcessStat stat;
  fields >> stat.state;
  std::string skipped;
  for (int field = 4; field < 22; ++field) fields >> skipped;
  fields >> stat.start_ticks;
  if (!fields) return std::nullopt;
  return stat;
}

std::string read_boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

}  // namespace

Result<ProcessIdentity> own_identity() {
  ProcessIdentity identity;
  identity.pid = getpid();
  identity.boot_id = read_boot_id();
  const auto stat = read_stat(identity.pid);
  if (!stat || identity.boot_id.empty()) {
    return fail(ErrorCode::kInternal,
                "cannot read /proc/{}/stat or /proc/sys/kernel/random/boot_id; is /proc mounted?",
                identity.pid);
  }
  identity.start_ticks = stat->start_ticks;
  return identity;
}

bool is_alive(const ProcessIdentity& identity) {
  if (identity.boot_id != read_boot_id()) return false;
  const auto stat = read_stat(identity.pid);
  if (!stat || stat->start_ticks != identity.start_ticks) return false;
  return stat->state != 'Z' && stat->state != 'X';
}

}  // namespace zq
