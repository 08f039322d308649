// The permanent environment of a testbed: its [[testbed.link]] tables made into what the router
// between the zones does (agent/wan/config.h), and the process that does it. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/wan/config.h"
#include "controller/testbed/address_plan.h"
#include "controller/testbed/program.h"
#include "experiments/cluster.h"

namespace zq::testbed {

// Nothing when no link is stated. A link of regions covers every pair of their zones that has no
// link of its own. kInput when a link names what is not there.
Result<std::optional<WanConfig>> plan_environment(const Cluster& cluster,
                                                  const std::vector<ZoneAddresses>& zones);

// `zonequake-agent wan` in the core namespace.
Launch plan_environment_process(const WanConfig& config, const Layout& layout,
                                const std::string& agent_binary);
// What a process of plan_environment_process() was told.
Result<WanConfig> environment_of(const Launch& launch);

}  // namespace zq::testbed
