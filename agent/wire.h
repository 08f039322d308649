// The data plane's and the prober's values as messages.
#pragma once

#include "agent.pb.h"
#include "agent/dataplane/gate.h"
#include "agent/path_prober.h"

namespace zq {

[[nodiscard]] zonequake::Uplink to_wire(const Uplink& uplink);
[[nodiscard]] zonequake::GateCounter to_wire(const GateCounter& counter);
[[nodiscard]] zonequake::WindowEvidence to_wire(const WindowEvidence& evidence);
[[nodiscard]] zonequake::QueueEvidence to_wire(const QueueState& state);
[[nodiscard]] zonequake::PathsReply to_wire(const PathCounts& counts);

}  // namespace zq
