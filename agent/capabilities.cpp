#include "agent/capabilities.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <optional>

#include "agent/base/capability.h"
#include "agent/base/time.h"
#include "agent/dataplane/gate.h"
#include "agent/process_cgroup.h"
#include "agent/process_units.h"

namespace zq {
namespace {

constexpr Nanos kTryAgainAfter = std::chrono::seconds(10);

NodeCapabilities data_plane() {
  static std::mutex mutex;
  static std::optional<NodeCapabilities> known;
  static MonoTime tried;
  const std::lock_guard lock(mutex);
  const bool complete =
      known && std::all_of(known->all.begin(), known->all.end(),
                           [](const Capability& capability) { return capability.present; });
  if (!known || (!complete && mono_now() - tried > kTryAgainAfter)) {
    known = {capability_report(), missing_capabilities()};
    tried = mono_now();
  }
  return *known;
}

Capability freezer() {
  if (const auto tried = try_freezer(); !tried) {
    return {capability::kFreezer, false,
            fmt::format("{}: processes of this node cannot be paused", tried.error().message)};
  }
  return {capability::kFreezer, true, "cgroup 2: processes can be paused"};
}

Capability systemd() {
  auto units = Units::connect();
  const auto version = units ? units->version() : tl::unexpected(units.error());
  if (!version) {
    return {capability::kSystemd, false,
            fmt::format("{}: process faults can name cgroups of this node, and no units",
                        version.error().message)};
  }
  return {capability::kSystemd, true, fmt::format("systemd {}: units", *version)};
}

}  // namespace

NodeCapabilities node_capabilities() {
  NodeCapabilities result = data_plane();
  result.all.push_back(freezer());
  result.all.push_back(systemd());
  return result;
}

}  // namespace zq
