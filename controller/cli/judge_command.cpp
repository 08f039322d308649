#include "controller/cli/judge_command.h"

#include <openssl/sha.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string_view>

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
  bool json = false;
};

std::string sha256(std::string_view text) {
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::string hex;
  for (const std::uint8_t byte : digest) hex += fmt::format("{:02x}", byte);
  return hex;
}

// Judging replaces verdicts, so the record says under what, and what they were before.
EventRecord judged_event(const RunRecord& before, const Experiment& experiment, RunVerdict verdict,
                         const Judged& judged) {
  EventRecord event;
  // On the run's own clock, which may have started anew with a boot since.
  event.at_mono_ns = before.started_mono_ns + (wall_now_ns() - before.started_wall_ns);
  event.kind = kJudgedEvent;
  event.text = fmt::format("judged again under {} (sha256 {}): {} -> {}", experiment.path,
                           sha256(experiment.text), to_string(before.verdict), to_string(verdict));
  if (verdict != judged.verdict) {
    event.text += fmt::format(" (its expectations alone: {})", to_string(judged.verdict));
  }
  return event;
}

Result<int> judge_again(const JudgeArguments& arguments) {
  ZQ_TRY(Store store, open_existing_store(arguments.db));
  ZQ_TRY(const RunId id, parse_run_id(store, arguments.run));
  ZQ_TRY(const RunRecord record, store.run(id));
  if (record.verdict == RunVerdict::kRunning) {
    return fail(ErrorCode::kRefused, "run {} is still going on; it is judged when it ends", id);
  }
  Experiment experiment;
  if (arguments.experiment.empty()) {
    ZQ_TRY(experiment, parse_experiment(record.experiment_text, record.experiment_path));
  } else {
    ZQ_TRY(const std::string path, find_experiment(arguments.experiment));
    ZQ_TRY(experiment, load_experiment(path));
  }
  ZQ_TRY(const std::vector<Deviation> deviations, known_deviations());
  ZQ_TRY(const Judged judged, judge_recorded(store, id, experiment, deviations));
  // What made the run say nothing about the cluster is not undone by judging it again.
  const bool says_something = record.verdict == RunVerdict::kPassed ||
                              record.verdict == RunVerdict::kFailed ||
                              record.verdict == RunVerdict::kInconclusive;
  const RunVerdict verdict = says_something ? judged.verdict : record.verdict;
  ZQ_CHECK(store.add_event(id, judged_event(record, experiment, verdict, judged)));
  if (says_something) ZQ_CHECK(store.finish_run(id, verdict, judged.reason));
  if (arguments.json) {
    ZQ_TRY(const std::string document, run_json(store, id));
    fmt::print("{}", document);
  } else {
    ZQ_TRY(const std::string report, render_run(store, id, wants_color(STDOUT_FILENO)));
    fmt::print("{}", report);
  }
  return exit_code_of(verdict);
}

}  // namespace

void add_judge_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<JudgeArguments>();
  CLI::App* judge = app.add_subcommand("judge", "Judge a recorded run again");
  judge->footer(
      "Replaces the run's verdicts and records that it did, under what, and what the verdict was\n"
      "before. A run that is invalid, aborted or interrupted stays so.\n"
      "Exit code: 0 passed, 1 failed, 2 invalid or inconclusive, 3 aborted or interrupted,\n"
      "64 bad input, 70 internal error.");
  judge->add_option("run", arguments->run, "Number of the run, or 'last'")->required();
  judge->add_option("--experiment", arguments->experiment,
                    "Judge under this file, or name from the catalogue, instead of the recorded\n"
                    "text");
  judge->add_option("--db", arguments->db, kDbHelp)->capture_default_str();
  judge->add_flag("--json", arguments->json, "The run as JSON, like show --json");
  judge->callback([arguments, &exit_code] {
    const auto code = judge_again(*arguments);
    exit_code = code ? *code : report_error(code.error());
  });
}

}  // namespace zq
