// zonequake testbed
#pragma once

#include <CLI/CLI.hpp>

namespace zq {

void add_testbed_command(CLI::App& app, int& exit_code);

}  // namespace zq
