#include "agent/dataplane/hooks.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "agent/base/unique_fd.h"
#include "agent/dataplane/steering.h"
#include "agent/dataplane/traffic_control.h"

namespace zq {
namespace {

// Linux 6.6; Debian 12's headers do not have them yet.
constexpr std::uint32_t kTcxIngress = 46;
constexpr std::uint32_t kTcxEgress = 47;
constexpr std::uint32_t kMaxPrograms = 64;  // the kernel's own limit per hook

}  // namespace

std::string describe_program(unsigned id) {
  const UniqueFd fd(bpf_prog_get_fd_by_id(id));
  bpf_prog_info info{};
  std::uint32_t size = sizeof info;
  if (!fd || bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0 || info.name[0] == '\0') {
    return fmt::format("program {}", id);
  }
  return fmt::format("program {} '{}'", id, info.name);
}

Result<std::vector<std::string>> tcx_programs(unsigned index, FlowDirection direction) {
  std::array<std::uint32_t, kMaxPrograms> ids{};
  bpf_attr attr{};
  attr.query.target_fd = index;  // target_ifindex in newer headers: the same place
  attr.query.attach_type = direction == FlowDirection::kEgress ? kTcxEgress : kTcxIngress;
  attr.query.prog_ids = reinterpret_cast<std::uintptr_t>(ids.data());
  attr.query.prog_cnt = kMaxPrograms;
  if (::syscall(SYS_bpf, BPF_PROG_QUERY, &attr, sizeof attr) != 0) {
    // EINVAL: a kernel without tcx. ENOENT: nothing attached. ENODEV: the device is gone, which is
    // reported elsewhere.
    if (errno == EINVAL || errno == ENOENT || errno == ENODEV) return std::vector<std::string>{};
    return fail_errno(errno, fmt::format("asking for tcx programs on device {}", index));
  }
  std::vector<std::string> programs;
  for (std::uint32_t i = 0; i < attr.query.prog_cnt && i < kMaxPrograms; ++i) {
    programs.push_back("tcx " + describe_program(ids[i]));
  }
  return programs;
}

Result<std::vector<std::string>> list_ahead(NetlinkSocket& socket,
                                            const std::vector<Uplink>& uplinks) {
  std::vector<std::string> ahead;
  ZQ_TRY(const auto links, list_links(socket));
  for (const Uplink& uplink : uplinks) {
    if (const Link* link = find_link(links, uplink.index); link != nullptr) {
      for (const std::uint32_t id : link->xdp_programs) {
        ahead.push_back(fmt::format("{}: XDP {}", uplink.device, describe_program(id)));
      }
    }
    for (const FlowDirection direction : kHooks) {
      ZQ_TRY(const auto programs, tcx_programs(uplink.index, direction));
      for (const std::string& program : programs) {
        ahead.push_back(fmt::format("{} {}: {}", uplink.device, hook_name(direction), program));
      }
      ZQ_TRY(const auto filters, list_filters(socket, uplink.index, hook_parent(direction)));
      for (const TcObject& filter : filters) {
        if (!is_ahead_of_gate(filter)) continue;
        ahead.push_back(
            fmt::format("{} {}: {}", uplink.device, hook_name(direction), describe_filter(filter)));
      }
    }
  }
  return ahead;
}

Result<std::vector<std::string>> filters_behind(NetlinkSocket& socket,
                                                const std::vector<Uplink>& uplinks) {
  std::vector<std::string> behind;
  for (const Uplink& uplink : uplinks) {
    for (const FlowDirection direction : kHooks) {
      ZQ_TRY(const auto filters, list_filters(socket, uplink.index, hook_parent(direction)));
      for (const TcObject& filter : filters) {
        // Other chains are reached from chain 0 only.
        if (filter.chain != 0 || is_own_filter(filter) || is_ahead_of_gate(filter)) continue;
        behind.push_back(
            fmt::format("{} {}: {}", uplink.device, hook_name(direction), describe_filter(filter)));
      }
    }
  }
  return behind;
}

Result<std::vector<std::string>> filters_ahead(const std::vector<Uplink>& uplinks) {
  ZQ_TRY(auto socket, NetlinkSocket::open());
  return list_ahead(socket, uplinks);
}

}  // namespace zq
