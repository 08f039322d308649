#include "controller/cli/doctor_command.h"

#include <fcntl.h>
#include <google/protobuf/util/json_util.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <optional>

#include "agent/base/unique_fd.h"
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

// What the agent prints of this machine: it knows what it needs, and runs with the caller's rights.
Result<std::string> ask_agent(const std::string& agent) {
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "making a pipe");
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return fail_errno(errno, "starting " + agent);
  if (child == 0) {
    ::dup2(write_end.get(), STDOUT_FILENO);
    ::execl(agent.c_str(), agent.c_str(), "describe", "--json", nullptr);
    ::_exit(kExitInternal);
  }
  write_end.reset();
  std::string text;
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t got = ::read(read_end.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return text;
  return fail(ErrorCode::kInternal, "{} describe did not succeed", agent);
}

Result<int> examine_this_machine(const DoctorArguments& arguments) {
  std::error_code error;
  if (!std::filesystem::exists(arguments.agent, error)) {
    return fail(ErrorCode::kInput, "{} does not exist; build zonequake-agent, or say --agent PATH",
                arguments.agent);
  }
  ZQ_TRY(const std::string text, ask_agent(arguments.agent));
  NodeDiagnosis node{.node = "this machine", .address = arguments.agent, .error = {}, .reply = {}};
  if (!google::protobuf::util::JsonStringToMessage(text, &node.reply).ok()) {
    return fail(ErrorCode::kInternal,
                "{} describes this machine in an unknown way; is it of the same version?",
                arguments.agent);
  }
  node.reply.set_node(node.node);
  const std::vector<NodeDiagnosis> nodes{node};
  fmt::print("{}", arguments.json ? diagnosis_json(nodes) : render_diagnosis(nodes));
  return node.problems().empty() ? kExitPassed : kExitUndecided;
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
