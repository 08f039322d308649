// zonequake canary
#pragma once

#include <CLI/CLI.hpp>

namespace zq {

void add_canary_command(CLI::App& app, int& exit_code);

}  // namespace zq
