// The gate (DESIGN 4.1 to 4.8): a BPF program on clsact ingress and egress of each uplink that
// drops, rejects or impairs packets between this node and groups of peers inside armed windows, by
// the kernel's clock, while the lease holds; and counts everything it decides about.
//
// Ownership: a Gate owns its filters, and clsact where it made it. detach() removes them; the
// destructor detaches too. If the process dies, the filters stay but pass everything once the lease
// has lapsed; clean_leftovers() of the next life removes them by the journal.
// Threading: one thread at a time, except renew_lease() and lease_held(), which may run on another.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/ip.h"
#include "agent/base/time.h"
#include "agent/dataplane/gate_rule.h"
#include "agent/dataplane/shaper.h"
#include "agent/dataplane/uplink.h"

namespace zq {

inline constexpr std::size_t kMaxExemptions = 32;

struct BookAddress {
  IpPrefix prefix;
  std::uint32_t group = 0;
};

// Matches when all of it does, each part on either side of the packet: the address may be the
// source's and the port the destination's. ICMPv6 neighbour discovery is exempt always. Later
// fragments of a datagram have no ports, so that no exemption with a port matches them.
struct GateExemption {
  IpPrefix prefix;  // length 0 of either family matches that family; see any_address
  bool any_address = true;
  std::uint8_t protocol = 0;  // IPPROTO_*; 0 = any
  std::uint16_t port = 0;     // 0 = any
};

// For a gate on a router between zones, not on a node. The book maps addresses to zones then, and a
// packet's group follows from its zones, at either hook alike.
struct GateTransit {
  std::uint32_t zones = 0;            // 0 = not on a router
  std::vector<std::uint32_t> groups;  // of [source zone * zones + destination zone]
};
// In GateTransit: packets of the pair pass uncounted.
inline constexpr std::uint32_t kNoGroup = 0xffffffff;

struct GateConfig {
  GateTransit transit;
  std::uint32_t own_group = 0;  // without meaning on a router
  std::uint32_t groups = 0;
  std::vector<BookAddress> book;
  std::vector<GateExemption> exempt;
  std::vector<Uplink> uplinks;
};

// Since attach(). A packet is counted in exactly one of passed, dropped, lost, exempt and transit,
// when it comes to the gate first; a packet is what the kernel carries as one, which may be a
// segmentation-offload unit of up to 64 KiB. Bytes include the link layer's header.
struct GateCounter {
  FlowDirection direction{};
  std::uint32_t group = 0;
  std::uint64_t passed_packets = 0, passed_bytes = 0;
  std::uint64_t dropped_packets = 0, dropped_bytes = 0;
  std::uint64_t exempt_packets = 0;      // would have been treated, but an exemption says otherwise
  std::uint64_t transit_packets = 0;     // the local address belongs to another group
  std::uint64_t rejected_packets = 0;    // of the dropped: those that were to be answered
  std::uint64_t lost_packets = 0;        // by a loss model
  std::uint64_t duplicated_packets = 0;  // copies that were made; counted nowhere else
  std::uint64_t queued_packets = 0;      // of the passed: sent through a queue of ours
  std::uint64_t unqueued_packets = 0;    // of the passed: should have been, but it was not served
};

// Instants are 0 when the event has not happened; all are CLOCK_MONOTONIC, read by the kernel for
// the packet in question. The window is as it was loaded, also after a heal. All counts are of
// packets that the window's scope matches and that no segment before it in the rule decided about;
// dropped means dropped or rejected.
struct WindowEvidence {
  FlowDirection direction{};
  std::uint32_t group = 0;
  std::uint32_t segment = 0;  // its place in the rule
  GateRule::Segment window;
  std::uint64_t dropped_packets = 0, dropped_bytes = 0;
  std::uint64_t passed_packets = 0;  // inside the window although not exempt: the lease had lapsed
  std::uint64_t exempt_packets = 0;
  std::int64_t last_passed_ns = 0;  // drops: last packet let through before the window opened
  std::int64_t first_dropped_ns = 0;
  std::int64_t last_dropped_ns = 0;
  // Drops: first packet let through after the window's end, where a heal or the lapse of the lease
  // may have ended it before its time.
  std::int64_t first_passed_ns = 0;
  // Impairments: what was decided about in the window; of these, lost and duplicated as the models
  // drew it (a packet that was both went through once).
  std::uint64_t impaired_packets = 0, impaired_bytes = 0;
  std::uint64_t impaired_segments = 0;  // packets on the wire, where an offload unit is many
  std::uint64_t lost_packets = 0, duplicated_packets = 0;
  std::int64_t first_impaired_ns = 0, last_impaired_ns = 0;
  // Packets that came out of a queue of ours: dropped then, because the window had opened
  // meanwhile, or let through although it, an impairment, was over. They had been counted before.
  std::uint64_t held_dropped_packets = 0, held_passed_packets = 0;
  std::int64_t last_held_ns = 0;
};

class Gate {
 public:
  // Attaches in the network namespace of the calling thread, with an empty programme and no lease.
  // `state_dir` (it must exist) holds the journal; a journal of an earlier life in it is refused
  // until clean_leftovers() was called. kRefused when something stands ahead of the gate (named).
  // Where the kernel has to make clsact, it stops the device for one RCU grace period: packets
  // that are sent meanwhile are lost (5 to 20 ms measured), and its queue starts anew. The same
  // happens when detach() removes clsact. Joining an existing clsact disturbs nothing.
  static Result<Gate> attach(const GateConfig& config, const std::string& state_dir);

  Gate(Gate&&) noexcept;
  Gate& operator=(Gate&&) noexcept;
  ~Gate();

  // Swaps the whole programme in one step; a packet sees the old or the new one, and none sees the
  // old one after the return. Evidence starts anew. kInput when the programme contradicts itself.
  // Segments may overlap: the first of a rule that is in force and matches decides.
  // Where impairments need queues, these are made before the programme is in force, and stay.
  // kRefused when the kernel lacks what they need, and when foreign filters behind the gate would
  // not see packets that are queued (named).
  // A programme without segments heals: the windows in force end now and those to come are dropped,
  // while the evidence of the last programme stays readable and goes on to record what passes.
  Status load(const GateProgramme& programme);

  // Moves the lease to now + length, unless it has lapsed since the first renewal: then it stays
  // lapsed for the life of the gate and the answer is false. Checked and written inside the kernel,
  // so that a process stopped half way cannot revive it.
  Result<bool> renew_lease(Nanos length);
  // Ends the lease now (heal for good).
  Status end_lease();
  struct Lease {
    MonoTime until;
    bool lapsed = false;
  };
  [[nodiscard]] Result<Lease> lease() const;

  [[nodiscard]] Result<std::vector<GateCounter>> counters() const;
  [[nodiscard]] Result<std::vector<WindowEvidence>> evidence() const;
  // Of every queue since attach(), also after detach().
  [[nodiscard]] Result<std::vector<QueueState>> queues() const;
  // How long packets may stay in the queues that there are: by then all that went in before is out.
  [[nodiscard]] Nanos longest_drain() const;

  // Reasons why the gate can no longer be trusted: a filter of ours is gone, something foreign
  // stands ahead of it, a device went away. Empty = all well. Looks at the kernel each time
  // (netlink dumps and tcx queries), from whatever namespace; see also FilterMonitor
  // (monitor.h) for events in between.
  [[nodiscard]] Result<std::vector<std::string>> violations() const;

  // Removes everything that was made. Where there are queues, it heals, and waits until they are
  // empty: for longest_drain() and a second, at most 65 s. Idempotent.
  Status detach();

 private:
  struct Impl;
  explicit Gate(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// What stands ahead of the gate's place on a device, by name ("veth0 ingress: filter pref 1 bpf
// handle 0x1 'other'", "eth0: XDP program 12 'lb'"). In the calling thread's namespace.
Result<std::vector<std::string>> filters_ahead(const std::vector<Uplink>& uplinks);

// The devices that routes to the peers resolve to, without loopback, and never a device together
// with its lower device (the lower one is kept). In the calling thread's namespace.
Result<std::vector<Uplink>> resolve_uplinks(const std::vector<IpAddress>& peers);

// Canonical text of the uplinks, their qdiscs, classes and filters, and of our own objects, without
// statistics: equal texts = nothing is left behind. One object a line.
Result<std::string> dump_network(const std::vector<Uplink>& uplinks);
// The same for all devices of the namespace, to list other changes.
Result<std::string> dump_everything();

// Removes what an earlier life left, by the journal in `state_dir`. Returns what was removed, a
// line each; nothing to do = empty. In the calling thread's namespace.
Result<std::vector<std::string>> clean_leftovers(const std::string& state_dir);

// Pieces of the kernel that the data plane needs and does not find, each with what follows from it.
[[nodiscard]] std::vector<std::string> missing_capabilities();

}  // namespace zq
