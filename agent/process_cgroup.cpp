#include "agent/process_cgroup.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "agent/base/unique_fd.h"

namespace zq {
namespace {

namespace fs = std::filesystem;

Status write_control(const std::string& path, std::string_view text) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd || ::write(fd.get(), text.data(), text.size()) < 0) return fail_errno(errno, path);
  return {};
}

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// The cgroups of a process, below the roots of the hierarchies that systemd and the freezer use.
std::vector<std::string> cgroups_of(const std::string& process) {
  std::vector<std::string> paths;
  std::ifstream file("/proc/" + process + "/cgroup");
  for (std::string line; std::getline(file, line);) {
    for (const std::string_view hierarchy : {"::", ":name=systemd:"}) {
      const auto at = line.find(hierarchy);
      if (at != std::string::npos) paths.push_back(line.substr(at + hierarchy.size()));
    }
  }
  return paths;
}

bool is_inside(const std::string& path, const std::string& name) {
  return path == "/" + name || path.starts_with("/" + name + "/");
}

// "a//b/" -> "a/b".
Result<std::string> normalise(const std::string& name) {
  std::istringstream parts(name);
  std::string result;
  for (std::string part; std::getline(parts, part, '/');) {
    if (part.empty()) continue;
    if (part == "." || part == ".." || part.find('\0') != std::string::npos) {
      return fail(ErrorCode::kInput, "cgroup '{}': '{}' is no part of a cgroup's name", name, part);
    }
    result += (result.empty() ? "" : "/") + part;
  }
  if (result.empty()) {
    return fail(ErrorCode::kRefused,
                "cgroup '{}': the root holds every process of the node, the agent among them; name "
                "a cgroup below it",
                name);
  }
  return result;
}

void collect(const std::string& directory, std::vector<int>& pids) {
  std::ifstream file(directory + "/cgroup.procs");
  for (int pid = 0; file >> pid;) {
    if (pid > 0) pids.push_back(pid);
  }
  std::error_code code;
  for (fs::directory_iterator it(directory, code), end; !code && it != end; it.increment(code)) {
    std::error_code ignored;
    if (it->is_directory(ignored)) collect(it->path(), pids);
  }
}

// A number may have gone to another process since it was listed: the signal goes to the one that
// still is in the cgroup.
void signal_member(int pid, int signal, const std::string& name) {
  const UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!fd) return;
  for (const auto& path : cgroups_of(std::to_string(pid))) {
    if (!is_inside(path, name)) continue;
    (void)::syscall(SYS_pidfd_send_signal, fd.get(), signal, nullptr, 0);
    return;
  }
}

}  // namespace

Result<std::string> cgroup2_mount() {
  std::ifstream mounts("/proc/self/mounts");
  std::string found;
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string source;
    std::string mount_point;
    std::string type;
    fields >> source >> mount_point >> type;
    if (type == "cgroup2") found = mount_point;  // a later one may lie on top of an earlier
  }
  if (!found.empty()) return found;
  return fail(ErrorCode::kKernel,
              "no cgroup-2 hierarchy is mounted, which processes are killed and paused by; mount "
              "one: mount -t cgroup2 none /sys/fs/cgroup/unified");
}

Status try_freezer() {
  ZQ_TRY(const std::string root, cgroup2_mount());
  const std::string directory = fmt::format("{}/zonequake-try-{}", root, ::getpid());
  if (::mkdir(directory.c_str(), 0755) != 0) return fail_errno(errno, directory);
  const bool there = ::access((directory + "/cgroup.freeze").c_str(), W_OK) == 0;
  if (::rmdir(directory.c_str()) != 0) return fail_errno(errno, "removing " + directory);
  if (!there) return fail(ErrorCode::kKernel, "{} has no cgroup.freeze (before Linux 5.2)", root);
  return {};
}

Result<std::string> ProcessCgroup::check_name(const std::string& name) {
  ZQ_TRY(std::string normal, normalise(name));
  for (const auto& [process, who] : {std::pair("self", "the agent"), {"1", "process 1"}}) {
    for (const auto& path : cgroups_of(process)) {
      if (is_inside(path, normal)) {
        return fail(ErrorCode::kRefused,
                    "cgroup '{}' holds {} (in '{}'): a fault there would end the node's control",
                    normal, who, path);
      }
    }
  }
  return normal;
}

Result<ProcessCgroup> ProcessCgroup::find(const std::string& name) {
  ZQ_TRY(const std::string normal, check_name(name));
  ZQ_TRY(const std::string root, cgroup2_mount());
  ProcessCgroup cgroup(normal, root + "/" + normal);
  if (!cgroup.exists()) {
    return fail(ErrorCode::kRefused, "there is no cgroup '{}' below {} on this node", normal, root);
  }
  return cgroup;
}

bool ProcessCgroup::exists() const {
  struct stat info {};
  return ::stat(directory_.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

std::vector<int> ProcessCgroup::processes() const {
  std::vector<int> pids;
  collect(directory_, pids);
  return pids;
}

bool ProcessCgroup::event(const std::string& key) const {
  std::ifstream file(directory_ + "/cgroup.events");
  for (std::string name, value; file >> name >> value;) {
    if (name == key) return value == "1";
  }
  return false;
}

bool ProcessCgroup::populated() const { return event("populated"); }
bool ProcessCgroup::frozen() const { return event("frozen"); }

bool ProcessCgroup::freeze_requested() const {
  return first_line(directory_ + "/cgroup.freeze") == "1";
}

Status ProcessCgroup::freeze(bool on) const {
  return write_control(directory_ + "/cgroup.freeze", on ? "1" : "0");
}

Status ProcessCgroup::kill() const {
  if (const std::string path = directory_ + "/cgroup.kill"; ::access(path.c_str(), F_OK) == 0) {
    return write_control(path, "1");
  }
  // Before Linux 5.14: what is frozen cannot fork away from its signal.
  const bool was_frozen = freeze_requested();
  ZQ_CHECK(freeze(true));
  for (int attempt = 0; attempt < 100 && !frozen(); ++attempt) ::usleep(1000);
  for (const int pid : processes()) signal_member(pid, SIGKILL, name_);
  return was_frozen ? Status{} : freeze(false);
}

Status ProcessCgroup::terminate() const {
  for (const int pid : processes()) signal_member(pid, SIGTERM, name_);
  return {};
}

}  // namespace zq
