#include "controller/systems/command_endpoint.h"

namespace zq {

void CommandEndpoint::fill(NodeProbe& probe, const std::vector<std::string>& argv) const {
  auto& exec = *probe.probe.mutable_exec();
  if (!through.empty()) exec.add_argv(through);
  for (const std::string& word : argv) exec.add_argv(word);
}

Result<CommandEndpoint> parse_command_endpoint(const SystemSpec& system,
                                               const std::string& endpoint) {
  constexpr std::string_view kScheme = "exec:";
  if (endpoint.starts_with(kScheme)) {
    CommandEndpoint parsed{endpoint.substr(kScheme.size())};
    if (parsed.through.empty() || parsed.through.starts_with('/')) return parsed;
  }
  return fail(ErrorCode::kInput,
              "{}: the endpoint of system '{}' is '{}'; expected \"exec:\", or \"exec:/path\" of a "
              "program that runs the command it is given where the system is",
              system.position.to_string(), system.name, endpoint);
}

}  // namespace zq
