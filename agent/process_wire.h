// Process faults as messages. What comes from the wire is checked here; errors are kInput.
#pragma once

#include <vector>

#include "agent.pb.h"
#include "agent/base/error.h"
#include "agent/process_action.h"

namespace zq {

Result<std::vector<ProcessAction>> read_process_actions(
    const google::protobuf::RepeatedPtrField<zonequake::ProcessAction>& entries);

// `done_mono_ns` is that of the newest action without an instant.
[[nodiscard]] zonequake::ProcessReply to_wire(const std::vector<ProcessResult>& results);

}  // namespace zq
