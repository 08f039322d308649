#include "agent/dataplane/canonical.h"

#include <arpa/inet.h>
#include <fmt/ranges.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

#include "agent/dataplane/steering.h"

namespace zq {
namespace {

using Bytes = std::span<const std::uint8_t>;

std::string hex(Bytes bytes) {
  if (bytes.empty()) return "-";
  std::string text;
  for (const std::uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

std::string handle_text(std::uint32_t handle) {
  return fmt::format("{:x}:{:x}", TC_H_MAJ(handle) >> 16, TC_H_MIN(handle));
}

struct Attribute {
  int type = 0;
  Bytes payload;
};

// The attributes of a nest; empty when the bytes are none.
std::vector<Attribute> split(Bytes bytes) {
  std::vector<Attribute> attributes;
  while (bytes.size() >= sizeof(nlattr)) {
    nlattr header{};
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.nla_len < sizeof header || header.nla_len > bytes.size()) return {};
    attributes.push_back({header.nla_type & NLA_TYPE_MASK,
                          bytes.subspan(sizeof header, header.nla_len - sizeof header)});
    bytes = bytes.subspan(std::min<std::size_t>(NLA_ALIGN(header.nla_len), bytes.size()));
  }
  return attributes;
}

// What is volatile in a classifier's options, and which attribute holds its actions.
struct FilterKind {
  std::string_view kind;
  std::vector<int> volatile_types;
  int actions = 0;
};

const FilterKind* filter_kind(std::string_view kind) {
  static const FilterKind kKinds[] = {
      {"bpf", {}, TCA_BPF_ACT},
      {"u32", {TCA_U32_PCNT}, TCA_U32_ACT},
      {"flower", {TCA_FLOWER_IN_HW_COUNT}, TCA_FLOWER_ACT},
      {"matchall", {TCA_MATCHALL_PCNT}, TCA_MATCHALL_ACT},
      {"basic", {TCA_BASIC_PCNT}, TCA_BASIC_ACT},
      {"fw", {}, TCA_FW_ACT},
      {"route", {}, TCA_ROUTE4_ACT},
      {"flow", {}, TCA_FLOW_ACT},
      {"cgroup", {}, TCA_CGROUP_ACT},
  };
  const auto* found = std::ranges::find(kKinds, kind, &FilterKind::kind);
  return found == std::end(kKinds) ? nullptr : found;
}

// An action's options hold its times of installation, last use and expiry (struct tcf_t).
std::string canonical_action(Bytes action) {
  constexpr int kTimes = 1;  // TCA_GACT_TM, TCA_MIRRED_TM, ...
  std::vector<std::string> parts;
  std::string kind;
  for (const Attribute& attribute : split(action)) {
    if (attribute.type == TCA_ACT_KIND) {
      kind.assign(attribute.payload.begin(), attribute.payload.end());
      kind.resize(std::strlen(kind.c_str()));
    }
    if (attribute.type != TCA_ACT_OPTIONS) continue;
    for (const Attribute& option : split(attribute.payload)) {
      const int times = kind == "police" ? TCA_POLICE_TM : kTimes;
      if (option.type == times && option.payload.size() == sizeof(tcf_t)) continue;
      parts.push_back(fmt::format("{}={}", option.type, hex(option.payload)));
    }
  }
  return fmt::format("{}({})", kind, fmt::join(parts, " "));
}

std::string filter_options(const TcObject& filter) {
  const FilterKind* kind = filter_kind(filter.kind);
  if (kind == nullptr) return hex(filter.options);
  const bool ours = is_own_filter(filter);
  std::vector<std::string> parts;
  for (const Attribute& attribute : split(filter.options)) {
    if (std::ranges::find(kind->volatile_types, attribute.type) != kind->volatile_types.end()) {
      continue;
    }
    // Program ids of ours change with every arming.
    if (ours && (attribute.type == TCA_BPF_ID || attribute.type == TCA_BPF_TAG)) continue;
    if (attribute.type == kind->actions) {
      for (const Attribute& action : split(attribute.payload)) {
        parts.push_back("action=" + canonical_action(action.payload));
      }
      continue;
    }
    parts.push_back(fmt::format("{}={}", attribute.type, hex(attribute.payload)));
  }
  return parts.empty() ? "-" : fmt::format("{}", fmt::join(parts, " "));
}

// HTB counts packets that no class took in the middle of its options.
std::string htb_options(Bytes options) {
  std::vector<std::string> parts;
  for (const Attribute& attribute : split(options)) {
    std::vector<std::uint8_t> payload(attribute.payload.begin(), attribute.payload.end());
    if (attribute.type == TCA_HTB_INIT && payload.size() == sizeof(tc_htb_glob)) {
      std::memset(payload.data() + offsetof(tc_htb_glob, direct_pkts), 0,
                  sizeof(tc_htb_glob::direct_pkts));
    }
    parts.push_back(fmt::format("{}={}", attribute.type, hex(payload)));
  }
  return fmt::format("{}", fmt::join(parts, " "));
}

}  // namespace

std::string canonical_link(const Link& link) {
  constexpr unsigned kPassing = IFF_RUNNING | IFF_PROMISC | IFF_ALLMULTI | 0x10000 /* LOWER_UP */ |
                                0x20000 /* DORMANT */ | 0x40000 /* ECHO */;
  return fmt::format(
      "link {} index {} mtu {} flags {:#x} master {} kind {} xdp {}", link.name, link.index,
      link.mtu, link.flags & ~kPassing, link.master, link.kind.empty() ? "-" : link.kind,
      link.xdp_programs.empty() ? "-" : fmt::format("{}", fmt::join(link.xdp_programs, ",")));
}

std::string canonical_qdisc(const TcObject& qdisc, const std::string& device) {
  return fmt::format("qdisc {} {} handle {} parent {} options {}", device, qdisc.kind,
                     handle_text(qdisc.handle), handle_text(qdisc.parent),
                     qdisc.kind == "htb" ? htb_options(qdisc.options) : hex(qdisc.options));
}

std::string canonical_class(const TcObject& tc_class, const std::string& device) {
  // tcm_info is the handle of the leaf qdisc.
  return fmt::format("class {} {} handle {} parent {} leaf {} options {}", device, tc_class.kind,
                     handle_text(tc_class.handle), handle_text(tc_class.parent),
                     handle_text(tc_class.info), hex(tc_class.options));
}

std::string canonical_filter(const TcObject& filter, const std::string& device) {
  return fmt::format(
      "filter {} parent {} pref {} protocol {:#06x} chain {} {} handle {:#x} options {}", device,
      handle_text(filter.parent), filter.priority(),
      ntohs(static_cast<std::uint16_t>(filter.info & 0xffff)), filter.chain, filter.kind,
      filter.handle, filter_options(filter));
}

}  // namespace zq
