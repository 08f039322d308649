#include "controller/cli/plan_command.h"

#include <memory>

#include "controller/cli/inputs.h"
#include "controller/plan/plan.h"

namespace zq {
namespace {

struct PlanArguments {
  std::string experiment, cluster;
  std::vector<std::string> timers, leaders;
  bool json = false;
};

// A timer that only the live cluster knows and nobody has given.
constexpr double kAssumedTimer = 30;

Result<int> print_plan(const PlanArguments& arguments) {
  ZQ_TRY(const std::string path, find_experiment(arguments.experiment));
  ZQ_TRY(const Experiment experiment, load_experiment(path));
  ZQ_TRY(const Cluster cluster, load_cluster(arguments.cluster));
  ZQ_CHECK(check_against(experiment, cluster));

  std::map<std::string, double> variables;
  for (const AppSpec& app : cluster.apps) variables["replicas"] += app.replicas;
  ZQ_TRY(const auto given, parse_pairs(arguments.timers, "--timer"));
  for (const auto& [name, text] : given) {
    ZQ_TRY(const Nanos duration, parse_duration(text));
    variables[name] = to_seconds(duration);
  }
  std::vector<std::string> assumed;
  for (const Phase& phase : experiment.phases) {
    for (const std::string& name : phase.lasts.variables()) {
      if (variables.emplace(name, kAssumedTimer).second) assumed.push_back(name);
    }
  }

  ZQ_TRY(const auto leaders, parse_pairs(arguments.leaders, "--leader"));
  const LiveCluster live{.leader = [&](const std::string& system) -> Result<NodeId> {
    const auto named = leaders.find(system);
    if (named == leaders.end()) {
      return fail(
          ErrorCode::kInput,
          "who leads {} is known only to the live cluster; say --leader {}=NODE to plan for "
          "one of them",
          system, system);
    }
    const Node* node = cluster.find_node(named->second);
    if (node == nullptr) {
      return fail(ErrorCode::kInput, "--leader: the cluster has no node '{}'", named->second);
    }
    return static_cast<NodeId>(node - cluster.nodes.data());
  }};
  ZQ_TRY(
      const Plan plan,
      make_plan(
          {.cluster = cluster, .experiment = experiment, .variables = variables, .live = &live}));
  if (arguments.json) {
    fmt::print("{}\n", plan_to_json(plan, cluster));
    return 0;
  }
  fmt::print("{}", describe_plan(plan, cluster, experiment));
  if (!assumed.empty()) {
    fmt::print(
        "\nassumed to be {}s, a run reads them from the live cluster (or say --timer "
        "NAME=DURATION): {}\n",
        kAssumedTimer, fmt::join(assumed, ", "));
  }
  return 0;
}

}  // namespace

void add_plan_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<PlanArguments>();
  CLI::App* plan =
      app.add_subcommand("plan", "Show what would be done to whom, with the blast radius");
  plan->footer("Asks nobody and touches nothing.");
  plan->add_option("experiment", arguments->experiment,
                   "Experiment file, or a name from the catalogue")
      ->required();
  plan->add_option("--cluster,-c", arguments->cluster, "Cluster file")->required();
  plan->add_option("--timer", arguments->timers, "NAME=DURATION for a timer of the live cluster");
  plan->add_option("--leader", arguments->leaders, "SYSTEM=NODE for selections by leader");
  plan->add_flag("--json", arguments->json, "The plan as JSON");
  plan->callback([arguments, &exit_code] {
    const auto code = print_plan(*arguments);
    exit_code = code ? *code : report_error(code.error());
  });
}

}  // namespace zq
