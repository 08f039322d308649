#include "agent/dataplane/shaper_lane.h"

#include <linux/pkt_sched.h>
#include <net/if.h>

#include <algorithm>
#include <iterator>

#include "agent/dataplane/bpf/gate_shared.h"
#include "agent/dataplane/dump.h"
#include "agent/dataplane/htb.h"
#include "agent/dataplane/lanes.h"
#include "agent/dataplane/steering.h"

namespace zq {
namespace {

using CountsByHandle = std::map<std::uint32_t, TcCounts>;

QueueState empty_state(const Lane& lane, const Lane::Queue& queue) {
  QueueState state;
  state.queue = queue.queue;
  const bool delayed = queue.queue.impairment.delay > Nanos{0};
  state.lane = queue.numbers.limit_packets > 0 ? "netem"
               : lane.line && delayed          ? "delay-line"
                                               : "htb";
  state.limit_packets = queue.numbers.limit_packets;
  state.buffer_bytes = queue.numbers.buffer_bytes;
  state.burst_bytes = queue.numbers.burst_bytes;
  state.quantum_bytes = queue.numbers.quantum_bytes;
  state.drain = queue.numbers.drain;
  return state;
}

// The kernel's counts, in two looks: what happens between them is missing in the first.
struct Counts {
  CountsByHandle classes;
  CountsByHandle qdiscs;  // first look
  CountsByHandle later;   // second look
};

Result<CountsByHandle> count_qdiscs(NetlinkSocket& socket, unsigned index) {
  CountsByHandle counts;
  ZQ_TRY(const auto qdiscs, list_qdiscs(socket));
  for (const TcObject& qdisc : qdiscs) {
    if (qdisc.index == index) counts[qdisc.handle] = qdisc.counts;
  }
  return counts;
}

Result<Counts> count(NetlinkSocket& socket, unsigned index) {
  Counts counts;
  ZQ_TRY(const auto classes, list_classes(socket, index));
  for (const TcObject& tc_class : classes) counts.classes[tc_class.handle] = tc_class.counts;
  ZQ_TRY(counts.qdiscs, count_qdiscs(socket, index));
  ZQ_TRY(counts.later, count_qdiscs(socket, index));
  return counts;
}

// A drop counts in the qdisc where it happens and in all above it.
void add_drops(const Lane::Queue& queue, const Counts& counts, QueueState& state) {
  const auto dropped = [](const CountsByHandle& in, std::uint32_t handle) {
    const auto found = in.find(handle);
    return found == in.end() ? 0 : found->second.dropped;
  };
  std::uint64_t in_tbf = 0;
  std::uint64_t in_netem = 0;
  std::uint64_t in_fifo = 0;
  for (const QueueQdisc& qdisc : queue_qdiscs(queue.queue.id, queue.numbers)) {
    if (qdisc.kind == "tbf") in_tbf = dropped(counts.qdiscs, qdisc.handle);
    if (qdisc.kind == "netem") in_netem = dropped(counts.later, qdisc.handle);
    if (qdisc.kind == "bfifo") in_fifo = dropped(counts.later, qdisc.handle);
  }
  const bool netem = queue.numbers.limit_packets > 0;
  if (queue.numbers.buffer_bytes == 0) {
    state.dropped_packets += in_netem;
    return;
  }
  // netem's own limit is made for the rate: more than fits is more than the rate allows.
  const std::uint64_t excess = netem ? in_netem : in_fifo;
  state.excess_packets += excess;
  // By TBF itself: of packets that are longer than the devices' MTU was.
  state.dropped_packets += in_tbf - std::min(in_tbf, excess);
}

// "zq-egress: qdisc zq-egress netem handle 2001:0 parent ...", without the options.
std::string without_options(const std::string& line) {
  return line.substr(0, line.find(" options"));
}

}  // namespace

Result<std::vector<std::string>> tree_of(NetlinkSocket& socket, const Lane& lane) {
  ZQ_TRY(const auto qdiscs, list_qdiscs(socket));
  ZQ_TRY(auto lines, queue_lines(socket, lane.index, lane.device, qdiscs));
  std::ranges::sort(lines);
  return lines;
}

Status add_states(NetlinkSocket& socket, const Lane& lane, QueueStates& states) {
  ZQ_TRY(const Counts counts, count(socket, lane.index));
  std::map<std::uint16_t, DelayLine::ClassCount> in_line;
  if (lane.line) {
    for (const DelayLine::ClassCount& count : lane.line->class_counts()) in_line[count.id] = count;
  }
  for (const Lane::Queue& queue : lane.queues) {
    const std::uint16_t id = queue.queue.id;
    QueueState& state = states.try_emplace(id, empty_state(lane, queue)).first->second;
    TcCounts own;
    if (queue.in_tree) {
      const auto found = counts.classes.find(class_handle(id));
      if (found != counts.classes.end()) own = found->second;
      add_drops(queue, counts, state);
    }
    if (lane.line) {
      // Whatever passed the tree went on to the line.
      own.packets = in_line[id].forwarded_packets;
      own.bytes = in_line[id].forwarded_bytes;
      own.backlog_packets += in_line[id].held_packets;
    }
    state.sent_packets += own.packets;
    state.sent_bytes += own.bytes;
    state.backlog_packets += own.backlog_packets;
  }
  return {};
}

Result<std::uint64_t> packets_inside(NetlinkSocket& socket, const Lane& lane) {
  ZQ_TRY(const std::uint64_t in_device, lane_backlog(socket, lane.index));
  return in_device + (lane.line ? lane.line->stats().held_packets : 0);
}

Result<std::vector<std::string>> lane_violations(NetlinkSocket& socket, const Lane& lane,
                                                 int class_fd) {
  std::vector<std::string> found;
  ZQ_TRY(const auto links, list_links(socket));
  const Link* link = find_link(links, lane.index);
  if (link == nullptr) return std::vector{fmt::format("device {} went away", lane.device)};
  if ((link->flags & IFF_UP) == 0) found.push_back(fmt::format("device {} is down", lane.device));
  ZQ_TRY(const auto now, tree_of(socket, lane));
  std::vector<std::string> gone;
  std::vector<std::string> come;
  std::ranges::set_difference(lane.made, now, std::back_inserter(gone));
  std::ranges::set_difference(now, lane.made, std::back_inserter(come));
  for (const std::string& line : gone) {
    found.push_back(fmt::format("{}: gone or changed: {}", lane.device, without_options(line)));
  }
  for (const std::string& line : come) {
    found.push_back(fmt::format("{}: came or changed: {}", lane.device, without_options(line)));
  }
  // The lines do not tell which program a filter of ours runs.
  ZQ_TRY(const std::uint32_t program, program_id(class_fd));
  ZQ_TRY(const auto filters, list_filters(socket, lane.index, ZQ_LANE_MAJOR));
  for (const TcObject& filter : filters) {
    if (is_own_filter(filter) && as_bpf_filter(filter)->program_id != program) {
      found.push_back(fmt::format("{}: the class filter runs another program", lane.device));
    }
  }
  if (lane.line) {
    const DelayLineStats stats = lane.line->stats();
    if (!stats.serving) found.push_back(lane.device + ": the delay line stalled");
    if (const std::uint64_t lost = stats.overflowed + stats.send_errors; lost > 0) {
      found.push_back(fmt::format("{}: the delay line lost {} packets ({} refused by the uplink)",
                                  lane.device, lost, stats.send_errors));
    }
  }
  return found;
}

}  // namespace zq
