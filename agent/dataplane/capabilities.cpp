// What the kernel must have for the gate, tried for real: nothing is left behind.
#include <bpf/libbpf.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "agent/dataplane/clock.h"
#include "agent/dataplane/gate.h"
#include "agent/dataplane/gate_object.h"
#include "agent/dataplane/links.h"
#include "agent/dataplane/netlink.h"
#include "agent/dataplane/traffic_control.h"

namespace zq {
namespace {

struct MapKind {
  bpf_map_type type;
  const char* name;
};
constexpr MapKind kMapKinds[] = {
    {BPF_MAP_TYPE_HASH, "hash"},           {BPF_MAP_TYPE_PERCPU_HASH, "per-CPU hash"},
    {BPF_MAP_TYPE_ARRAY, "array"},         {BPF_MAP_TYPE_PERCPU_ARRAY, "per-CPU array"},
    {BPF_MAP_TYPE_LPM_TRIE, "LPM trie"},   {BPF_MAP_TYPE_ARRAY_OF_MAPS, "array of maps"},
    {BPF_MAP_TYPE_RINGBUF, "ring buffer"},
};

void probe_bpf(std::vector<std::string>& missing) {
  if (const int rc = libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_SCHED_CLS, nullptr); rc != 1) {
    missing.push_back(fmt::format(
        "BPF programs for traffic control{}: no fault can be injected on this node (needs root or "
        "CAP_BPF, and a kernel with CONFIG_BPF_SYSCALL)",
        rc < 0 ? fmt::format(" ({})", std::strerror(-rc)) : ""));
    return;
  }
  for (const MapKind& kind : kMapKinds) {
    if (libbpf_probe_bpf_map_type(kind.type, nullptr) != 1) {
      missing.push_back(fmt::format(
          "BPF map type '{}': no fault can be injected on this node (needs Linux 6.1 or newer)",
          kind.name));
    }
  }
}

// On the loopback device of a namespace that goes with the thread.
Status try_gate() {
  if (::unshare(CLONE_NEWNET) != 0) return fail_errno(errno, "making a namespace to try it in");
  ZQ_TRY(auto socket, NetlinkSocket::open());
  ZQ_TRY(const auto links, list_links(socket));
  if (links.empty()) return fail(ErrorCode::kKernel, "a new namespace has no loopback device");
  GateConfig config;
  config.groups = 1;
  const Uplink loopback{links.front().name, links.front().index};
  ZQ_TRY(const GateObject object, GateObject::load(config));
  ZQ_TRY([[maybe_unused]] const bool made, add_clsact(socket, loopback));
  for (const FlowDirection direction : kHooks) {
    ZQ_CHECK(add_gate_filter(socket, loopback, direction, object.program_fd(direction)));
  }
  ZQ_TRY(const zq_renewal renewal, object.run_lease(1));
  if (renewal != ZQ_RENEWED) return fail(ErrorCode::kKernel, "the lease cannot be renewed");
  return {};
}

}  // namespace

std::vector<std::string> missing_capabilities() {
  std::vector<std::string> missing;
  probe_bpf(missing);
  if (missing.empty()) {
    Status tried;
    std::thread([&] { tried = try_gate(); }).join();
    if (!tried) {
      missing.push_back(fmt::format(
          "clsact with BPF filters ({}): no fault can be injected on this node (needs root or "
          "CAP_NET_ADMIN and CAP_SYS_ADMIN, and a kernel with CONFIG_NET_CLS_ACT and "
          "CONFIG_NET_CLS_BPF)",
          tried.error().message));
    }
  }
  if (auto clock = check_kernel_clock(); !clock) missing.push_back(clock.error().message);
  return missing;
}

}  // namespace zq
