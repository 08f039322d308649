#include "controller/cli/plan_command.h"

#include <memory>

#include "controller/cli/inputs.h"
#include "controller/cli/offline_plan.h"
#include "controller/plan/plan.h"
#include "experiments/presets.h"

namespace zq {
namespace {

struct PlanArguments {
  std::string experiment, cluster;
  std::vector<std::string> timers, leaders;
  bool json = false;
};

Result<int> print_plan(const PlanArguments& arguments) {
  ZQ_TRY(const std::string path, find_experiment(arguments.experiment));
  ZQ_TRY(const Experiment experiment, load_experiment(path));
  ZQ_TRY(const Cluster cluster, load_cluster(arguments.cluster));
  ZQ_CHECK(check_against(experiment, cluster));

  PlanAssumptions given;
  ZQ_TRY(const auto timers, parse_pairs(arguments.timers, "--timer"));
  for (const auto& [name, text] : timers) {
    ZQ_TRY(const Nanos duration, parse_duration(text));
    given.timers[name] = to_seconds(duration);
  }
  ZQ_TRY(given.leaders, parse_pairs(arguments.leaders, "--leader"));
  ZQ_TRY(const OfflinePlan offline, plan_offline(experiment, cluster, given));
  if (arguments.json) {
    fmt::print("{}\n", plan_to_json(offline.plan, cluster));
    return 0;
  }
  fmt::print("{}", describe_plan(offline.plan, cluster, experiment));
  if (!offline.assumed_timers.empty()) {
    fmt::print(
        "\nassumed to be {}s, a run reads them from the live cluster (or say --timer "
        "NAME=DURATION): {}\n",
        kAssumedTimer, fmt::join(offline.assumed_timers, ", "));
  }
  return 0;
}

}  // namespace

void add_plan_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<PlanArguments>();
  CLI::App* plan =
      app.add_subcommand("plan", "Show what would be done to whom, with the blast radius");
  plan->footer(
      "Asks nobody and touches nothing. Timers that the phases need and that are not given are\n"
      "assumed to be 30s. Exit code: 0 planned, 64 bad input or beyond the experiment's limits,\n"
      "70 internal error.\n\nPresets of impairing faults, from the multi-datacenter page:\n" +
      describe_presets());
  plan->add_option("experiment", arguments->experiment,
                   "Experiment file, or a name from the catalogue")
      ->required();
  plan->add_option("--cluster,-c", arguments->cluster, "Cluster file")->required();
  plan->add_option("--timer", arguments->timers,
                   "NAME=DURATION for a timer of the live cluster, like unreachable_max=30s")
      ->allow_extra_args(false);
  plan->add_option("--leader", arguments->leaders,
                   "SYSTEM=NODE: who leads, for selections by leader")
      ->allow_extra_args(false);
  plan->add_flag("--json", arguments->json, "The plan as JSON on stdout");
  plan->callback([arguments, &exit_code] {
    const auto code = print_plan(*arguments);
    exit_code = code ? *code : report_error(code.error());
  });
}

}  // namespace zq
