#include "controller/cli/testbed_command.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "controller/cli/exit_code.h"
#include "controller/cli/inputs.h"
#include "controller/cli/interrupt.h"
#include "controller/testbed/testbed.h"
#include "experiments/cluster.h"

namespace zq {
namespace {

struct TestbedArguments {
  std::string cluster, name, agent, bin_dir, node;
  std::vector<std::string> command;
  bool all = false, json = false;
};

Status check_root() {
  if (::geteuid() == 0) return {};
  return fail(ErrorCode::kInput, "a testbed makes network namespaces, which takes root; try sudo");
}

Result<std::string> agent_binary(const std::string& given) {
  std::error_code code;
  if (!given.empty()) {
    const auto path = std::filesystem::absolute(given, code);
    if (std::filesystem::exists(path, code)) return path.string();
    return fail(ErrorCode::kInput, "--agent: {} does not exist", given);
  }
  const auto path =
      std::filesystem::read_symlink("/proc/self/exe", code).parent_path() / "zonequake-agent";
  if (std::filesystem::exists(path, code)) return path.string();
  return fail(ErrorCode::kInput, "{} does not exist; build zonequake-agent, or say --agent PATH",
              path.string());
}

// The cluster's testbed, or the one of that name.
Result<Testbed> open_testbed(const TestbedArguments& arguments) {
  ZQ_TRY(const Cluster cluster, load_cluster(arguments.cluster));
  return Testbed::open(cluster);
}

Result<int> bring_up(const TestbedArguments& arguments) {
  ZQ_CHECK(check_root());
  ZQ_TRY(const Cluster cluster, load_cluster(arguments.cluster));
  TestbedOptions options;
  ZQ_TRY(options.agent_binary, agent_binary(arguments.agent));
  options.bin_dir = arguments.bin_dir;
  options.stop = interrupt_token();
  options.progress = [](const std::string& line) {
    fmt::print("{}\n", line);
    std::fflush(stdout);
  };
  ZQ_TRY(const Testbed testbed, Testbed::up(cluster, options));
  return kExitPassed;
}

Result<int> take_down(const TestbedArguments& arguments) {
  ZQ_CHECK(check_root());
  std::vector<std::string> names;
  if (arguments.all) {
    ZQ_TRY(names, Testbed::names());
  } else if (!arguments.name.empty()) {
    names = {arguments.name};
  } else if (!arguments.cluster.empty()) {
    ZQ_TRY(const Cluster cluster, load_cluster(arguments.cluster));
    names = {cluster.name};
  } else {
    return fail(ErrorCode::kInput, "which testbed? say --cluster FILE, --name NAME or --all");
  }
  Status first_error;
  for (const std::string& name : names) {
    const Status status = Testbed::down_by_name(name);
    if (status) {
      fmt::print("{} is down\n", name);
    } else if (first_error) {
      first_error = status;
    } else {
      first_error.error().message += "\n" + status.error().message;
    }
  }
  ZQ_CHECK(first_error);
  return kExitPassed;
}

Result<int> list_testbeds(bool json) {
  ZQ_TRY(const auto names, Testbed::names());
  if (json) {
    fmt::print("{}\n", nlohmann::json{{"testbeds", names}}.dump(2));
  } else if (names.empty()) {
    fmt::print("no testbed is up\n");
  } else {
    for (const std::string& name : names) fmt::print("{}\n", name);
  }
  return kExitPassed;
}

Result<int> show_status(const TestbedArguments& arguments) {
  if (arguments.cluster.empty()) return list_testbeds(arguments.json);
  ZQ_TRY(const Testbed testbed, open_testbed(arguments));
  ZQ_TRY(const auto processes, testbed.status());
  ZQ_TRY(const auto environment, testbed.environment());
  const bool all_alive = std::ranges::all_of(processes, [](const auto& one) { return one.alive; });
  if (arguments.json) {
    auto list = nlohmann::json::array();
    for (const auto& process : processes) {
      list.push_back({{"node", process.node},
                      {"name", process.name},
                      {"pid", process.pid},
                      {"alive", process.alive},
                      {"netns", testbed.netns(process.node)},
                      {"directory", testbed.node_dir(process.node)}});
    }
    const nlohmann::json document{
        {"processes", list}, {"environment", environment}, {"all_alive", all_alive}};
    fmt::print("{}\n", document.dump(2));
  } else {
    fmt::print("{:<16} {:<16} {:>8}  STATE\n", "NODE", "PROCESS", "PID");
    for (const auto& process : processes) {
      fmt::print("{:<16} {:<16} {:>8}  {}\n", process.node, process.name, process.pid,
                 process.alive ? "running" : "dead");
    }
    for (const std::string& link : environment) fmt::print("environment: {}\n", link);
  }
  return all_alive ? kExitPassed : kExitFailed;
}

Result<int> execute(const TestbedArguments& arguments) {
  ZQ_CHECK(check_root());
  ZQ_TRY(const Testbed testbed, open_testbed(arguments));
  return testbed.exec(arguments.node, arguments.command);
}

}  // namespace

void add_testbed_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<TestbedArguments>();
  CLI::App* testbed =
      app.add_subcommand("testbed", "Clusters on this machine, in network namespaces");
  testbed->require_subcommand(1);
  const auto runs = [arguments, &exit_code](CLI::App* command, auto work) {
    command->callback([arguments, &exit_code, work] {
      const auto code = work(*arguments);
      exit_code = code ? *code : report_error(code.error());
    });
  };

  CLI::App* up = testbed->add_subcommand("up", "Build a cluster and start its processes");
  up->footer(
      "Takes root. Ctrl-C takes down what was built so far and exits with 3.\n"
      "Exit code: 0 up, 3 stopped, 64 bad input, 70 internal error.");
  up->add_option("--cluster,-c", arguments->cluster, "Cluster file with a [testbed]")->required();
  up->add_option("--agent", arguments->agent,
                 "The agent's binary (default: zonequake-agent beside zonequake)");
  up->add_option(
      "--bin-dir", arguments->bin_dir,
      "Where programs that the recipe names (mesos-master ...) are looked for before PATH");
  runs(up, bring_up);

  CLI::App* down = testbed->add_subcommand("down", "Remove a testbed and all that belongs to it");
  auto* by_file = down->add_option("--cluster,-c", arguments->cluster, "Cluster file");
  auto* by_name = down->add_option("--name", arguments->name, "The cluster's name");
  auto* every = down->add_flag("--all", arguments->all, "Every testbed on this machine");
  by_file->excludes(by_name)->excludes(every);
  by_name->excludes(every);
  down->footer("Takes root, and one of --cluster, --name and --all.");
  runs(down, take_down);

  CLI::App* status =
      testbed->add_subcommand("status", "Show the processes of a testbed, or list the testbeds");
  status->footer(
      "Without a cluster file, lists the testbeds.\n"
      "Exit code: 0 all run, 1 a process is dead, 64 bad input, 70 internal error.");
  status->add_option("--cluster,-c", arguments->cluster, "Cluster file with a [testbed]");
  status->add_flag("--json", arguments->json, "As JSON");
  runs(status, [](const TestbedArguments& given) { return show_status(given); });

  CLI::App* exec = testbed->add_subcommand("exec", "Run a command in a node's network namespace");
  exec->footer(
      "Takes root. Example: zonequake testbed exec -c FILE m1 -- ping -c 1 10.66.2.1\n"
      "The command finds ZQ_NODE and ZQ_DIR, the node's directory, in its environment.\n"
      "Its exit code is passed on.");
  exec->add_option("--cluster,-c", arguments->cluster, "Cluster file with a [testbed]")->required();
  exec->add_option("node", arguments->node, "Name of the node")->required();
  exec->add_option("command", arguments->command, "Program and arguments, after --")->required();
  runs(exec, execute);
}

}  // namespace zq
