// BPF programs and filters of somebody else's.
#pragma once

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>

#include "agent/dataplane/traffic_control.h"
#include "tests/integration/dataplane/two_nodes.h"

namespace zq::test {

// A program of somebody else's: returns one constant.
inline UniqueFd foreign_program(bpf_prog_type type, const char* name, int verdict) {
  const bpf_insn code[] = {
      {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, verdict},
      {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
  };
  UniqueFd fd(bpf_prog_load(type, name, "GPL", code, 2, nullptr));
  if (!fd) throw std::runtime_error(std::string("loading a foreign program: ") + strerror(errno));
  return fd;
}

// Attaches a direct-action BPF filter to a node's uplink.
inline void add_filter(const TestNetns& node, FlowDirection direction, unsigned priority,
                       const char* name, const UniqueFd& program) {
  node.run([&] {
    auto socket = value_of(NetlinkSocket::open());
    tcmsg header{};
    header.tcm_ifindex = static_cast<int>(::if_nametoindex("up0"));
    header.tcm_parent = hook_parent(direction);
    header.tcm_info = priority << 16 | htons(ETH_P_ALL);
    NetlinkMessage message(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL);
    message.header(header)
        .put_string(TCA_KIND, "bpf")
        .nest(TCA_OPTIONS, [&](NetlinkMessage& options) {
          options.put(TCA_BPF_FD, static_cast<std::uint32_t>(program.get()))
              .put_string(TCA_BPF_NAME, name)
              .put(TCA_BPF_FLAGS, std::uint32_t{TCA_BPF_FLAG_ACT_DIRECT});
        });
    const NetlinkAnswer answer = socket.request(message);
    if (!answer.ok()) throw std::runtime_error(answer.text);
  });
}

// Attaches a BPF filter of somebody else's.
inline void add_foreign_filter(const TwoNodes& nodes, FlowDirection direction, unsigned priority,
                               const char* name) {
  add_filter(nodes.a, direction, priority, name,
             foreign_program(BPF_PROG_TYPE_SCHED_CLS, "other", -1));
}

}  // namespace zq::test
