// How scopes of packets relate.
#pragma once

#include "agent/base/impairment.h"

namespace zq {

// The same packets seen from the other end: source and destination ports change places.
[[nodiscard]] Scope reversed(Scope scope);

// Whether some packet is in both. Exact: ports are those of one packet, whose two ends can each be
// anything.
[[nodiscard]] bool overlap(const Scope& one, const Scope& other);

// Holds packets of which systems' connections are made: TCP or UDP of some port.
[[nodiscard]] bool carries_connections(const Scope& scope);

}  // namespace zq
