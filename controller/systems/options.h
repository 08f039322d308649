// The [options] of a system, checked: unknown names and unreadable numbers are kInput errors.
#pragma once

#include <string>
#include <vector>

#include "experiments/cluster.h"

namespace zq {

Status check_options(const SystemSpec& system, const std::vector<std::string>& known);
// A positive whole number of milliseconds as seconds.
Result<double> option_ms(const SystemSpec& system, const std::string& name, double default_seconds);
[[nodiscard]] std::string option_text(const SystemSpec& system, const std::string& name,
                                      const std::string& otherwise);

// "true" or "false".
Result<bool> option_bool(const SystemSpec& system, const std::string& name, bool otherwise);

}  // namespace zq
