// `zonequake check`: the page's recommendations as preflight checks.
#pragma once

#include <CLI/CLI.hpp>

namespace zq {

void add_check_command(CLI::App& app, int& exit_code);

}  // namespace zq
