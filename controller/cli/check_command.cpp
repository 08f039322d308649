#include "controller/cli/check_command.h"

#include <unistd.h>

#include <memory>
#include <optional>

#include "controller/cli/check_report.h"
#include "controller/cli/exit_code.h"
#include "controller/cli/inputs.h"
#include "controller/cli/interrupt.h"
#include "controller/run/onlooker.h"
#include "results/report.h"

namespace zq {
namespace {

struct CheckArguments {
  std::string cluster, topology;
  std::vector<std::string> only;
  bool throughput = false, no_paths = false, json = false;
};

int exit_code_of(const CheckReport& report) {
  int worst = kExitPassed;
  for (const CheckResult& result : report.checks) {
    if (result.status == CheckStatus::kFailed) worst = worse_exit_code(worst, kExitFailed);
    if (result.status == CheckStatus::kCannotTell) worst = worse_exit_code(worst, kExitUndecided);
  }
  return worst;
}

Result<int> check_cluster(const CheckArguments& arguments) {
  ZQ_TRY(const Cluster cluster, load_cluster(arguments.cluster));
  // Whatever can be wrong with the arguments, before anything is asked.
  const auto told =
      arguments.topology.empty() ? detect_topology(cluster) : parse_topology(arguments.topology);
  ZQ_TRY(const Topology topology, told);
  const std::set<std::string> only(arguments.only.begin(), arguments.only.end());
  const Facts nothing;
  ZQ_CHECK(run_checks({.cluster = cluster, .facts = nothing, .topology = topology}, only));

  std::optional<Testbed> testbed;
  if (cluster.testbed) {
    auto running = Testbed::open(cluster);
    if (!running && running.error().code == ErrorCode::kNotFound) {
      return fail(ErrorCode::kInput,
                  "the testbed '{}' is not up, so that its agents cannot be asked; start it with: "
                  "zonequake testbed up --cluster {}",
                  cluster.name, cluster.path);
    }
    ZQ_TRY(Testbed opened, std::move(running));
    testbed.emplace(std::move(opened));
  }
  OnlookOptions options;
  options.throughput = arguments.throughput;
  if (arguments.no_paths) options.paths = Nanos{0};
  options.stop = interrupt_token();
  ZQ_TRY(const Facts facts, gather_facts(cluster, testbed ? &*testbed : nullptr, options));
  ZQ_TRY(const CheckReport report, run_checks({.cluster = cluster,
                                               .facts = facts,
                                               .topology = topology,
                                               .throughput_asked = arguments.throughput},
                                              only));
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  fmt::print("{}", arguments.json ? checks_json(report, cluster, facts)
                                  : render_checks(report, cluster, facts, terminal,
                                                  wants_color(STDOUT_FILENO)));
  return exit_code_of(report);
}

}  // namespace

void add_check_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<CheckArguments>();
  CLI::App* check = app.add_subcommand(
      "check", "Check a cluster against the multi-datacenter page's recommendations");
  check->footer(
      "No fault is ever armed: systems are asked what they are, ports are tried, and a few seconds "
      "of\n"
      "probes measure the paths.\n"
      "Exit code: 0 all passed or not applicable, 1 a check failed, 2 something could not be told, "
      "64 bad\n"
      "input, 70 internal error.");
  check->add_option("--cluster,-c", arguments->cluster, "Cluster file")->required();
  check->add_option("--topology", arguments->topology,
                    "T1 to T4, instead of what the cluster file's masters say");
  check->add_option("--only", arguments->only, "Only these checks, like P-04");
  check->add_flag("--throughput", arguments->throughput,
                  "Measure the throughput between zones too: 3 s at full speed for each pair");
  check->add_flag("--no-paths", arguments->no_paths,
                  "Send no path probes, which attach a gate that lets everything pass");
  check->add_flag("--json", arguments->json, "As JSON");
  check->callback([arguments, &exit_code] {
    const auto code = check_cluster(*arguments);
    exit_code = code ? *code : report_error(code.error());
  });
}

}  // namespace zq
