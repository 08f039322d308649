// The `zonequake` command.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "controller/cli/canary_command.h"
#include "controller/cli/catalogue_command.h"
#include "controller/cli/check_command.h"
#include "controller/cli/doctor_command.h"
#include "controller/cli/exit_code.h"
#include "controller/cli/judge_command.h"
#include "controller/cli/plan_command.h"
#include "controller/cli/results_commands.h"
#include "controller/cli/run_command.h"
#include "controller/cli/testbed_command.h"

int main(int argc, char** argv) try {
  CLI::App app{
      "zonequake cuts a cluster along its zone borders, watches it from both sides, and says with "
      "evidence whether it did what was predicted"};
  app.set_version_flag("--version", "zonequake " ZQ_VERSION);
  app.require_subcommand(1);
  app.set_help_all_flag("--help-all", "Help of all subcommands");
  int exit_code = zq::kExitPassed;
  zq::add_run_command(app, exit_code);
  zq::add_plan_command(app, exit_code);
  zq::add_results_commands(app, exit_code);
  zq::add_judge_command(app, exit_code);
  zq::add_canary_command(app, exit_code);
  zq::add_testbed_command(app, exit_code);
  zq::add_doctor_command(app, exit_code);
  zq::add_catalogue_command(app, exit_code);
  zq::add_check_command(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Help and version are not mistakes.
    return app.exit(error) == 0 ? zq::kExitPassed : zq::kExitBadInput;
  }
  return exit_code;
} catch (const std::exception& error) {
  std::fprintf(stderr, "zonequake: internal error: %s\n", error.what());
  return zq::kExitInternal;
}
