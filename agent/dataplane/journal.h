// The gate's intent on disk, written before the first kernel change and removed after the last, so
// that the next life of an agent knows what an earlier one may have left. It stands for the shaper,
// too: steering filters are on the gate's devices only, and lanes are found by their names.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/dataplane/gate.h"

namespace zq {

struct JournalDevice {
  Uplink uplink;
  bool had_clsact = false;  // there before us, so not ours to remove
};

struct Journal {
  std::string boot_id;
  std::uint64_t netns_inode = 0;
  std::vector<JournalDevice> devices;
};

// Of the calling thread.
Result<std::uint64_t> current_netns_inode();
Result<std::string> current_boot_id();

// Durable when it returns: the file replaces its predecessor whole and is synced.
Status write_journal(const std::string& state_dir, const Journal& journal);
// nullopt = there is none. kInput when the file is damaged (it says which).
Result<std::optional<Journal>> read_journal(const std::string& state_dir);
// No journal is no error.
Status remove_journal(const std::string& state_dir);

}  // namespace zq
