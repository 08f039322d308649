// The tree of queues on a lane: an HTB root, a class for each QueueClass, and below it what it
// needs, from the top down:
//   TBF    cuts offloaded units into frames (it does not limit anything)
//   netem  delays, corrupts, reorders
//   bfifo  waits for the rate
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/dataplane/netlink.h"
#include "agent/dataplane/shaper.h"

namespace zq {

// An HTB root whose packets go through unless a filter gives them a class. On a device that has no
// root qdisc of its own.
Status add_htb_root(NetlinkSocket& socket, unsigned index);

// A qdisc of a queue.
struct QueueQdisc {
  std::string kind;
  std::uint32_t handle = 0;
  std::uint32_t parent = 0;
};
[[nodiscard]] std::uint32_t class_handle(std::uint16_t id);
[[nodiscard]] std::vector<QueueQdisc> queue_qdiscs(std::uint16_t id, const ShaperNumbers& numbers);

// The class and its qdiscs. `largest_frame`: no frame that is not an offloaded unit is longer;
// bytes, with its headers.
Status add_queue(NetlinkSocket& socket, unsigned index, std::uint16_t id,
                 const Impairment& impairment, const ShaperNumbers& numbers,
                 std::uint32_t largest_frame);

// Makes a qdisc that does not exist yet; `fill` writes TCA_OPTIONS.
NetlinkAnswer add_qdisc(NetlinkSocket& socket, unsigned index, const QueueQdisc& qdisc,
                        const std::function<void(NetlinkMessage&)>& fill);

}  // namespace zq
