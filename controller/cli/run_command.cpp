#include "controller/cli/run_command.h"

#include <unistd.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "controller/cli/exit_code.h"
#include "controller/cli/inputs.h"
#include "controller/cli/interrupt.h"
#include "controller/cli/offline_plan.h"
#include "controller/cli/run_series.h"
#include "controller/cli/terminal.h"
#include "controller/run/runner.h"
#include "results/report.h"

namespace zq {
namespace {

struct RunArguments {
  std::vector<std::string> experiments;
  std::string cluster;
  std::string db = default_db();
  std::string agent, bin_dir;
  std::vector<std::string> labels;
  std::string lease = "3s", orphan = "10s";
  double probe_rate = 50;
  unsigned repeat = 1;
  bool testbed = false, keep = false, json = false, resume = false;
};

// A testbed that this command brought up, torn down on every way out.
class OwnedTestbed {
 public:
  OwnedTestbed() = default;
  OwnedTestbed(const OwnedTestbed&) = delete;
  OwnedTestbed& operator=(const OwnedTestbed&) = delete;
  ~OwnedTestbed() {
    if (Status down = take_down(); !down)
      fmt::print(stderr, "zonequake: {}\n", down.error().message);
  }

  Testbed* get() { return testbed_ ? &*testbed_ : nullptr; }
  void hold(Testbed testbed, bool owned) {
    testbed_.emplace(std::move(testbed));
    owned_ = owned;
  }
  Status take_down() {
    if (!testbed_ || !std::exchange(owned_, false)) return {};
    return testbed_->down();
  }

 private:
  std::optional<Testbed> testbed_;
  bool owned_ = false;
};

// Everything about the testbed that can be wrong before one is made; opens one that is up.
Status check_testbed(const RunArguments& arguments, const Cluster& cluster, OwnedTestbed& testbed) {
  if (!arguments.testbed) {
    if (!cluster.testbed) return {};
    auto running = Testbed::open(cluster);
    if (!running && running.error().code == ErrorCode::kNotFound) {
      return fail(
          ErrorCode::kInput,
          "the testbed '{}' is not up; add --testbed to have it made for this run, or start "
          "it with: zonequake testbed up --cluster {}",
          cluster.name, cluster.path);
    }
    ZQ_TRY(Testbed opened, std::move(running));
    ZQ_CHECK(opened.check_environment(cluster));
    testbed.hold(std::move(opened), false);
    return {};
  }
  if (!cluster.testbed) {
    return fail(ErrorCode::kInput, "{}: --testbed needs a [testbed] table with a recipe",
                cluster.path);
  }
  if (::geteuid() != 0) return fail(ErrorCode::kInput, "--testbed takes root; try sudo");
  std::error_code error;
  if (!std::filesystem::exists(arguments.agent, error)) {
    return fail(ErrorCode::kInput, "{} does not exist; build zonequake-agent, or say --agent PATH",
                arguments.agent);
  }
  return {};
}

Status make_testbed(const RunArguments& arguments, const Cluster& cluster, OwnedTestbed& testbed,
                    std::FILE* out) {
  TestbedOptions options;
  options.agent_binary = arguments.agent;
  options.bin_dir = arguments.bin_dir;
  options.progress = [out](const std::string& line) {
    std::fputs(("  " + line + "\n").c_str(), out);
    std::fflush(out);
  };
  options.stop = interrupt_token();
  ZQ_TRY(Testbed up, Testbed::up(cluster, options));
  testbed.hold(std::move(up), !arguments.keep);
  return {};
}

// What is to be run, in order: round by round the whole list, without what the store has already.
Result<std::vector<const Experiment*>> runs_to_make(const RunArguments& arguments,
                                                    const std::vector<Experiment>& experiments,
                                                    const Cluster& cluster, const Store& store,
                                                    const RunOptions& options) {
  std::vector<unsigned> done(experiments.size(), 0);
  for (std::size_t i = 0; i < experiments.size() && arguments.resume; ++i) {
    ZQ_TRY(done[i], repetitions_done(store, experiments[i], cluster, options.labels));
  }
  std::vector<const Experiment*> runs;
  for (unsigned round = 0; round < arguments.repeat; ++round) {
    for (std::size_t i = 0; i < experiments.size(); ++i) {
      if (round >= done[i]) runs.push_back(&experiments[i]);
    }
  }
  return runs;
}

// Runs one and prints its report; its verdict.
Result<RunVerdict> run_one(const Experiment& experiment, const Cluster& cluster, Testbed* testbed,
                           Store& store, const RunOptions& options, const std::string& place,
                           std::FILE* out, nlohmann::json* results) {
  RunOutcome outcome;
  {
    TerminalListener listener(out, fmt::format("{}{}: {}", place.empty() ? "" : "[" + place + "] ",
                                               experiment.caveat, experiment.title));
    ZQ_TRY(outcome, run_experiment(experiment, cluster, testbed, store, options, listener,
                                   interrupt_token()));
  }
  ZQ_TRY(const std::string report, render_run(store, outcome.id, wants_color(::fileno(out))));
  std::fputs(("\n" + report + "\n").c_str(), out);
  std::fflush(out);
  if (results != nullptr) {
    ZQ_TRY(const std::string document, run_json(store, outcome.id));
    results->push_back(nlohmann::json::parse(document, nullptr, false));
  }
  return outcome.verdict;
}

Result<std::vector<Experiment>> load_all(const RunArguments& arguments, const Cluster& cluster) {
  std::vector<Experiment> experiments;
  for (const std::string& name : arguments.experiments) {
    ZQ_TRY(const std::string path, find_experiment(name));
    ZQ_TRY(Experiment experiment, load_experiment(path));
    ZQ_CHECK(check_against(experiment, cluster));
    ZQ_CHECK(check_plannable(experiment, cluster));
    experiments.push_back(std::move(experiment));
  }
  return experiments;
}

Result<int> run_all(const RunArguments& arguments) {
  RunOptions options;
  ZQ_TRY(options.labels, parse_pairs(arguments.labels, "--label"));
  ZQ_TRY(options.arm.lease, parse_duration(arguments.lease));
  ZQ_TRY(options.arm.orphan, parse_duration(arguments.orphan));
  options.arm.probe_rate = arguments.probe_rate;
  ZQ_TRY(options.deviations, known_deviations());
  ZQ_TRY(const Cluster cluster, load_cluster(arguments.cluster));
  ZQ_TRY(const std::vector<Experiment> experiments, load_all(arguments, cluster));
  OwnedTestbed testbed;
  ZQ_CHECK(check_testbed(arguments, cluster, testbed));
  ZQ_TRY(Store store, open_store(arguments.db));
  ZQ_TRY(const std::vector<const Experiment*> runs,
         runs_to_make(arguments, experiments, cluster, store, options));

  // Everything for people goes to stderr when stdout is for programs.
  std::FILE* const out = arguments.json ? stderr : stdout;
  if (const std::size_t asked = arguments.repeat * experiments.size(); runs.size() < asked) {
    fmt::print(out, "{} of {} runs are in the store already\n", asked - runs.size(), asked);
  }
  if (arguments.testbed && !runs.empty()) {
    ZQ_CHECK(make_testbed(arguments, cluster, testbed, out));
  }
  const std::stop_token stop = interrupt_token();
  int worst = kExitPassed;
  nlohmann::json results = nlohmann::json::array();
  RunSeries series(runs.size());
  std::optional<Error> failed;
  for (const Experiment* experiment : runs) {
    if (stop.stop_requested()) {  // what was asked for and never ran
      worst = worse_exit_code(worst, kExitAborted);
      break;
    }
    const MonoTime began = mono_now();
    const auto verdict = run_one(*experiment, cluster, testbed.get(), store, options,
                                 series.next_place(), out, arguments.json ? &results : nullptr);
    if (!verdict) {
      failed = verdict.error();
      break;
    }
    series.add(*experiment, *verdict, mono_now() - began);
    worst = worse_exit_code(worst, exit_code_of(*verdict));
  }
  std::fputs(series.summary(wants_color(::fileno(out))).c_str(), out);
  std::fflush(out);
  if (failed) return tl::unexpected(*failed);
  ZQ_CHECK(testbed.take_down());
  const std::string db = std::filesystem::absolute(arguments.db).string();
  if (arguments.json) {
    fmt::print("{}\n", nlohmann::json{{"db", db}, {"runs", results}}.dump(2));
  } else {
    fmt::print("results: {}\n", db);
  }
  return worst;
}

}  // namespace

void add_run_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<RunArguments>();
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  arguments->agent = (self.parent_path() / "zonequake-agent").string();
  CLI::App* run = app.add_subcommand("run", "Run experiments against a cluster and judge them");
  run->footer(
      "Exit code: 0 passed, 1 failed, 2 invalid or inconclusive, 3 aborted, 64 bad input or beyond "
      "the\n"
      "experiment's limits, 70 internal error; several runs exit with the worst, in the order 70, "
      "3, 1,\n"
      "2, 0.\n"
      "Several runs end with a table of their verdicts, also when they are interrupted.\n"
      "Ctrl-C at any moment heals and disarms every node and records the run as aborted.");
  run->add_option("experiment", arguments->experiments,
                  "Experiment files, or names from the catalogue")
      ->required();
  run->add_option("--cluster,-c", arguments->cluster, "Cluster file")->required();
  run->add_flag("--testbed", arguments->testbed,
                "Make the cluster on this machine first, and remove it afterwards; takes root");
  run->add_flag("--keep", arguments->keep, "With --testbed: leave the cluster up afterwards");
  run->add_option("--agent", arguments->agent, "With --testbed: the agent's binary")
      ->capture_default_str();
  run->add_option(
      "--bin-dir", arguments->bin_dir,
      "With --testbed: where programs that its recipe names are looked for before PATH");
  run->add_option("--db", arguments->db, kDbHelp)->capture_default_str();
  run->add_option("--label,-l", arguments->labels,
                  "KEY=VALUE to find and compare runs by; may be given several times")
      ->allow_extra_args(false);
  run->add_option("--repeat", arguments->repeat, "Run the whole list this many times")
      ->check(CLI::Range(1U, 10000U))
      ->capture_default_str();
  run->add_flag("--resume", arguments->resume,
                "Count what the store has: of each experiment only as many runs are made as are\n"
                "missing to --repeat. A run counts if it has the same experiment and cluster text\n"
                "and all labels given here, and says something (passed, failed, inconclusive)");
  run->add_option("--probe-rate", arguments->probe_rate,
                  "Path probes per second from each node to each of its targets")
      ->check(CLI::Range(1.0, 5000.0))
      ->capture_default_str();
  run->add_option("--lease", arguments->lease,
                  "Faults end by themselves this long after an agent stops renewing them")
      ->capture_default_str();
  run->add_option("--orphan", arguments->orphan,
                  "Agents heal by themselves when the controller is silent for this long")
      ->capture_default_str();
  run->add_flag("--json", arguments->json, "Results as JSON on stdout, progress on stderr");
  run->callback([arguments, &exit_code] {
    const auto code = run_all(*arguments);
    exit_code = code ? *code : report_error(code.error());
  });
}

}  // namespace zq
