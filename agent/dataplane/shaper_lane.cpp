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

// A drop counts where it happens and, if it happens as the packet comes in, in every qdisc above
// up to the class; except that TBF has no loss to report while any segment of a unit got in. Below
// netem it happens as the packet comes out, and counts in netem, too.
void add_drops(const Lane::Queue& queue, std::uint64_t of_class, const CountsByHandle& qdiscs,
               QueueState& state) {
  std::uint64_t entering = of_class;
  std::uint64_t in_netem = 0;
  std::uint64_t in_fifo = 0;
  for (const QueueQdisc& qdisc : queue_qdiscs(queue.queue.id, queue.numbers)) {
    const auto found = qdiscs.find(qdisc.handle);
    if (found == qdiscs.end()) continue;
    const std::uint64_t dropped = found->second.dropped;
    if (qdisc.kind == "tbf") entering = dropped;
    if (qdisc.kind == "netem") in_netem = dropped;
    if (qdisc.kind == "bfifo") in_fifo = dropped;
  }
  const bool netem = queue.numbers.limit_packets > 0;
  if (queue.numbers.buffer_bytes == 0) {
    state.dropped_packets += netem ? in_netem : entering;
    return;
  }
  // netem's own limit is made for the rate: more than fits is more than the rate allows.
  const std::uint64_t excess = netem ? in_netem : in_fifo;
  const std::uint64_t excess_entering = netem ? in_netem - std::min(in_netem, in_fifo) : in_fifo;
  state.excess_packets += excess;
  state.dropped_packets += entering - std::min(entering, excess_entering);
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
  CountsByHandle classes;
  CountsByHandle qdiscs;
  ZQ_TRY(const auto listed_classes, list_classes(socket, lane.index));
  for (const TcObject& tc_class : listed_classes) classes[tc_class.handle] = tc_class.counts;
  ZQ_TRY(const auto listed_qdiscs, list_qdiscs(socket));
  for (const TcObject& qdisc : listed_qdiscs) {
    if (qdisc.index == lane.index) qdiscs[qdisc.handle] = qdisc.counts;
  }
  std::map<std::uint16_t, DelayLine::ClassCount> in_line;
  if (lane.line) {
    for (const DelayLine::ClassCount& count : lane.line->class_counts()) in_line[count.id] = count;
  }
  for (const Lane::Queue& queue : lane.queues) {
    const std::uint16_t id = queue.queue.id;
    QueueState& state = states.try_emplace(id, empty_state(lane, queue)).first->second;
    TcCounts counts = classes[class_handle(id)];
    if (queue.in_tree) add_drops(queue, counts.dropped, qdiscs, state);
    if (lane.line) {
      // Whatever passed the tree went on to the line.
      counts.packets = in_line[id].forwarded_packets;
      counts.bytes = in_line[id].forwarded_bytes;
      counts.backlog_packets += in_line[id].held_packets;
    }
    state.sent_packets += counts.packets;
    state.sent_bytes += counts.bytes;
    state.backlog_packets += counts.backlog_packets;
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
    if (const std::uint64_t lost = stats.overflowed + stats.send_errors; lost > 0) {
      found.push_back(fmt::format("{}: the delay line lost {} packets ({} refused by the uplink)",
                                  lane.device, lost, stats.send_errors));
    }
  }
  return found;
}

}  // namespace zq
