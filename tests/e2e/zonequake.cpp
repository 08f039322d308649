#include "tests/e2e/zonequake.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <thread>

extern char** environ;

namespace zq::e2e {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string unique_name() {
  static int counter = 0;
  return "t" + std::to_string(::getpid()) + "-" + std::to_string(++counter);
}

void replace_first(std::string& text, const std::string& what, const std::string& by) {
  const std::size_t at = text.find(what);
  if (at == std::string::npos) throw std::runtime_error("the cluster file has no " + what);
  text.replace(at, what.size(), by);
}

// Ids of the gate's programs in the kernel, in whatever namespace they are attached.
std::set<std::uint32_t> gate_programs() {
  const Finished shown = run_to_end({"/usr/sbin/bpftool", "prog", "show", "-j"}, seconds(20));
  const auto programs = nlohmann::json::parse(shown.out, nullptr, false);
  if (shown.exit_code != 0 || !programs.is_array()) {
    throw std::runtime_error("bpftool prog show -j: " + shown.out + shown.err);
  }
  std::set<std::uint32_t> ids;
  for (const auto& program : programs) {
    const std::string name = program.value("name", "");
    if (name.starts_with("zq_gate_") || name == "zq_lease_renew")
      ids.insert(program.at("id").get<std::uint32_t>());
  }
  return ids;
}

// Ids of the programs that processes hold open.
std::set<std::uint32_t> held_programs() {
  std::set<std::uint32_t> ids;
  std::error_code error;
  for (const auto& process : fs::directory_iterator("/proc", error)) {
    std::error_code gone;  // processes and descriptors go while this looks
    fs::directory_iterator descriptors(process.path() / "fd", gone), end;
    for (; !gone && descriptors != end; descriptors.increment(gone)) {
      std::error_code closed;
      if (fs::read_symlink(descriptors->path(), closed) != "anon_inode:bpf-prog") continue;
      std::istringstream info(
          read_file(process.path() / "fdinfo" / descriptors->path().filename()));
      for (std::string line; std::getline(info, line);) {
        if (line.starts_with("prog_id:")) {
          ids.insert(static_cast<std::uint32_t>(std::stoul(line.substr(8))));
        }
      }
    }
  }
  return ids;
}

// In all hierarchies, whichever of them are mounted.
void find_cgroups(const std::string& name, std::vector<std::string>& found) {
  std::error_code error;
  fs::recursive_directory_iterator entries("/sys/fs/cgroup", error), end;
  while (!error && entries != end) {
    std::error_code gone;
    if (entries->is_directory(gone) &&
        entries->path().filename().string().find(name) != std::string::npos) {
      found.push_back("cgroup " + entries->path().string());
      entries.disable_recursion_pending();
    }
    entries.increment(error);
  }
}

}  // namespace

std::string zonequake() { return std::string(ZQ_BIN_DIR) + "/zonequake"; }
std::string source_dir() { return ZQ_SOURCE_DIR; }

Running::Running(const std::vector<std::string>& argv) {
  const std::string base = (fs::temp_directory_path() / ("zq-" + unique_name())).string();
  out_path_ = base + ".out";
  err_path_ = base + ".err";
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out_path_.c_str(),
                                   O_CREAT | O_TRUNC | O_WRONLY | O_APPEND, 0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err_path_.c_str(),
                                   O_CREAT | O_TRUNC | O_WRONLY | O_APPEND, 0600);
  const int error = posix_spawn(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error("cannot start " + argv[0]);
}

Running::~Running() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  std::error_code error;
  fs::remove(out_path_, error);
  fs::remove(err_path_, error);
}

void Running::signal(int number) const { ::kill(pid_, number); }

std::string Running::output() const { return read_file(out_path_) + read_file(err_path_); }

bool Running::wait_for_output(const std::string& text, std::chrono::seconds within) {
  bool found = false;
  eventually(within, [&] {
    found = output().find(text) != std::string::npos;
    siginfo_t info{};
    const bool ended =
        ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid == pid_;
    return found || ended;
  });
  return found;
}

Finished Running::wait(std::chrono::seconds within) {
  int status = 0;
  const bool ended = eventually(within, [&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; });
  if (!ended) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, &status, 0);
  }
  pid_ = -1;
  return {.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
          .out = read_file(out_path_),
          .err = read_file(err_path_)};
}

Finished run_to_end(const std::vector<std::string>& argv, std::chrono::seconds within) {
  return Running(argv).wait(within);
}

Workspace::Workspace(const std::string& cluster, const std::function<void(std::string&)>& edit)
    : programs_before_(gate_programs()),
      name_(unique_name()),
      dir_((fs::temp_directory_path() / ("zq-e2e-" + name_)).string()) {
  fs::create_directories(dir_);
  std::string text = read_file(source_dir() + "/experiments/clusters/" + cluster);
  const std::string own = fs::path(cluster).stem().string();
  replace_first(text, "name = \"" + own + "\"", "name = \"" + name_ + "\"");
  replace_first(text, "\"../recipes/", "\"" + source_dir() + "/experiments/recipes/");
  if (edit) edit(text);
  cluster_file_ = file("cluster.toml", text);
}

Workspace::~Workspace() {
  run_to_end({zonequake(), "testbed", "down", "--name", name_}, std::chrono::seconds(60));
  std::error_code error;
  fs::remove_all(dir_, error);
}

std::string Workspace::file(const std::string& name, const std::string& text) const {
  const std::string path = dir_ + "/" + name;
  std::ofstream(path) << text;
  return path;
}

std::string Workspace::node_dir(const std::string& node) const {
  return "/run/zonequake/testbed/" + name_ + "/" + node;
}

std::vector<std::string> Workspace::run_command(const std::string& experiment,
                                                const std::vector<std::string>& more) const {
  std::vector<std::string> argv{zonequake(),   "run",  experiment, "--cluster",
                                cluster_file_, "--db", db(),       "--testbed"};
  argv.insert(argv.end(), more.begin(), more.end());
  return argv;
}

Store Workspace::store() const {
  auto opened = Store::open(db());
  if (!opened) throw std::runtime_error(opened.error().message);
  return std::move(*opened);
}

std::vector<std::string> Workspace::leftovers() const {
  std::vector<std::string> found;
  std::error_code error;
  for (const char* folder :
       {"/run/netns", "/run/zonequake/testbed", "/var/lib/zonequake/testbed"}) {
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      if (entry.path().filename().string().find(name_) != std::string::npos) {
        found.push_back(entry.path().string());
      }
    }
  }
  std::istringstream mounts(read_file("/proc/self/mounts"));
  for (std::string line; std::getline(mounts, line);) {
    if (line.find(name_) != std::string::npos) found.push_back("mount " + line);
  }
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const std::string command = read_file(entry.path().string() + "/cmdline");
    // The test's own children (the command under test) name the folder too, but not the namespaces.
    if (command.find("zq-" + name_ + "-") != std::string::npos ||
        command.find("/testbed/" + name_ + "/") != std::string::npos) {
      found.push_back("process " + entry.path().filename().string());
    }
  }
  find_cgroups(name_, found);
  std::set<std::uint32_t> orphans;
  eventually(seconds(2), [&] {
    // Programs first: one that is loaded and let go in between is then not taken for an orphan.
    orphans = gate_programs();
    for (const auto& others : {programs_before_, held_programs()}) {
      for (const std::uint32_t id : others) orphans.erase(id);
    }
    return orphans.empty();
  });
  for (const std::uint32_t id : orphans) found.push_back("BPF program " + std::to_string(id));
  return found;
}

pid_t Workspace::agent_pid(const std::string& node) const {
  std::error_code error;
  const std::string socket = node_dir(node) + "/agent.sock";
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const std::string command = read_file(entry.path().string() + "/cmdline");
    if (command.find("zonequake-agent") != std::string::npos &&
        command.find(socket) != std::string::npos) {
      return static_cast<pid_t>(std::stol(entry.path().filename().string()));
    }
  }
  return -1;
}

bool eventually(std::chrono::seconds within, const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + within;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return true;
}

}  // namespace zq::e2e
