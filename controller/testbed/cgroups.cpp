#include "controller/testbed/cgroups.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "agent/base/unique_fd.h"
#include "controller/testbed/files.h"

namespace zq::testbed {
namespace {

namespace fs = std::filesystem;

constexpr auto kPoll = std::chrono::milliseconds(5);

struct Hierarchy {
  std::string mount_point;
  bool version2 = false;
};

std::vector<Hierarchy> hierarchies() {
  std::vector<Hierarchy> found;
  std::ifstream in("/proc/self/mounts");
  for (std::string line; std::getline(in, line);) {
    std::istringstream fields(line);
    std::string source;
    std::string mount_point;
    std::string type;
    fields >> source >> mount_point >> type;
    if (type == "cgroup" || type == "cgroup2") found.push_back({mount_point, type == "cgroup2"});
  }
  return found;
}

Status write_control(const std::string& path, std::string_view text) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd || ::write(fd.get(), text.data(), text.size()) < 0) {
    return fail_errno(errno, fmt::format("writing {}", path));
  }
  return {};
}

// "populated 1" in cgroup.events: a live process here or below.
bool is_populated(const std::string& directory) {
  std::ifstream in(directory + "/cgroup.events");
  for (std::string key, value; in >> key >> value;) {
    if (key == "populated") return value == "1";
  }
  return false;
}

void collect(const std::string& directory, std::vector<int>& pids) {
  std::ifstream in(directory + "/cgroup.procs");
  for (int pid = 0; in >> pid;) pids.push_back(pid);
  std::error_code code;
  for (fs::directory_iterator it(directory, code), end; !code && it != end; it.increment(code)) {
    if (it->is_directory(code)) collect(it->path(), pids);
  }
}

// rmdir from the leaves up: a cgroup's files cannot be unlinked, only the directories.
Status remove_below(const std::string& directory) {
  std::error_code code;
  std::vector<std::string> children;
  for (fs::directory_iterator it(directory, code), end; !code && it != end; it.increment(code)) {
    std::error_code ignored;
    if (it->is_directory(ignored)) children.push_back(it->path());
  }
  for (const std::string& child : children) ZQ_CHECK(remove_below(child));
  if (::rmdir(directory.c_str()) == 0 || errno == ENOENT) return {};
  return fail_errno(errno, fmt::format("removing cgroup {}", directory));
}

}  // namespace

Result<std::string> cgroup2_root() {
  for (const Hierarchy& hierarchy : hierarchies()) {
    if (hierarchy.version2) return hierarchy.mount_point;
  }
  return fail(ErrorCode::kKernel,
              "no cgroup2 hierarchy is mounted; try: mount -t cgroup2 none /sys/fs/cgroup");
}

Result<std::string> create_cgroup(const std::string& path) {
  ZQ_TRY(const std::string root, cgroup2_root());
  const std::string directory = root + "/" + path;
  ZQ_CHECK(make_directories(directory));
  if (!path_exists(directory + "/cgroup.kill")) {
    return fail(ErrorCode::kKernel, "{} has no cgroup.kill; a testbed needs Linux 5.14 or later",
                directory);
  }
  return directory;
}

Status kill_cgroups(const std::vector<std::string>& paths, Nanos patience) {
  ZQ_TRY(const std::string root, cgroup2_root());
  std::vector<std::string> present;
  for (const std::string& path : paths) {
    const std::string directory = fmt::format("{}/{}", root, path);
    if (!path_exists(directory)) continue;
    ZQ_CHECK(write_control(directory + "/cgroup.kill", "1"));
    present.push_back(directory);
  }
  const MonoTime deadline = mono_now() + patience;
  for (const std::string& directory : present) {
    while (is_populated(directory)) {
      if (mono_now() > deadline) {
        std::vector<int> pids;
        collect(directory, pids);
        return fail(ErrorCode::kTimeout, "processes {} do not die within {} of SIGKILL",
                    fmt::join(pids, ", "), format_duration(patience));
      }
      // One that joined while the others were dying, between fork and exec, is caught here.
      ZQ_CHECK(write_control(directory + "/cgroup.kill", "1"));
      std::this_thread::sleep_for(kPoll);
    }
  }
  return {};
}

std::vector<int> cgroup_processes(const std::string& path) {
  std::vector<int> pids;
  if (const auto root = cgroup2_root()) collect(*root + "/" + path, pids);
  return pids;
}

Status remove_cgroups(const std::string& path, Nanos patience) {
  const MonoTime deadline = mono_now() + patience;
  for (const Hierarchy& hierarchy : hierarchies()) {
    const std::string directory = hierarchy.mount_point + "/" + path;
    if (!path_exists(directory)) continue;
    // Busy for a moment after the last process died.
    for (Status status = remove_below(directory); !status; status = remove_below(directory)) {
      if (mono_now() > deadline) return status;
      std::this_thread::sleep_for(kPoll);
    }
    remove_if_empty(fs::path(directory).parent_path());
  }
  return {};
}

}  // namespace zq::testbed
