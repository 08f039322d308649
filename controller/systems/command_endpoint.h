// Systems that are asked through their own commands on the node: endpoint "exec:", or "exec:PATH"
// of a program that is given the command to run, which enters a container or namespace for
// instance.
#pragma once

#include <string>
#include <vector>

#include "controller/systems/adapter.h"

namespace zq {

struct CommandEndpoint {
  std::string through;  // empty: nothing

  // Makes it a probe that runs argv.
  void fill(NodeProbe& probe, const std::vector<std::string>& argv) const;
};
// kInput at the system's position.
Result<CommandEndpoint> parse_command_endpoint(const SystemSpec& system,
                                               const std::string& endpoint);

}  // namespace zq
