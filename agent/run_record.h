// What the agent remembers of its newest run across its own death: enough to refuse an outdated
// controller, to answer a repeated Disarm, and to say why a run ended.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/dataplane/gate.h"

namespace zq {

struct RunRecord {
  std::string run;
  std::uint64_t epoch = 0;
  std::vector<Uplink> uplinks;
  std::string ended;  // why the node let the run go; empty = it holds it, or the agent died then
};

// `state_dir`/run.json, replaced in one step.
Status save_run_record(const std::string& state_dir, const RunRecord& record);
// Empty when there is none, or none that can be read.
std::optional<RunRecord> load_run_record(const std::string& state_dir);

}  // namespace zq
