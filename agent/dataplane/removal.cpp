#include "agent/dataplane/removal.h"

#include <sys/stat.h>

#include <filesystem>

#include "agent/dataplane/shaper.h"
#include "agent/dataplane/traffic_control.h"

namespace zq {
namespace {

std::uint64_t inode_of(const std::filesystem::path& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? std::uint64_t{info.st_ino} : 0;
}

// Where a network namespace is still in use: a name under /run/netns or a process; "" = nowhere.
std::string find_netns(std::uint64_t inode) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/run/netns", error)) {
    if (inode_of(entry.path()) == inode) return entry.path();
  }
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (inode_of(entry.path() / "ns/net") == inode) return fmt::format("process {}", name);
  }
  return {};
}

}  // namespace

Result<std::vector<std::string>> remove_gate(NetlinkSocket& socket,
                                             const std::vector<JournalDevice>& devices) {
  std::vector<std::string> removed;
  std::string errors;
  const auto step = [&](Result<bool> done, const std::string& what) {
    if (!done) {
      errors += (errors.empty() ? "" : "; ") + done.error().message;
    } else if (*done) {
      removed.push_back(what);
    }
  };
  for (const JournalDevice& device : devices) {
    for (const FlowDirection direction : kHooks) {
      step(remove_gate_filter(socket, device.uplink, direction),
           fmt::format("{} {}: the gate's filter", device.uplink.device, hook_name(direction)));
    }
    if (!device.had_clsact) {
      step(remove_clsact_if_empty(socket, device.uplink),
           fmt::format("{}: clsact", device.uplink.device));
    }
  }
  if (!errors.empty()) return fail(ErrorCode::kKernel, "taking the gate off: {}", errors);
  return removed;
}

Result<std::vector<std::string>> clean_leftovers(const std::string& state_dir) {
  ZQ_TRY(const auto journal, read_journal(state_dir));
  if (!journal) return std::vector<std::string>{};
  ZQ_TRY(const std::string boot_id, current_boot_id());
  ZQ_TRY(const std::uint64_t inode, current_netns_inode());
  std::vector<std::string> removed;
  if (journal->boot_id != boot_id) {
    removed.emplace_back("the journal of a gate from before this boot");
  } else if (journal->netns_inode != inode) {
    if (const std::string where = find_netns(journal->netns_inode); !where.empty()) {
      return fail(ErrorCode::kRefused,
                  "state directory {} belongs to an agent in another network namespace ({}); start "
                  "this agent with its own directory, or there",
                  state_dir, where);
    }
    removed.emplace_back("the journal of a gate in a network namespace that is gone");
  } else {
    // The journal is of the gate, and where a gate was there may have been lanes. They go first,
    // because their filters keep clsact.
    std::vector<Uplink> uplinks;
    for (const JournalDevice& device : journal->devices) uplinks.push_back(device.uplink);
    ZQ_TRY(removed, remove_leftover_lanes(uplinks));
    ZQ_TRY(auto socket, NetlinkSocket::open());
    ZQ_TRY(const auto gate, remove_gate(socket, journal->devices));
    removed.insert(removed.end(), gate.begin(), gate.end());
    removed.emplace_back("the journal of an earlier life");
  }
  ZQ_CHECK(remove_journal(state_dir));
  return removed;
}

}  // namespace zq
