// netem, by a message of our own: libnl's builder writes past its buffer and knows no nanoseconds.
#pragma once

#include <cstdint>

#include "agent/base/impairment.h"
#include "agent/dataplane/htb.h"
#include "agent/dataplane/netlink.h"

namespace zq {

// netem draws delays with a signed 32-bit width and silently makes larger ones smaller.
inline constexpr Nanos kMaxNetemJitter = Nanos(0x7fffffff);

// Delay, jitter, corruption and reordering; loss and duplicates are the gate's.
NetlinkAnswer add_netem(NetlinkSocket& socket, unsigned index, const QueueQdisc& qdisc,
                        const Impairment& impairment, std::uint32_t limit_packets);

}  // namespace zq
