// zonequake plan
#pragma once

#include <CLI/CLI.hpp>

namespace zq {

void add_plan_command(CLI::App& app, int& exit_code);

}  // namespace zq
