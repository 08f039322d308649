// Steers packets into a delay line without a gate: a BPF classifier that tags every IP packet of a
// device as the gate's steering does, while the liveness stamp holds, and a mirred action.
#pragma once

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/tc_act/tc_mirred.h>

#include <cstddef>
#include <vector>

#include "agent/dataplane/bpf/gate_shared.h"
#include "agent/dataplane/kernel_map.h"
#include "agent/dataplane/traffic_control.h"
#include "tests/integration/support/netns_fixture.h"

namespace zq::test {

// An array map with one u64, as zq_line is.
class LivenessMap {
 public:
  LivenessMap()
      : fd_(value_of(create_map(BPF_MAP_TYPE_ARRAY, "zq_test_line", sizeof(std::uint32_t),
                                sizeof(std::uint64_t), 1))) {}
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] MonoTime alive_until() const {
    const std::uint32_t key = 0;
    std::uint64_t value = 0;
    check(lookup_map(fd_.get(), &key, &value));
    return mono_from_ns(static_cast<std::int64_t>(value));
  }

 private:
  UniqueFd fd_;
};

// The tag (uplink slot << 10 | class id) is the packet's priority (SO_PRIORITY), class 1 if it has
// none.
class SteeringProgram {
 public:
  explicit SteeringProgram(const LivenessMap& map) {
    constexpr std::uint8_t kR0 = 0, kR1 = 1, kR2 = 2, kR3 = 3, kR6 = 6, kR7 = 7, kR10 = 10;
    const auto load_field = [this](std::uint8_t to, std::size_t offset) {
      emit(BPF_LDX | BPF_MEM | BPF_W, to, kR6, static_cast<std::int16_t>(offset), 0);
    };
    const auto move = [this](std::uint8_t to, std::int32_t value) {
      emit(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value);
    };
    const auto call = [this](int helper) { emit(BPF_JMP | BPF_CALL, 0, 0, 0, helper); };
    emit(BPF_ALU64 | BPF_MOV | BPF_X, kR6, kR1, 0, 0);
    load_field(kR2, offsetof(__sk_buff, mark));
    leave_if(BPF_JMP32 | BPF_JEQ | BPF_K, kR2, ZQ_LINE_MARK);
    load_field(kR2, offsetof(__sk_buff, protocol));
    emit(BPF_JMP | BPF_JEQ | BPF_K, kR2, 0, 2, htons(ETH_P_IP));
    emit(BPF_JMP | BPF_JEQ | BPF_K, kR2, 0, 1, htons(ETH_P_8021Q));
    leave_if(BPF_JMP | BPF_JNE | BPF_K, kR2, htons(ETH_P_IPV6));
    // Whether the line is alive.
    emit(BPF_ST | BPF_MEM | BPF_W, kR10, 0, -4, 0);
    emit(BPF_LD | BPF_IMM | BPF_DW, kR1, BPF_PSEUDO_MAP_FD, 0, map.fd());
    emit(0, 0, 0, 0, 0);
    emit(BPF_ALU64 | BPF_MOV | BPF_X, kR2, kR10, 0, 0);
    emit(BPF_ALU64 | BPF_ADD | BPF_K, kR2, 0, 0, -4);
    call(BPF_FUNC_map_lookup_elem);
    leave_if(BPF_JMP | BPF_JEQ | BPF_K, kR0, 0);
    emit(BPF_LDX | BPF_MEM | BPF_DW, kR7, kR0, 0, 0);
    call(BPF_FUNC_ktime_get_ns);
    leave_if(BPF_JMP | BPF_JGT | BPF_X, kR0, 0, kR7);
    load_field(kR3, offsetof(__sk_buff, priority));
    emit(BPF_ALU64 | BPF_AND | BPF_K, kR3, 0, 0, 0xffff);
    emit(BPF_JMP | BPF_JNE | BPF_K, kR3, 0, 1, 0);
    move(kR3, 1);
    emit(BPF_ALU64 | BPF_MOV | BPF_X, kR1, kR6, 0, 0);
    move(kR2, htons(ETH_P_8021AD));
    call(BPF_FUNC_skb_vlan_push);
    leave_if(BPF_JMP | BPF_JNE | BPF_K, kR0, 0);
    move(kR0, -1);  // matches
    emit(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    for (const std::size_t jump : leaving_) {
      code_[jump].off = static_cast<std::int16_t>(code_.size() - jump - 1);
    }
    move(kR0, 0);
    emit(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    fd_.reset(::bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "zq_test_steer", "GPL", code_.data(),
                              code_.size(), nullptr));
    if (!fd_) throw std::runtime_error("the steering program does not load");
  }
  [[nodiscard]] int fd() const { return fd_.get(); }

  // Puts it on a device's egress, ahead of nothing else. In the namespace of `socket`.
  void attach(NetlinkSocket& socket, const Uplink& uplink, unsigned line_index) const {
    (void)value_of(add_clsact(socket, uplink));
    tcmsg header{};
    header.tcm_ifindex = static_cast<int>(uplink.index);
    header.tcm_parent = hook_parent(FlowDirection::kEgress);
    header.tcm_info = 2U << 16 | htons(ETH_P_ALL);
    tc_mirred mirred{};
    mirred.action = TC_ACT_STOLEN;
    mirred.eaction = TCA_EGRESS_REDIR;
    mirred.ifindex = line_index;
    NetlinkMessage message(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL);
    message.header(header)
        .put_string(TCA_KIND, "bpf")
        .nest(TCA_OPTIONS, [&](NetlinkMessage& options) {
          options.put(TCA_BPF_FD, static_cast<std::uint32_t>(fd()));
          options.nest(TCA_BPF_ACT, [&](NetlinkMessage& actions) {
            actions.nest(1, [&](NetlinkMessage& action) {
              action.put_string(TCA_ACT_KIND, "mirred")
                  .nest(TCA_ACT_OPTIONS, [&](NetlinkMessage& parameters) {
                    parameters.put(TCA_MIRRED_PARMS, mirred);
                  });
            });
          });
        });
    const NetlinkAnswer answer = socket.request(message);
    if (!answer.ok()) throw std::runtime_error("adding the steering filter: " + answer.text);
  }

 private:
  void emit(int code, std::uint8_t to, std::uint8_t from, std::int16_t offset,
            std::int32_t immediate) {
    bpf_insn instruction{};
    instruction.code = static_cast<std::uint8_t>(code);
    instruction.dst_reg = to & 0xfU;
    instruction.src_reg = from & 0xfU;
    instruction.off = offset;
    instruction.imm = immediate;
    code_.push_back(instruction);
  }
  void leave_if(int code, std::uint8_t reg, std::uint32_t immediate, std::uint8_t other = 0) {
    leaving_.push_back(code_.size());
    emit(code, reg, other, 0, static_cast<std::int32_t>(immediate));
  }

  std::vector<bpf_insn> code_;
  std::vector<std::size_t> leaving_;
  UniqueFd fd_;
};

}  // namespace zq::test
