// A cgroup of processes that a fault is about, in the cgroup-2 hierarchy: /sys/fs/cgroup, or
// /sys/fs/cgroup/unified beside cgroup-1.
#pragma once

#include <string>
#include <vector>

#include "agent/base/error.h"

namespace zq {

class ProcessCgroup {
 public:
  // `name` is the path below the root, with or without a slash in front. kInput: the name is none
  // (empty, "..", ...). kRefused: the root, a cgroup that this process or process 1 is in or
  // below, or one that does not exist. kKernel: no cgroup-2 hierarchy is mounted.
  static Result<ProcessCgroup> find(const std::string& name);
  // The same without looking whether it exists; returns the name without superfluous slashes.
  static Result<std::string> check_name(const std::string& name);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] bool exists() const;
  // Processes in it and below. Those of other PID namespaces are not listed.
  [[nodiscard]] std::vector<int> processes() const;
  // Whether a live process is in it or below.
  [[nodiscard]] bool populated() const;

  // SIGKILL to all of them and to what they fork meanwhile; does not wait until they are gone.
  [[nodiscard]] Status kill() const;
  // SIGTERM to each.
  [[nodiscard]] Status terminate() const;
  // Asks for it; see frozen() for when all of them stand still.
  [[nodiscard]] Status freeze(bool on) const;
  [[nodiscard]] bool frozen() const;
  // Whether somebody has asked for this cgroup itself to be frozen.
  [[nodiscard]] bool freeze_requested() const;

 private:
  ProcessCgroup(std::string name, std::string directory)
      : name_(std::move(name)), directory_(std::move(directory)) {}
  [[nodiscard]] bool event(const std::string& key) const;

  std::string name_;       // without a slash in front
  std::string directory_;  // absolute
};

// Where cgroup 2 is mounted.
Result<std::string> cgroup2_mount();
// Makes a cgroup and removes it again: what the freezer needs is there and may be used.
Status try_freezer();

}  // namespace zq
