#include "agent/dataplane/htb.h"

#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <limits>

#include "agent/dataplane/bpf/gate_shared.h"
#include "agent/dataplane/netem.h"
#include "agent/dataplane/traffic_control.h"

namespace zq {
namespace {

// Numbers of a queue's qdiscs: its class id, plus one of these. Below 8000:, where the kernel takes
// the numbers that it makes up.
constexpr std::uint32_t kSplitMajor = 0x1000;
constexpr std::uint32_t kNetemMajor = 0x2000;
constexpr std::uint32_t kFifoMajor = 0x3000;
static_assert(kMaxQueues < 0x1000 && kMaxQueues <= ZQ_CLASS_MASK);

// Packets that no class takes are not held up, but for a moment they queue.
constexpr std::uint32_t kDirectPackets = 10'000;
// TBF only splits: at this rate not even the longest packet takes a nanosecond.
constexpr std::uint64_t kNoRate = 1ULL << 44;

// Of the kernel's packet scheduler; the same on all machines since Linux 2.6.30.
constexpr double kTickNs = 64;

std::uint32_t ticks(std::uint64_t bytes, std::uint64_t bytes_per_second) {
  const double time = static_cast<double>(bytes) * 1e9 / static_cast<double>(bytes_per_second);
  return static_cast<std::uint32_t>(std::clamp(time / kTickNs, 1.0, 4294967295.0));
}

// The 64-bit attribute beside it counts where it is larger.
tc_ratespec rate_spec(std::uint64_t bytes_per_second) {
  tc_ratespec spec{};
  // Times come from the rate itself; with "unaware" the kernel would want a table of them.
  spec.linklayer = TC_LINKLAYER_ETHERNET;
  spec.rate = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(bytes_per_second, std::numeric_limits<std::uint32_t>::max()));
  return spec;
}

NetlinkAnswer add_class(NetlinkSocket& socket, unsigned index, std::uint16_t id,
                        const ShaperNumbers& numbers) {
  const std::uint64_t rate = numbers.rate_bytes_per_second;
  tc_htb_opt options{};
  options.rate = rate_spec(rate);
  options.ceil = options.rate;
  options.buffer = ticks(numbers.burst_bytes, rate);
  options.cbuffer = options.buffer;
  options.quantum = numbers.quantum_bytes;
  NetlinkMessage message(RTM_NEWTCLASS, NLM_F_CREATE | NLM_F_EXCL);
  message.header(tc_header(index, ZQ_LANE_MAJOR, class_handle(id)))
      .put_string(TCA_KIND, "htb")
      .nest(TCA_OPTIONS, [&](NetlinkMessage& nest) {
        nest.put(TCA_HTB_PARMS, options).put(TCA_HTB_RATE64, rate).put(TCA_HTB_CEIL64, rate);
      });
  return socket.request(message);
}

NetlinkAnswer add_splitter(NetlinkSocket& socket, unsigned index, const QueueQdisc& qdisc,
                           std::uint32_t largest_frame) {
  tc_tbf_qopt options{};
  options.rate = rate_spec(kNoRate);
  return add_qdisc(socket, index, qdisc, [&](NetlinkMessage& message) {
    message.nest(TCA_OPTIONS, [&](NetlinkMessage& nest) {
      nest.put(TCA_TBF_PARMS, options)
          .put(TCA_TBF_RATE64, kNoRate)
          .put(TCA_TBF_BURST, largest_frame);
    });
  });
}

NetlinkAnswer add_fifo(NetlinkSocket& socket, unsigned index, const QueueQdisc& qdisc,
                       std::uint32_t bytes) {
  return add_qdisc(socket, index, qdisc,
                   [&](NetlinkMessage& message) { message.put(TCA_OPTIONS, tc_fifo_qopt{bytes}); });
}

}  // namespace

NetlinkAnswer add_qdisc(NetlinkSocket& socket, unsigned index, const QueueQdisc& qdisc,
                        const std::function<void(NetlinkMessage&)>& fill) {
  NetlinkMessage message(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL);
  message.header(tc_header(index, qdisc.parent, qdisc.handle)).put_string(TCA_KIND, qdisc.kind);
  fill(message);
  return socket.request(message);
}

Status add_htb_root(NetlinkSocket& socket, unsigned index) {
  tc_htb_glob options{};
  options.version = TC_HTB_PROTOVER;
  options.rate2quantum = 10;  // unused, as every class has its quantum, but must not be 0
  const NetlinkAnswer answer =
      add_qdisc(socket, index, {"htb", ZQ_LANE_MAJOR, TC_H_ROOT}, [&](NetlinkMessage& message) {
        message.nest(TCA_OPTIONS, [&](NetlinkMessage& nest) {
          nest.put(TCA_HTB_INIT, options).put(TCA_HTB_DIRECT_QLEN, kDirectPackets);
        });
      });
  return answer.ok() ? Status() : answer.as_error("adding an HTB root qdisc");
}

std::uint32_t class_handle(std::uint16_t id) { return ZQ_LANE_MAJOR | id; }

std::vector<QueueQdisc> queue_qdiscs(std::uint16_t id, const ShaperNumbers& numbers) {
  std::vector<QueueQdisc> qdiscs;
  std::uint32_t parent = class_handle(id);
  const auto add = [&](const char* kind, std::uint32_t major) {
    const std::uint32_t handle = (major + id) << 16;
    qdiscs.push_back({kind, handle, parent});
    parent = handle | 1;  // the one class of TBF and of netem
  };
  if (numbers.split) add("tbf", kSplitMajor);
  if (numbers.limit_packets > 0) add("netem", kNetemMajor);
  if (numbers.buffer_bytes > 0) add("bfifo", kFifoMajor);
  return qdiscs;
}

Status add_queue(NetlinkSocket& socket, unsigned index, std::uint16_t id,
                 const Impairment& impairment, const ShaperNumbers& numbers,
                 std::uint32_t largest_frame) {
  if (const NetlinkAnswer answer = add_class(socket, index, id, numbers); !answer.ok()) {
    return answer.as_error(
        fmt::format("adding an HTB class of {} bytes/s", numbers.rate_bytes_per_second));
  }
  for (const QueueQdisc& qdisc : queue_qdiscs(id, numbers)) {
    NetlinkAnswer answer;
    if (qdisc.kind == "tbf") {
      answer = add_splitter(socket, index, qdisc, largest_frame);
    } else if (qdisc.kind == "netem") {
      answer = add_netem(socket, index, qdisc, impairment, numbers.limit_packets);
    } else {
      answer = add_fifo(socket, index, qdisc, numbers.buffer_bytes);
    }
    if (!answer.ok()) return answer.as_error("adding a " + qdisc.kind + " qdisc");
  }
  return {};
}

}  // namespace zq
