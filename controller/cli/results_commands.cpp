#include "controller/cli/results_commands.h"

#include <fmt/format.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "controller/cli/exit_code.h"
#include "controller/cli/inputs.h"
#include "results/report.h"
#include "results/store.h"

namespace zq {

namespace {

struct Options {
  std::string database;
  std::string run = "last";
  std::vector<std::string> labels;
  std::string caveat;
  std::size_t limit = 50;
  bool json = false;
};

Status print_runs(const Options& options) {
  RunFilter filter;
  filter.limit = options.limit;
  if (!options.caveat.empty()) filter.caveat = options.caveat;
  ZQ_TRY(filter.labels, parse_pairs(options.labels, "--label"));
  ZQ_TRY(const Store store, open_existing_store(options.database));
  ZQ_TRY(const std::vector<RunRecord> runs, store.runs(filter));
  fmt::print("{}", options.json ? runs_json(runs) : render_runs(runs, wants_color(STDOUT_FILENO)));
  return {};
}

Status print_run(const Options& options) {
  ZQ_TRY(const Store store, open_existing_store(options.database));
  ZQ_TRY(const RunId run, parse_run_id(store, options.run));
  if (!options.json) {
    ZQ_TRY(const std::string text, render_run(store, run, wants_color(STDOUT_FILENO)));
    fmt::print("{}", text);
    return {};
  }
  ZQ_TRY(const std::string text, run_json(store, run));
  fmt::print("{}", text);
  return {};
}

Status print_export(const Options& options) {
  ZQ_TRY(const Store store, open_existing_store(options.database));
  ZQ_TRY(const RunId run, parse_run_id(store, options.run));
  ZQ_TRY(const std::string text, store.export_json(run));
  fmt::print("{}", text);
  return {};
}

}  // namespace

void add_results_commands(CLI::App& app, int& exit_code) {
  const auto options = std::make_shared<Options>();
  options->database = default_db();
  const auto add = [&](const char* name, const char* what, Status (*work)(const Options&)) {
    CLI::App* command = app.add_subcommand(name, what);
    command->add_option("--db", options->database, kDbHelp)->capture_default_str();
    command->callback([options, work, &exit_code] {
      const Status status = work(*options);
      exit_code = status ? kExitPassed : report_error(status.error());
    });
    return command;
  };
  CLI::App* runs = add("runs", "List recorded runs, newest first", print_runs);
  runs->add_option("--label,-l", options->labels,
                   "KEY=VALUE: only runs with this label; several must all match")
      ->allow_extra_args(false);
  runs->add_option("--caveat", options->caveat, "Only runs of this caveat, like T1-C2");
  runs->add_option("--limit", options->limit, "At most so many")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  runs->add_flag("--json", options->json, "As a JSON array");

  CLI::App* show = add("show", "Show a run: verdicts, phases, evidence, paths, events", print_run);
  show->add_option("run", options->run, "Number of the run, or 'last'")->capture_default_str();
  show->add_flag("--json", options->json, "As JSON, without samples and texts (see export)");

  CLI::App* exported = add("export", "Write a whole run as JSON, samples included", print_export);
  exported->add_option("run", options->run, "Number of the run, or 'last'")->required();
  exported->add_flag("--json", options->json, "The only format there is, and the default");
}

}  // namespace zq
