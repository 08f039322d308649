// The agent's binary as a child process.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/integration/support/netns_fixture.h"

namespace zq::test {

inline std::string read_file(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// A child process whose output goes to a file. Killed and reaped with its object.
class Child {
 public:
  Child(std::vector<std::string> argv, const std::string& log) : log_(log) {
    std::vector<char*> raw;
    for (auto& argument : argv) raw.push_back(argument.data());
    raw.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    const int error = ::posix_spawnp(&pid_, raw[0], &actions, nullptr, raw.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) throw std::runtime_error(argv[0] + ": " + std::strerror(error));
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ <= 0) return;
    signal(SIGCONT);
    signal(SIGKILL);
    (void)wait();
  }
  void signal(int number) const { (void)::kill(pid_, number); }
  // The exit code, or 128 + the signal that ended it.
  int wait() {
    int status = 0;
    (void)::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] std::string output() const { return read_file(log_); }

 private:
  pid_t pid_ = -1;
  std::string log_;
};

inline const std::string kAgent = ZQ_BIN_DIR "/zonequake-agent";

// Runs the agent's command to its end.
struct Finished {
  int code = 0;
  std::string output;
};
inline Finished run_agent(std::vector<std::string> arguments,
                          std::vector<std::string> through = {}) {
  const TempDir dir;
  through.push_back(kAgent);
  through.insert(through.end(), arguments.begin(), arguments.end());
  Child child(through, dir.path() + "/log");
  const int code = child.wait();
  return {code, child.output()};
}

}  // namespace zq::test
