// zonequake run
#pragma once

#include <CLI/CLI.hpp>

namespace zq {

// Sets `exit_code` when the subcommand was run.
void add_run_command(CLI::App& app, int& exit_code);

}  // namespace zq
