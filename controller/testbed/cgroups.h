// The cgroups of a testbed. Ours are in the cgroup2 hierarchy: every process starts in one, so that
// all of a node's processes, whatever they forked, can be killed by one write. Container runtimes
// put cgroups of theirs below ours in every hierarchy; those are removed with ours.
#pragma once

#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/time.h"

namespace zq::testbed {

// Where cgroup2 is mounted: /sys/fs/cgroup, or /sys/fs/cgroup/unified beside cgroup1. kKernel when
// it is not, or when this kernel cannot kill a cgroup (before Linux 5.14).
Result<std::string> cgroup2_root();

// `path` is relative to the hierarchy (layout.h). Returns the absolute path.
Result<std::string> create_cgroup(const std::string& path);

// SIGKILL to everything in these and below, without waiting in between; then waits until all are
// empty. Missing cgroups are skipped.
Status kill_cgroups(const std::vector<std::string>& paths, Nanos patience);

// Processes in the cgroup and below, in the cgroup2 hierarchy.
std::vector<int> cgroup_processes(const std::string& path);

// Removes the cgroup and everything below it from all hierarchies.
Status remove_cgroups(const std::string& path, Nanos patience);

}  // namespace zq::testbed
