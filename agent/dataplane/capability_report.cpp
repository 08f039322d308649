#include "agent/dataplane/capability_report.h"

#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>

#include "agent/base/capability.h"
#include "agent/base/unique_fd.h"
#include "agent/dataplane/delay_line.h"
#include "agent/dataplane/gate.h"

namespace zq {
namespace {

Capability report_gate() {
  const auto missing = missing_capabilities();
  if (missing.empty()) {
    return {capability::kGate, true, "clsact and BPF: drops, loss, duplicates and flapping"};
  }
  return {capability::kGate, false, fmt::format("{}", fmt::join(missing, "; "))};
}

Capability report_reject() {
  std::string missing;
  if (libbpf_probe_bpf_map_type(BPF_MAP_TYPE_RINGBUF, nullptr) != 1) {
    missing = "BPF map type 'ring buffer' (Linux 5.8)";
  } else if (!UniqueFd(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW))) {
    missing = fmt::format("raw sockets ({}; they need root or CAP_NET_RAW)", std::strerror(errno));
  }
  if (missing.empty()) return {capability::kReject, true, "raw sockets: packets can be rejected"};
  return {capability::kReject, false,
          missing + ": packets can be dropped on this node, but not rejected"};
}

}  // namespace

std::vector<Capability> capability_report() {
  std::vector<Capability> report = {report_gate(), report_reject()};
  std::ranges::move(queue_capabilities(), std::back_inserter(report));
  report.push_back(delay_line_capability());
  return report;
}

}  // namespace zq
