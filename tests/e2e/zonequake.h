// Drives the real `zonequake` command on a testbed of its own, as a user would, and reads what it
// left in the store. For tests that need root.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "results/store.h"

namespace zq::e2e {

struct Finished {
  int exit_code = -1;  // 128 + signal when killed
  std::string out;
  std::string err;
};

// A program that runs; killed and reaped when the object goes.
class Running {
 public:
  explicit Running(const std::vector<std::string>& argv);
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running();

  [[nodiscard]] pid_t pid() const { return pid_; }
  void signal(int number) const;
  // Everything printed so far, both streams in one.
  [[nodiscard]] std::string output() const;
  // Waits until the output holds the text; false when `within` is over or the program has ended.
  bool wait_for_output(const std::string& text, std::chrono::seconds within);
  // Kills the program when `within` is over.
  Finished wait(std::chrono::seconds within);

 private:
  pid_t pid_ = -1;
  std::string out_path_, err_path_;
};

Finished run_to_end(const std::vector<std::string>& argv, std::chrono::seconds within);
std::string zonequake();  // the built command
std::string source_dir();

// A folder and a cluster name of its own; whatever the test left up is taken down at the end.
class Workspace {
 public:
  // `cluster` is a file of experiments/clusters; it is copied under a unique name. `edit` may
  // change the text before it is written.
  explicit Workspace(const std::string& cluster,
                     const std::function<void(std::string&)>& edit = nullptr);
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  ~Workspace();

  [[nodiscard]] const std::string& cluster_file() const { return cluster_file_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::string db() const { return dir_ + "/results.db"; }
  [[nodiscard]] std::string file(const std::string& name, const std::string& text) const;
  [[nodiscard]] std::string netns(const std::string& node) const {
    return "zq-" + name_ + "-" + node;
  }
  [[nodiscard]] std::string node_dir(const std::string& node) const;
  // `zonequake run EXPERIMENT --cluster ... --testbed --db ...` plus `more`.
  [[nodiscard]] std::vector<std::string> run_command(
      const std::string& experiment, const std::vector<std::string>& more = {}) const;
  [[nodiscard]] Store store() const;
  // Namespaces, mounts, processes, cgroups and folders that still carry this workspace's name, and
  // the gate's programs that were loaded since it began and that no living process answers for
  // (those of tests that run beside this one have their agents). The kernel frees programs a moment
  // after their last filter, so this waits up to 2 s for them.
  [[nodiscard]] std::vector<std::string> leftovers() const;
  // Pid of the node's agent, from the process table.
  [[nodiscard]] pid_t agent_pid(const std::string& node) const;

 private:
  std::set<std::uint32_t> programs_before_;  // before anything else: what others had loaded
  std::string name_, dir_, cluster_file_;
};

// What the store answered; a test that gets an error instead has failed.
template <class T>
T value_of(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(*result);
}

// Polls until `condition` holds.
bool eventually(std::chrono::seconds within, const std::function<bool()>& condition);

}  // namespace zq::e2e
