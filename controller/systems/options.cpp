#include "controller/systems/options.h"

#include <algorithm>
#include <charconv>

#include "experiments/hint.h"

namespace zq {

Status check_options(const SystemSpec& system, const std::vector<std::string>& known) {
  for (const auto& [name, value] : system.options) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    return fail(ErrorCode::kInput, "{}: system '{}' of kind {} has no option '{}'{}",
                system.position.to_string(), system.name, system.kind, name,
                nearest_hint(name, known, "known options"));
  }
  return {};
}

Result<double> option_ms(const SystemSpec& system, const std::string& name,
                         double default_seconds) {
  const auto found = system.options.find(name);
  if (found == system.options.end()) return default_seconds;
  const std::string& text = found->second;
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value == 0) {
    return fail(ErrorCode::kInput,
                "{}: option '{}' of system '{}' is '{}'; expected a whole number of milliseconds "
                "above zero",
                system.position.to_string(), name, system.name, text);
  }
  return value / 1000.0;
}

std::string option_text(const SystemSpec& system, const std::string& name,
                        const std::string& otherwise) {
  const auto found = system.options.find(name);
  return found == system.options.end() ? otherwise : found->second;
}

Result<bool> option_bool(const SystemSpec& system, const std::string& name, bool otherwise) {
  const std::string text = option_text(system, name, otherwise ? "true" : "false");
  if (text == "true" || text == "false") return text == "true";
  return fail(ErrorCode::kInput, "{}: option '{}' of system '{}' is '{}'; expected true or false",
              system.position.to_string(), name, system.name, text);
}

}  // namespace zq
