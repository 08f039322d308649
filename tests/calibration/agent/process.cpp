#include "tests/calibration/agent/process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "controller/systems/json.h"

namespace zq::calibration {

using nlohmann::json;

namespace {

constexpr const char* kPath = "PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin";

// Field 22 of /proc/PID/stat; 0 when there is no such process, or only its remains.
std::uint64_t start_time(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  // The name, in parentheses, can hold anything.
  const auto name_end = text.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(text.substr(name_end + 1));
  std::string state;
  fields >> state;
  if (state == "Z" || state == "X") return 0;
  constexpr int kBetween = 18;  // fields 4 to 21
  std::string skipped;
  for (int i = 0; i < kBetween; ++i) fields >> skipped;
  std::uint64_t ticks = 0;
  fields >> ticks;
  return ticks;
}

struct Plan {
  Plan() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  ~Plan() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
  posix_spawn_file_actions_t actions{};
  posix_spawnattr_t attributes{};
};

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> all;
  for (auto& one : strings) all.push_back(one.data());
  all.push_back(nullptr);
  return all;
}

}  // namespace

Result<ProcessId> start_process(const json& command, const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  const std::string value = json_string(command, {"value"}).value_or("");
  std::vector<std::string> arguments;
  if (json_bool(command, {"shell"}).value_or(true)) {
    arguments = {"/bin/sh", "-c", value};
  } else {
    for (const auto& one : command.value("arguments", json::array())) arguments.push_back(one);
    if (arguments.empty()) arguments.push_back(value);
  }
  std::vector<std::string> environment{kPath, "HOME=" + directory, "MESOS_SANDBOX=" + directory};
  if (const json* const variables = json_at(command, {"environment", "variables"})) {
    for (const auto& one : *variables) {
      environment.push_back(json_string(one, {"name"}).value_or("") + "=" +
                            json_string(one, {"value"}).value_or(""));
    }
  }
  const std::string program = arguments.front() == "/bin/sh" ? arguments.front() : value;
  Plan plan;
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) {
    const std::string path = directory + (stream == STDOUT_FILENO ? "/stdout" : "/stderr");
    posix_spawn_file_actions_addopen(&plan.actions, stream, path.c_str(),
                                     O_WRONLY | O_CREAT | O_APPEND, 0644);
  }
  posix_spawn_file_actions_addopen(&plan.actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  // Our sockets are not its own: it would keep our port beyond our end.
  posix_spawn_file_actions_addclosefrom_np(&plan.actions, STDERR_FILENO + 1);
  sigset_t none;
  sigset_t broken_pipe;
  sigemptyset(&none);
  sigemptyset(&broken_pipe);
  sigaddset(&broken_pipe, SIGPIPE);
  posix_spawnattr_setsigmask(&plan.attributes, &none);
  posix_spawnattr_setsigdefault(&plan.attributes, &broken_pipe);
  posix_spawnattr_setflags(&plan.attributes,
                           POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  ProcessId process;
  const int code = posix_spawnp(&process.pid, program.c_str(), &plan.actions, &plan.attributes,
                                pointers(arguments).data(), pointers(environment).data());
  if (code != 0) return fail_errno(code, "start " + program);
  process.started = start_time(process.pid);
  return process;
}

std::optional<int> ended(const ProcessId& process) {
  int status = 0;
  if (waitpid(process.pid, &status, WNOHANG) == process.pid) return status;
  if (start_time(process.pid) == process.started && process.started != 0) return std::nullopt;
  return -1;
}

void signal_process(const ProcessId& process, int signal) {
  if (process.pid > 1 && start_time(process.pid) == process.started && process.started != 0) {
    ::kill(-process.pid, signal);
  }
}

}  // namespace zq::calibration
