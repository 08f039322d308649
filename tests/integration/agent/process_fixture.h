// Cgroups with processes of a test's own.
#pragma once

#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "agent/process_cgroup.h"
#include "tests/integration/agent/agent_process.h"

namespace zq::test {

// Below the root of cgroup 2. With it go its children and every process inside.
class TestCgroup {
 public:
  TestCgroup() : name_(unique_name("zqt")) {
    if (::mkdir(directory().c_str(), 0755) != 0) throw std::runtime_error("mkdir " + directory());
  }
  TestCgroup(const TestCgroup&) = delete;
  TestCgroup& operator=(const TestCgroup&) = delete;
  ~TestCgroup() {
    write("cgroup.kill", "1");
    write("cgroup.freeze", "0");
    (void)wait_until([&] { return remove(directory()); });
  }

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::string directory(const std::string& child = "") const {
    return value_of(cgroup2_mount()) + "/" + name_ + (child.empty() ? "" : "/" + child);
  }
  void write(const std::string& file, const std::string& text,
             const std::string& child = "") const {
    std::ofstream(directory(child) + "/" + file) << text;
  }
  // Moves a process in; the child cgroup is made.
  void add(pid_t pid, const std::string& child = "") const {
    std::filesystem::create_directories(directory(child));
    write("cgroup.procs", std::to_string(pid), child);
  }
  [[nodiscard]] std::string read(const std::string& file) const {
    return read_file(directory() + "/" + file);
  }
  [[nodiscard]] bool frozen() const {
    return read("cgroup.events").find("frozen 1") != std::string::npos;
  }
  [[nodiscard]] std::size_t processes() const {
    return value_of(ProcessCgroup::find(name_)).processes().size();
  }

 private:
  static bool remove(const std::string& directory) {
    std::error_code code;
    for (const auto& entry : std::filesystem::directory_iterator(directory, code)) {
      if (entry.is_directory()) remove(entry.path());
    }
    return ::rmdir(directory.c_str()) == 0 || errno == ENOENT;
  }
  std::string name_;
};

// A process that writes a line every 5 ms, so that a test sees whether it runs.
class Ticker {
 public:
  explicit Ticker(const std::string& prelude = "")
      : child_({"sh", "-c", prelude + "while :; do echo; sleep 0.005; done"}, path()) {}

  [[nodiscard]] Child& process() { return child_; }
  [[nodiscard]] std::uintmax_t ticks() const { return std::filesystem::file_size(path()); }
  [[nodiscard]] bool runs_within(std::chrono::milliseconds time) const {
    const auto before = ticks();
    return wait_until([&] { return ticks() > before + 1; }, time);
  }
  [[nodiscard]] std::string output() const { return read_file(path()); }

 private:
  [[nodiscard]] std::string path() const { return dir_.path() + "/ticks"; }
  TempDir dir_;
  Child child_;
};

}  // namespace zq::test
