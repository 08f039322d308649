// The network of a testbed: a core namespace that routes, one bridge namespace per zone, one
// namespace per node whose only uplink is eth0. Names are kept under /run/netns as iproute2 keeps
// its own, so that `ip netns exec` finds them.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "agent/base/error.h"
#include "controller/testbed/address_plan.h"
#include "controller/testbed/layout.h"

namespace zq::testbed {

// Every namespace that build_network() will make.
std::vector<std::string> netns_names(const Layout& layout, const std::vector<ZoneAddresses>& zones);
// The device of the core namespace that leads to the zone of that place in the list.
[[nodiscard]] std::string core_device(std::size_t zone);
[[nodiscard]] bool netns_exists(const std::string& name);

// Builds everything; on an error the caller removes the namespaces (and with them all devices).
// Sysctls that the kernel lacks are told to `progress`.
Status build_network(const Layout& layout, const std::vector<ZoneAddresses>& zones,
                     const std::vector<std::pair<std::string, std::string>>& node_sysctls,
                     const std::function<void(const std::string&)>& progress);

// Removes the name, and the namespace once nothing is in it any more. Gone already is success.
Status remove_netns(const std::string& name);
// Takes /run/netns away again if a testbed made it and nobody uses it.
void release_netns_directory();

}  // namespace zq::testbed
