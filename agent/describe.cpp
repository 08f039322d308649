#include "agent/describe.h"

#include <sys/utsname.h>

#include <cerrno>
#include <fstream>

#include "agent/capabilities.h"

namespace zq {

Result<NodeDescription> describe_node(const std::vector<IpAddress>& peers) {
  NodeDescription result;
  utsname name{};
  if (::uname(&name) != 0) return fail_errno(errno, "uname");
  result.kernel = fmt::format("{} {}", name.sysname, name.release);
  std::ifstream("/proc/sys/kernel/random/boot_id") >> result.boot_id;
  auto capabilities = node_capabilities();
  result.capabilities = std::move(capabilities.all);
  result.missing = std::move(capabilities.missing);
  if (!peers.empty()) {
    ZQ_TRY(result.uplinks, resolve_uplinks(peers));
  }
  ZQ_TRY(result.ahead, filters_ahead(result.uplinks));
  ZQ_TRY(result.dump, dump_network(result.uplinks));
  return result;
}

}  // namespace zq
