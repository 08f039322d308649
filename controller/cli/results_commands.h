// The subcommands that look at recorded runs: runs, show, export.
#pragma once

#include <CLI/CLI.hpp>

namespace zq {

// `exit_code` is set when one of them was called: 0, 64 (no such run, no such file), 70.
void add_results_commands(CLI::App& app, int& exit_code);

}  // namespace zq
