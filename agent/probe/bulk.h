// Bulk TCP data: what its connections begin with, and the workload that sends it without end. The
// peer's agent takes both (agent/throughput.h).
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "agent.pb.h"
#include "agent/base/error.h"
#include "agent/base/time.h"
#include "agent/probe/workload.h"

namespace zq {

inline constexpr std::uint64_t kBulkMagic = 0x5a51545031000000;  // "ZQTP1"

// Words of 8 bytes, big endian: magic, short_hash() of the run, length in ns. Length 0 = until the
// connection is closed, unmeasured by the peer.
using BulkRequest = std::array<std::uint8_t, 24>;
[[nodiscard]] BulkRequest bulk_request(std::uint64_t run, Nanos length);

// Sends from the calling thread's network namespace until it is stopped. kInput when an address,
// the port or the number of streams cannot be right.
Result<std::unique_ptr<RunningWorkload>> start_bulk(const zonequake::BulkProbe& probe);

}  // namespace zq
