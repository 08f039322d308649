// A task's process: started in a session of its own, so that it outlives the agent, and found again
// by pid and start time.
#pragma once

#include <sys/types.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/error.h"

namespace zq::calibration {

struct ProcessId {
  pid_t pid = 0;
  std::uint64_t started = 0;  // clock ticks since boot, /proc/PID/stat
};

// `command` is a v1 CommandInfo. Output goes to `directory`/stdout and stderr.
Result<ProcessId> start_process(const nlohmann::json& command, const std::string& directory);
// Nothing while it runs; then how it ended: wait's status, or -1 where that cannot be told as the
// process is not our child.
[[nodiscard]] std::optional<int> ended(const ProcessId& process);
// To the whole session's group, if the process is still that one.
void signal_process(const ProcessId& process, int signal);

}  // namespace zq::calibration
