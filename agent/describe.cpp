#include "agent/describe.h"

#include <sys/utsname.h>

#include <cerrno>
#include <fstream>

#include "agent/capabilities.h"
#include "agent/wire.h"

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

zonequake::DescribeReply to_wire(const NodeDescription& description) {
  zonequake::DescribeReply reply;
  reply.set_version(ZQ_VERSION);
  reply.set_kernel(description.kernel);
  reply.set_boot_id(description.boot_id);
  for (const auto& uplink : description.uplinks) *reply.add_uplinks() = to_wire(uplink);
  reply.mutable_missing()->Add(description.missing.begin(), description.missing.end());
  for (const auto& capability : description.capabilities) {
    auto* const out = reply.add_capabilities();
    out->set_name(capability.name);
    out->set_present(capability.present);
    out->set_text(capability.text);
  }
  reply.mutable_ahead()->Add(description.ahead.begin(), description.ahead.end());
  reply.set_dump(description.dump);
  reply.set_mono_ns(to_ns(mono_now()));
  return reply;
}

}  // namespace zq
