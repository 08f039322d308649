// zonequake doctor
#pragma once

#include <CLI/CLI.hpp>

namespace zq {

void add_doctor_command(CLI::App& app, int& exit_code);

}  // namespace zq
