// Something done to processes of the node, and what came of it.
#pragma once

#include <cstddef>
#include <string>

#include "agent/base/time.h"

namespace zq {

enum class ProcessVerb {
  kKill,   // SIGKILL to all at once
  kStop,   // a unit: as systemd stops it; a cgroup: SIGTERM to each
  kPause,  // cgroup freezer
  kResume,
  kStart,    // a unit
  kRestart,  // a unit
};

struct ProcessAction {
  ProcessVerb verb = ProcessVerb::kKill;
  std::string unit;    // either this
  std::string cgroup;  // or that
  MonoTime at{};       // the epoch = at once
  bool operator==(const ProcessAction&) const = default;
};

struct ProcessResult {
  ProcessAction action;
  MonoTime began{};           // the epoch = not yet
  MonoTime done{};            // the epoch = not yet
  std::string error;          // empty = done, or not yet
  std::size_t processes = 0;  // that were there
};

// "pause of unit zookeeper.service".
[[nodiscard]] std::string to_string(const ProcessAction& action);

}  // namespace zq
