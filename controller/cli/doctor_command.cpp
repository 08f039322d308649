#include "controller/cli/doctor_command.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <optional>

#include "controller/cli/exit_code.h"
#include "controller/cli/inputs.h"
#include "controller/fleet/fleet.h"
#include "controller/run/agent_requests.h"
#include "controller/run/diagnosis.h"
#include "controller/testbed/testbed.h"

namespace zq {
namespace {

constexpr Nanos kPatience = std::chrono::seconds(5);
constexpr std::uint32_t kProtocol = 1;

struct DoctorArguments {
  std::string cluster;
  std::string agent;
  bool json = false;
};

Result<int> examine_cluster(const DoctorArguments& arguments) {
  ZQ_TRY(const Cluster cluster, load_cluster(arguments.cluster));
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
  std::vector<AgentEndpoint> endpoints;
  std::vector<std::string> addresses;
  zonequake::DescribeRequest request;
  request.set_protocol(kProtocol);
  for (const Node& node : cluster.nodes) {
    addresses.push_back(agent_address(node, testbed ? &*testbed : nullptr));
    endpoints.push_back({.node = node.name, .address = addresses.back()});
    for (const bool v4 : {true, false}) {
      if (const auto address = node.host(v4)) request.add_peers(to_wire(*address));
    }
  }
  Fleet fleet(std::move(endpoints));
  const auto nodes = diagnose(cluster, addresses, fleet.describe(request, kPatience));
  fmt::print("{}", arguments.json ? diagnosis_json(nodes) : render_diagnosis(nodes));
  bool complete = true;
  for (const NodeDiagnosis& node : nodes) {
    complete = complete && node.problems().empty();
    if (node.error.empty()) continue;
    fmt::print(stderr, "zonequake: {}; is its agent running, and is {} its address?\n", node.error,
               node.address);
  }
  return complete ? kExitPassed : kExitUndecided;
}

// The agent's own words: it knows what it needs, and runs with the caller's rights.
Result<int> examine_this_machine(const DoctorArguments& arguments) {
  std::error_code error;
  if (!std::filesystem::exists(arguments.agent, error)) {
    return fail(ErrorCode::kInput, "{} does not exist; build zonequake-agent, or say --agent PATH",
                arguments.agent);
  }
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child < 0) return fail_errno(errno, "starting " + arguments.agent);
  if (child == 0) {
    ::execl(arguments.agent.c_str(), arguments.agent.c_str(), "describe",
            arguments.json ? "--json" : nullptr, nullptr);
    ::_exit(127);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) == 127) {
    return fail(ErrorCode::kInternal, "{} did not end as it should", arguments.agent);
  }
  return WEXITSTATUS(status);
}

}  // namespace

void add_doctor_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<DoctorArguments>();
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  arguments->agent = (self.parent_path() / "zonequake-agent").string();
  CLI::App* doctor = app.add_subcommand("doctor", "Show what each node can do, and what it lacks");
  doctor->footer(
      "With a cluster file, asks every agent (of a testbed: that is up); without one, looks at "
      "this "
      "machine.\n"
      "Exit code: 0 every experiment can run, 2 something is missing, 64 bad input, 70 internal "
      "error.");
  doctor->add_option("--cluster,-c", arguments->cluster, "Cluster file");
  doctor->add_option("--agent", arguments->agent, "Without a cluster: the agent's binary")
      ->capture_default_str();
  doctor->add_flag("--json", arguments->json, "As JSON");
  doctor->callback([arguments, &exit_code] {
    const auto code =
        arguments->cluster.empty() ? examine_this_machine(*arguments) : examine_cluster(*arguments);
    exit_code = code ? *code : report_error(code.error());
  });
}

}  // namespace zq
