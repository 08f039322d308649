#include <sched.h>
#include <sys/socket.h>

#include <cerrno>
#include <thread>

#include "agent/base/capability.h"
#include "agent/base/unique_fd.h"
#include "agent/dataplane/delay_line.h"
#include "agent/dataplane/tap.h"

namespace zq {
namespace {

Status check_packet_socket() {
  const UniqueFd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno(errno, "opening a packet socket");
  return {};
}

bool realtime_is_granted() {
  bool granted = false;
  std::thread([&] {
    const sched_param priority{1};
    granted = ::sched_setscheduler(0, SCHED_FIFO, &priority) == 0;
  }).join();
  return granted;
}

}  // namespace

Capability delay_line_capability() {
  constexpr const char* kFollows =
      "without netem no delay can be put on this node's packets (needs root or CAP_NET_ADMIN and "
      "CAP_NET_RAW, and a kernel with CONFIG_TUN and CONFIG_PACKET)";
  Status status = check_tap();
  if (status) status = check_packet_socket();
  if (!status) {
    return {capability::kDelayLine, false, fmt::format("{}: {}", status.error().message, kFollows)};
  }
  if (realtime_is_granted()) {
    return {capability::kDelayLine, true, "a TAP device and a real-time thread: delay and jitter"};
  }
  return {
      capability::kDelayLine, true,
      "a TAP device: delay and jitter; real-time scheduling is not granted (needs CAP_SYS_NICE, "
      "and a cgroup with cpu.rt_runtime_us), so that delays may be some 10 ms late while the "
      "node is busy"};
}

}  // namespace zq
