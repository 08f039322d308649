#include "agent/dataplane/steering.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>

#include <algorithm>
#include <cerrno>

#include "agent/dataplane/bpf/gate_shared.h"

namespace zq {
namespace {

constexpr std::uint32_t kClassPriority = 1;

std::uint32_t filter_info(std::uint32_t priority) { return priority << 16 | htons(ETH_P_ALL); }

// As the first and only action.
void put_redirect(NetlinkMessage& message, unsigned device) {
  tc_mirred redirect{};
  redirect.action = TC_ACT_STOLEN;
  redirect.eaction = TCA_EGRESS_REDIR;
  redirect.ifindex = device;
  message.nest(TCA_BPF_ACT, [&](NetlinkMessage& actions) {
    actions.nest(1, [&](NetlinkMessage& action) {
      action.put_string(TCA_ACT_KIND, "mirred").nest(TCA_ACT_OPTIONS, [&](NetlinkMessage& options) {
        options.put(TCA_MIRRED_PARMS, redirect);
      });
    });
  });
}

}  // namespace

bool is_steering_filter(const TcObject& filter) {
  if (filter.handle != kSteerHandle || filter.priority() != kSteerPriority) return false;
  const auto bpf = as_bpf_filter(filter);
  return bpf && bpf->name == kSteerFilterName;
}

bool is_own_filter(const TcObject& filter) {
  if (is_gate_filter(filter) || is_steering_filter(filter)) return true;
  const auto bpf = as_bpf_filter(filter);
  return filter.handle == kSteerHandle && bpf && bpf->name == kClassFilterName;
}

Status set_steering_filter(NetlinkSocket& socket, const Uplink& uplink, FlowDirection direction,
                           int program_fd, unsigned lane) {
  NetlinkMessage message(RTM_NEWTFILTER, NLM_F_CREATE);
  message
      .header(tc_header(uplink.index, hook_parent(direction), kSteerHandle,
                        filter_info(kSteerPriority)))
      .put_string(TCA_KIND, "bpf")
      .nest(TCA_OPTIONS, [&](NetlinkMessage& options) {
        put_redirect(options, lane);
        options.put(TCA_BPF_FD, static_cast<std::uint32_t>(program_fd))
            .put_string(TCA_BPF_NAME, kSteerFilterName);
      });
  const NetlinkAnswer answer = socket.request(message);
  if (answer.ok()) return {};
  return answer.as_error(
      fmt::format("adding the steering filter to {} {}", uplink.device, hook_name(direction)));
}

Result<bool> remove_steering_filter(NetlinkSocket& socket, const Uplink& uplink,
                                    FlowDirection direction) {
  ZQ_TRY(const auto filters, list_filters(socket, uplink.index, hook_parent(direction)));
  if (std::ranges::none_of(filters, is_steering_filter)) return false;
  NetlinkMessage message(RTM_DELTFILTER, 0);
  message
      .header(tc_header(uplink.index, hook_parent(direction), kSteerHandle,
                        filter_info(kSteerPriority)))
      .put_string(TCA_KIND, "bpf");
  const NetlinkAnswer answer = socket.request(message);
  if (answer.ok()) return true;
  if (answer.error == ENOENT || answer.error == ENODEV) return false;
  return answer.as_error(
      fmt::format("removing the steering filter from {} {}", uplink.device, hook_name(direction)));
}

Status add_class_filter(NetlinkSocket& socket, unsigned lane, int program_fd) {
  NetlinkMessage message(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL);
  message.header(tc_header(lane, ZQ_LANE_MAJOR, kSteerHandle, filter_info(kClassPriority)))
      .put_string(TCA_KIND, "bpf")
      .nest(TCA_OPTIONS, [&](NetlinkMessage& options) {
        options.put(TCA_BPF_FD, static_cast<std::uint32_t>(program_fd))
            .put_string(TCA_BPF_NAME, kClassFilterName);
      });
  const NetlinkAnswer answer = socket.request(message);
  return answer.ok() ? Status() : answer.as_error("adding the class filter to a lane");
}

Result<std::uint32_t> program_id(int program_fd) {
  bpf_prog_info info{};
  std::uint32_t size = sizeof info;
  if (bpf_obj_get_info_by_fd(program_fd, &info, &size) != 0) {
    return fail_errno(errno, "asking for a BPF program's id");
  }
  return info.id;
}

}  // namespace zq
