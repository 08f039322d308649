#include "agent/dataplane/traffic_control.h"

#include <arpa/inet.h>
#include <linux/gen_stats.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace zq {
namespace {

constexpr std::uint32_t kClsactHandle = TC_H_MAKE(TC_H_CLSACT, 0);
constexpr int kHeaderSize = sizeof(tcmsg);

std::uint32_t gate_info() { return kGatePriority << 16 | htons(ETH_P_ALL); }

// The kernel's structure, as far as it sent it.
template <class Value>
Value as(nlattr* attribute) {
  Value value{};
  if (attribute != nullptr) {
    std::memcpy(&value, nla_data(attribute),
                std::min(sizeof value, static_cast<std::size_t>(nla_len(attribute))));
  }
  return value;
}

TcCounts decode_counts(nlattr* nest) {
  if (nest == nullptr) return {};
  const auto attributes = Attributes<TCA_STATS_MAX + 1>::nested(nest);
  const auto basic = as<gnet_stats_basic>(attributes[TCA_STATS_BASIC]);
  const auto queue = as<gnet_stats_queue>(attributes[TCA_STATS_QUEUE]);
  TcCounts counts;
  counts.packets = basic.packets;
  counts.bytes = basic.bytes;
  // The plain counter has 32 bits.
  if (nlattr* packets = attributes[TCA_STATS_PKT64]; packets != nullptr) {
    counts.packets = as<std::uint64_t>(packets);
  }
  counts.dropped = queue.drops;
  counts.backlog_packets = queue.qlen;
  return counts;
}

Result<std::vector<TcObject>> list(NetlinkSocket& socket, int request, int reply,
                                   const tcmsg& header, const char* what) {
  NetlinkMessage message(request, 0);
  message.header(header);
  std::vector<TcObject> objects;
  const NetlinkAnswer answer = socket.dump(
      message, [&] { objects.clear(); },
      [&](const nlmsghdr* received) {
        if (received->nlmsg_type == reply) objects.push_back(decode_tc_object(received));
      });
  const bool nothing_there = answer.error == ENOENT || answer.error == ENODEV;
  if (!answer.ok() && !nothing_there) return answer.as_error(what);
  return objects;
}

}  // namespace

tcmsg tc_header(unsigned index, std::uint32_t parent, std::uint32_t handle, std::uint32_t info) {
  tcmsg header{};
  header.tcm_family = AF_UNSPEC;
  header.tcm_ifindex = static_cast<int>(index);
  header.tcm_parent = parent;
  header.tcm_handle = handle;
  header.tcm_info = info;
  return header;
}

TcObject decode_tc_object(const nlmsghdr* header) {
  const auto* tc = static_cast<const tcmsg*>(nlmsg_data(header));
  const auto attributes = Attributes<TCA_MAX + 1>::of(header, kHeaderSize);
  TcObject object;
  object.index = static_cast<unsigned>(tc->tcm_ifindex);
  object.handle = tc->tcm_handle;
  object.parent = tc->tcm_parent;
  object.info = tc->tcm_info;
  object.chain = attributes.u32(TCA_CHAIN);
  object.kind = attributes.string(TCA_KIND);
  object.options = attributes.bytes(TCA_OPTIONS);
  object.counts = decode_counts(attributes[TCA_STATS2]);
  return object;
}

std::uint32_t hook_parent(FlowDirection direction) {
  return TC_H_MAKE(TC_H_CLSACT, static_cast<std::uint32_t>(direction == FlowDirection::kEgress
                                                               ? TC_H_MIN_EGRESS
                                                               : TC_H_MIN_INGRESS));
}

const char* hook_name(FlowDirection direction) {
  return direction == FlowDirection::kEgress ? "egress" : "ingress";
}

std::optional<BpfFilter> as_bpf_filter(const TcObject& filter) {
  if (filter.kind != "bpf" || filter.options.empty()) return std::nullopt;
  Attributes<TCA_BPF_MAX + 1> attributes;
  nla_parse(attributes.by_type, TCA_BPF_MAX,
            reinterpret_cast<nlattr*>(const_cast<std::uint8_t*>(filter.options.data())),
            static_cast<int>(filter.options.size()), nullptr);
  return BpfFilter{attributes.string(TCA_BPF_NAME), attributes.u32(TCA_BPF_ID)};
}

bool is_gate_filter(const TcObject& filter) {
  if (filter.handle != kGateHandle || filter.priority() != kGatePriority) return false;
  const auto bpf = as_bpf_filter(filter);
  return bpf && bpf->name == kGateFilterName;
}

std::string describe_filter(const TcObject& filter) {
  std::string text =
      fmt::format("filter pref {} {} handle {:#x}", filter.priority(), filter.kind, filter.handle);
  if (const auto bpf = as_bpf_filter(filter); bpf && !bpf->name.empty()) {
    text += fmt::format(" '{}'", bpf->name);
  }
  return text;
}

bool is_ahead_of_gate(const TcObject& filter) {
  return filter.chain == 0 && filter.priority() <= kGatePriority && !is_gate_filter(filter);
}

Result<std::vector<TcObject>> list_qdiscs(NetlinkSocket& socket) {
  return list(socket, RTM_GETQDISC, RTM_NEWQDISC, tc_header(0), "listing qdiscs");
}

Result<std::vector<TcObject>> list_classes(NetlinkSocket& socket, unsigned index) {
  return list(socket, RTM_GETTCLASS, RTM_NEWTCLASS, tc_header(index), "listing classes");
}

Result<std::vector<TcObject>> list_filters(NetlinkSocket& socket, unsigned index,
                                           std::uint32_t parent) {
  ZQ_TRY(auto filters,
         list(socket, RTM_GETTFILTER, RTM_NEWTFILTER, tc_header(index, parent), "listing filters"));
  // The kernel also lists each priority's head, which has no handle and no options.
  std::erase_if(
      filters, [](const TcObject& filter) { return filter.handle == 0 && filter.options.empty(); });
  return filters;
}

Result<std::string> ingress_qdisc(NetlinkSocket& socket, unsigned index) {
  ZQ_TRY(const auto qdiscs, list_qdiscs(socket));
  for (const TcObject& qdisc : qdiscs) {
    if (qdisc.index == index && qdisc.parent == TC_H_CLSACT) return qdisc.kind;
  }
  return std::string();
}

Result<bool> add_clsact(NetlinkSocket& socket, const Uplink& uplink) {
  NetlinkMessage message(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL);
  message.header(tc_header(uplink.index, TC_H_CLSACT, kClsactHandle))
      .put_string(TCA_KIND, "clsact");
  const NetlinkAnswer answer = socket.request(message);
  if (answer.ok()) return true;
  if (answer.error == EEXIST) return false;
  return answer.as_error(fmt::format("adding clsact to {}", uplink.device));
}

Result<bool> remove_clsact_if_empty(NetlinkSocket& socket, const Uplink& uplink) {
  ZQ_TRY(const std::string kind, ingress_qdisc(socket, uplink.index));
  if (kind != "clsact") return false;
  for (const FlowDirection direction : kHooks) {
    ZQ_TRY(const auto filters, list_filters(socket, uplink.index, hook_parent(direction)));
    if (!filters.empty()) return false;
  }
  NetlinkMessage message(RTM_DELQDISC, 0);
  message.header(tc_header(uplink.index, TC_H_CLSACT, kClsactHandle))
      .put_string(TCA_KIND, "clsact");
  const NetlinkAnswer answer = socket.request(message);
  if (answer.ok()) return true;
  if (answer.error == ENOENT || answer.error == ENODEV) return false;
  return answer.as_error(fmt::format("removing clsact from {}", uplink.device));
}

Status add_gate_filter(NetlinkSocket& socket, const Uplink& uplink, FlowDirection direction,
                       int program_fd) {
  NetlinkMessage message(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL);
  message.header(tc_header(uplink.index, hook_parent(direction), kGateHandle, gate_info()))
      .put_string(TCA_KIND, "bpf")
      .nest(TCA_OPTIONS, [&](NetlinkMessage& options) {
        options.put(TCA_BPF_FD, static_cast<std::uint32_t>(program_fd))
            .put_string(TCA_BPF_NAME, kGateFilterName)
            .put(TCA_BPF_FLAGS, std::uint32_t{TCA_BPF_FLAG_ACT_DIRECT});
      });
  const NetlinkAnswer answer = socket.request(message);
  if (answer.ok()) return {};
  return answer.as_error(
      fmt::format("adding the gate to {} {}", uplink.device, hook_name(direction)));
}

Result<bool> remove_gate_filter(NetlinkSocket& socket, const Uplink& uplink,
                                FlowDirection direction) {
  ZQ_TRY(const auto filters, list_filters(socket, uplink.index, hook_parent(direction)));
  if (std::ranges::none_of(filters, is_gate_filter)) return false;
  NetlinkMessage message(RTM_DELTFILTER, 0);
  message.header(tc_header(uplink.index, hook_parent(direction), kGateHandle, gate_info()))
      .put_string(TCA_KIND, "bpf");
  const NetlinkAnswer answer = socket.request(message);
  if (answer.ok()) return true;
  if (answer.error == ENOENT || answer.error == ENODEV) return false;
  return answer.as_error(
      fmt::format("removing the gate from {} {}", uplink.device, hook_name(direction)));
}

}  // namespace zq
