#include "controller/cli/judge_command.h"

#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "controller/cli/exit_code.h"
#include "controller/cli/inputs.h"
#include "controller/run/judging.h"
#include "results/report.h"

namespace zq {
namespace {

struct JudgeArguments {
  std::string run;
  std::string experiment;
  std::string db = default_db();
};

Result<int> judge_again(const JudgeArguments& arguments) {
  ZQ_TRY(Store store, open_store(arguments.db));
  ZQ_TRY(const RunId id, parse_run_id(store, arguments.run));
  ZQ_TRY(const RunRecord record, store.run(id));
  Experiment experiment;
  if (arguments.experiment.empty()) {
    ZQ_TRY(experiment, parse_experiment(record.experiment_text, record.experiment_path));
  } else {
    ZQ_TRY(const std::string path, find_experiment(arguments.experiment));
    ZQ_TRY(experiment, load_experiment(path));
  }
  ZQ_TRY(const Judged judged, judge_recorded(store, id, experiment));
  // What made the run say nothing about the cluster is not undone by judging it again.
  const bool says_something = record.verdict == RunVerdict::kPassed ||
                              record.verdict == RunVerdict::kFailed ||
                              record.verdict == RunVerdict::kInconclusive;
  RunVerdict verdict = record.verdict;
  if (says_something) {
    verdict = judged.verdict;
    ZQ_CHECK(store.finish_run(id, judged.verdict, judged.reason));
  }
  const bool color = ::isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
  ZQ_TRY(const std::string report, render_run(store, id, color));
  fmt::print("{}", report);
  return exit_code_of(verdict);
}

}  // namespace

void add_judge_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<JudgeArguments>();
  CLI::App* judge = app.add_subcommand("judge", "Judge a recorded run again");
  judge->add_option("run", arguments->run, "The run's number, or 'last'")->required();
  judge->add_option("--experiment", arguments->experiment,
                    "Judge under this file instead of the recorded one");
  judge->add_option("--db", arguments->db, "SQLite file with results ($ZONEQUAKE_DB)")
      ->capture_default_str();
  judge->callback([arguments, &exit_code] {
    const auto code = judge_again(*arguments);
    exit_code = code ? *code : report_error(code.error());
  });
}

}  // namespace zq
