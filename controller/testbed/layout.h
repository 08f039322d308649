// Where a testbed's things are: directories, namespaces, cgroups. All of it follows from the
// cluster's and the nodes' names.
#pragma once

#include <string>

#include "agent/base/error.h"
#include "experiments/cluster.h"

namespace zq::testbed {

inline constexpr const char* kRunRoot = "/run/zonequake/testbed";
// Container images and logs need a real file system (overlay does not nest on every tmpfs).
inline constexpr const char* kDataRoot = "/var/lib/zonequake/testbed";
inline constexpr const char* kCgroupRoot = "zonequake";
// Stands where a node's name would for what is in the core namespace; no node can have it, as their
// namespaces would be one.
inline constexpr const char* kCoreNode = "core";

struct Layout {
  std::string cluster;

  [[nodiscard]] std::string run_dir() const;
  [[nodiscard]] std::string state_file() const;
  [[nodiscard]] std::string data_dir() const;
  [[nodiscard]] std::string node_dir(const std::string& node) const;
  [[nodiscard]] std::string node_data_dir(const std::string& node) const;
  // Output of the recipe's steps.
  [[nodiscard]] std::string steps_dir() const;

  // Names under /run/netns.
  [[nodiscard]] std::string core_netns() const;
  [[nodiscard]] std::string zone_netns(const std::string& zone) const;
  [[nodiscard]] std::string node_netns(const std::string& node) const;

  // Paths below the root of a cgroup hierarchy, without a leading slash. A node's recipe processes
  // are in children of nodes_cgroup(), its agent is not: killing a node spares the agent.
  [[nodiscard]] std::string cgroup() const;
  [[nodiscard]] std::string node_cgroup(const std::string& node) const;
  [[nodiscard]] std::string agent_cgroup(const std::string& node) const;
  [[nodiscard]] std::string core_cgroup() const;
  [[nodiscard]] std::string steps_cgroup() const;
  [[nodiscard]] std::string exec_cgroup() const;
};

// kInput if a name cannot be part of paths, namespaces, host names and cgroups.
Status check_name(const std::string& what, const std::string& name, const Position& position);
// All names of a cluster, and that no two things would share one.
Status check_names(const Cluster& cluster);

}  // namespace zq::testbed
