// zonequake judge
#pragma once

#include <CLI/CLI.hpp>

namespace zq {

void add_judge_command(CLI::App& app, int& exit_code);

}  // namespace zq
