#include "controller/cli/plan_command.h"

#include <memory>
#include <optional>
#include <set>

#include "controller/cli/inputs.h"
#include "controller/cli/interrupt.h"
#include "controller/cli/offline_plan.h"
#include "controller/plan/plan.h"
#include "controller/run/live_timers.h"
#include "experiments/presets.h"

namespace zq {
namespace {

struct PlanArguments {
  std::string experiment, cluster;
  std::vector<std::string> timers, leaders;
  bool json = false, live = false;
};

// Steps of asking go to stderr: the plan is what was asked for.
class QuietListener final : public RunListener {
 public:
  void run_started(RunId /*run*/) override {}
  void step(const std::string& text) override { fmt::print(stderr, "  {}\n", text); }
  void planned(const Plan& /*plan*/) override {}
  void phase(const std::string& /*name*/, Nanos /*planned*/) override {}
  void tick(const std::string& /*phase*/, Nanos /*elapsed*/, Nanos /*planned*/,
            const std::vector<Series>& /*series*/) override {}
  void trouble(const std::string& text) override { fmt::print(stderr, "  {}\n", text); }
};

Result<LiveReading> ask_live(const Experiment& experiment, const Cluster& cluster) {
  std::optional<Testbed> testbed;
  if (cluster.testbed) {
    ZQ_TRY(Testbed running, Testbed::open(cluster));
    testbed.emplace(std::move(running));
  }
  QuietListener listener;
  return read_live(experiment, cluster, testbed ? &*testbed : nullptr, listener, interrupt_token());
}

// Those that the experiment uses anywhere, with their values where these are known.
std::string describe_timers(const Experiment& experiment,
                            const std::map<std::string, double>& values,
                            const std::map<std::string, std::string>& derivations) {
  std::set<std::string> names;
  const auto use = [&](const Expression& expression) {
    for (const std::string& name : expression.variables()) names.insert(name);
  };
  for (const Phase& phase : experiment.phases) use(phase.lasts);
  for (const Expectation& expectation : experiment.expectations) {
    if (expectation.within) use(*expectation.within);
  }
  names.erase("replicas");
  std::string text;
  for (const std::string& name : names) {
    const auto value = values.find(name);
    if (value == values.end()) continue;
    const auto derivation = derivations.find(name);
    text += fmt::format("  {} = {}: {}\n", name, format_duration(from_seconds(value->second)),
                        derivation == derivations.end() ? "--timer" : derivation->second);
  }
  return text.empty() ? text : "\nTimers that the experiment uses:\n" + text;
}

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
  std::map<std::string, std::string> derivations;
  std::set<std::string> overridden;
  if (arguments.live) {
    ZQ_TRY(const LiveReading reading, ask_live(experiment, cluster));
    for (const auto& [name, seconds] : reading.variables) {
      if (name == "replicas") continue;  // counted from the cluster file, as without --live
      if (!given.timers.emplace(name, seconds).second) overridden.insert(name);
    }
    for (const auto& [system, node] : reading.leaders) {
      given.leaders.emplace(system, cluster.nodes[node].name);
    }
    derivations = reading.derivations;
    for (const std::string& name : overridden) derivations[name] = "--timer";
  }
  ZQ_TRY(const OfflinePlan offline, plan_offline(experiment, cluster, given));
  if (arguments.json) {
    fmt::print("{}\n", plan_to_json(offline.plan, cluster));
    return 0;
  }
  fmt::print("{}", describe_plan(offline.plan, cluster, experiment));
  fmt::print("{}", describe_timers(experiment, given.timers, derivations));
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
      "Touches nothing, and asks nobody, but with --live. Timers that the phases need and that are "
      "not\n"
      "given are assumed to be 30s. Exit code: 0 planned, 64 bad input or beyond the experiment's "
      "limits,\n"
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
  plan->add_flag(
      "--live", arguments->live,
      "Ask the cluster's agents, as a run does before it plans, for the systems' timers and\n"
      "leaders; --timer and --leader override what they say");
  plan->add_flag("--json", arguments->json, "The plan as JSON on stdout");
  plan->callback([arguments, &exit_code] {
    const auto code = print_plan(*arguments);
    exit_code = code ? *code : report_error(code.error());
  });
}

}  // namespace zq
