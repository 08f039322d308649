// zonequake catalogue
#pragma once

#include <CLI/CLI.hpp>

namespace zq {

void add_catalogue_command(CLI::App& app, int& exit_code);

}  // namespace zq
