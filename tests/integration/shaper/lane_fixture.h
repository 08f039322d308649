// Two nodes on one link: `a` carries the queues, `b` is its peer. A tiny program takes the gate's
// place: it stamps the packets of one direction for one queue.
#pragma once

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <poll.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "agent/dataplane/bpf/gate_shared.h"
#include "agent/dataplane/gate.h"
#include "agent/dataplane/shaper.h"
#include "agent/dataplane/traffic_control.h"
#include "tests/integration/support/netns_fixture.h"

namespace zq::test {

using namespace std::chrono_literals;

inline constexpr auto kEgress = FlowDirection::kEgress;
inline constexpr auto kIngress = FlowDirection::kIngress;

namespace bpf {

inline constexpr std::int16_t kMark = 8;  // places in __sk_buff
inline constexpr std::int16_t kTcIndex = 44;

inline bpf_insn instruction(int code, unsigned to, unsigned from, std::int16_t offset,
                            std::int32_t value) {
  bpf_insn result{};
  result.code = static_cast<std::uint8_t>(code);
  result.dst_reg = to & 0xfU;
  result.src_reg = from & 0xfU;
  result.off = offset;
  result.imm = value;
  return result;
}
inline bpf_insn load(unsigned to, std::int16_t field) {
  return instruction(BPF_LDX | BPF_MEM | BPF_W, to, BPF_REG_1, field, 0);
}
inline bpf_insn store(unsigned from, std::int16_t field) {
  return instruction(BPF_STX | BPF_MEM | BPF_W, BPF_REG_1, from, field, 0);
}
inline bpf_insn set(unsigned to, std::int32_t value) {
  return instruction(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value);
}
inline bpf_insn copy(unsigned to, unsigned from) {
  return instruction(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0);
}
inline bpf_insn bits(int operation, unsigned of, std::int32_t value) {
  return instruction(BPF_ALU64 | operation | BPF_K, of, 0, 0, value);
}
inline bpf_insn skip_unless_equal(unsigned what, std::int32_t value, std::int16_t skip) {
  return instruction(BPF_JMP | BPF_JNE | BPF_K, what, 0, skip, value);
}
inline bpf_insn leave() { return instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }

inline UniqueFd load_program(const char* name, const std::vector<bpf_insn>& code) {
  UniqueFd fd(
      bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, name, "GPL", code.data(), code.size(), nullptr));
  if (!fd) throw std::runtime_error(std::string("loading a program: ") + strerror(errno));
  return fd;
}

// Stamps all packets, or those with a mark, for a queue; not those that come back from it.
inline UniqueFd stamp(std::uint16_t id, std::int32_t mark = 0) {
  std::vector<bpf_insn> code = {
      load(BPF_REG_2, kTcIndex),
      bits(BPF_AND, BPF_REG_2, ZQ_STAMP_MASK),
      skip_unless_equal(BPF_REG_2, ZQ_STAMP_HELD, 2),
      set(BPF_REG_0, -1),
      leave(),
      load(BPF_REG_2, kMark),
      skip_unless_equal(BPF_REG_2, mark, 2),
      set(BPF_REG_3, ZQ_STAMP_QUEUE | id),
      store(BPF_REG_3, kTcIndex),
      set(BPF_REG_0, -1),
      leave(),
  };
  return load_program("test_stamp", code);
}

// As zq_steer_egress: takes stamped packets, and those that come back so that the mark by which the
// kernel skips actions is used up.
inline UniqueFd steer() {
  return load_program("test_steer", {
                                        load(BPF_REG_2, kTcIndex),
                                        copy(BPF_REG_3, BPF_REG_2),
                                        bits(BPF_AND, BPF_REG_3, ZQ_STAMP_MASK),
                                        skip_unless_equal(BPF_REG_3, ZQ_STAMP_QUEUE, 5),
                                        bits(BPF_AND, BPF_REG_2, ZQ_CLASS_MASK),
                                        bits(BPF_OR, BPF_REG_2, ZQ_STAMP_HELD),
                                        store(BPF_REG_2, kTcIndex),
                                        set(BPF_REG_0, -1),
                                        leave(),
                                        set(BPF_REG_0, 0),
                                        skip_unless_equal(BPF_REG_3, ZQ_STAMP_HELD, 3),
                                        set(BPF_REG_2, 0),
                                        store(BPF_REG_2, kTcIndex),
                                        set(BPF_REG_0, -1),
                                        leave(),
                                    });
}

// As zq_steer_egress with a delay line: tags the frame for the first uplink and its class.
inline UniqueFd steer_to_line() {
  return load_program("test_steer_line",
                      {
                          load(BPF_REG_2, kTcIndex),
                          copy(BPF_REG_3, BPF_REG_2),
                          bits(BPF_AND, BPF_REG_2, ZQ_STAMP_MASK),
                          bits(BPF_AND, BPF_REG_3, ZQ_CLASS_MASK),
                          skip_unless_equal(BPF_REG_2, ZQ_STAMP_QUEUE, 7),
                          copy(BPF_REG_2, BPF_REG_3),
                          bits(BPF_OR, BPF_REG_2, ZQ_STAMP_HELD),
                          store(BPF_REG_2, kTcIndex),
                          set(BPF_REG_2, htons(ETH_P_8021AD)),
                          instruction(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_skb_vlan_push),
                          set(BPF_REG_0, -1),
                          leave(),
                          set(BPF_REG_0, 0),
                          leave(),
                      });
}

inline UniqueFd drop() { return load_program("test_drop", {set(BPF_REG_0, TC_ACT_SHOT), leave()}); }

inline UniqueFd classify() {
  return load_program("test_class", {
                                        load(BPF_REG_0, kTcIndex),
                                        bits(BPF_AND, BPF_REG_0, ZQ_CLASS_MASK),
                                        bits(BPF_OR, BPF_REG_0, ZQ_LANE_MAJOR),
                                        leave(),
                                    });
}

}  // namespace bpf

struct LaneNodes {
  static constexpr const char* kA4 = "10.66.0.1";
  static constexpr const char* kB4 = "10.66.0.2";
  static constexpr const char* kA6 = "fd66::1";
  static constexpr const char* kB6 = "fd66::2";

  TestNetns a, b;
  UniqueFd steer_egress = bpf::steer(), steer_ingress = bpf::steer(), classes = bpf::classify();
  Uplink uplink;

  LaneNodes() {
    // Two queues each way, so that the device can have an mq root.
    shell(
        fmt::format("ip -n {} link add up0 numtxqueues 2 numrxqueues 2 type veth peer name up0 "
                    "numtxqueues 2 numrxqueues 2 netns {}",
                    a.name(), b.name()));
    for (const auto& [node, v4, v6] : {std::tuple(&a, kA4, kA6), std::tuple(&b, kB4, kB6)}) {
      node->ip("link set up0 up");
      add_address(*node, "up0", std::string(v4) + "/24");
      add_address(*node, "up0", std::string(v6) + "/64");
    }
    uplink = {"up0", a.device_index("up0")};
  }

  [[nodiscard]] Shaper shaper() const { return shaper(steer_egress); }
  [[nodiscard]] Shaper shaper(const UniqueFd& egress) const {
    return a.run([&] {
      return value_of(Shaper::make({uplink}, {egress.get(), steer_ingress.get(), classes.get()}));
    });
  }
  [[nodiscard]] NetlinkSocket socket() const {
    return a.run([] { return value_of(NetlinkSocket::open()); });
  }
  // Puts the stamping program at the gate's place. Its clsact stays until take_stamp().
  void put_stamp(FlowDirection direction, std::uint16_t id, std::int32_t mark = 0) const {
    const UniqueFd program = bpf::stamp(id, mark);
    auto netlink = socket();
    (void)value_of(add_clsact(netlink, uplink));
    check(add_gate_filter(netlink, uplink, direction, program.get()));
  }
  void take_stamp(FlowDirection direction) const {
    auto netlink = socket();
    (void)value_of(remove_gate_filter(netlink, uplink, direction));
    (void)value_of(remove_clsact_if_empty(netlink, uplink));
  }
  void make_clsact() const {
    auto netlink = socket();
    (void)value_of(add_clsact(netlink, uplink));
  }

  [[nodiscard]] std::string dump() const {
    return a.run([&] { return value_of(dump_network({uplink})); });
  }
  // What tc(8) says inside `a`.
  [[nodiscard]] std::string tc(const std::string& arguments) const {
    const TempDir directory;
    const std::string file = directory.path() + "/out";
    shell(fmt::format("tc -n {} {} > {}", a.name(), arguments, file));
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
  }
};

inline QueueClass queue(std::uint16_t id, const Impairment& impairment,
                        FlowDirection direction = kEgress, std::uint32_t group = 1) {
  return {id, direction, group, id, impairment};
}

inline Impairment rate(std::uint64_t bits_per_second) {
  Impairment impairment;
  impairment.rate_bps = bits_per_second;
  return impairment;
}
inline Impairment delay(Nanos length) {
  Impairment impairment;
  impairment.delay = length;
  return impairment;
}

inline QueueState state_of(const Shaper& shaper, std::uint16_t id) {
  for (const QueueState& state : value_of(shaper.state())) {
    if (state.queue.id == id) return state;
  }
  throw std::runtime_error("no such queue");
}

[[nodiscard]] inline const QueueSupport& support() {
  static const QueueSupport support = probe_queue_support();
  return support;
}
[[nodiscard]] inline bool has_netem() { return support().netem.empty(); }

}  // namespace zq::test
