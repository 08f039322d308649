// Clusters on this machine: regions, zones and nodes as network namespaces from a cluster file,
// with processes from a recipe. State lives in /run/zonequake/testbed/NAME; the processes outlive
// the command that started them; down() leaves nothing.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/time.h"
#include "experiments/cluster.h"

namespace zq {

struct TestbedOptions {
  std::string agent_binary;  // absolute path of zonequake-agent
  std::string bin_dir;       // where recipes' programs are looked for before PATH; may be empty
  std::function<void(const std::string&)> progress;  // one line per step; may be empty
  std::stop_token stop;                              // asked to stop: up() tears down, kCancelled
};

class Testbed {
 public:
  // Builds everything and waits until every process is ready and the recipe's steps are done. On an
  // error, what was made is torn down again. kExists when a testbed of that name is up.
  static Result<Testbed> up(const Cluster& cluster, const TestbedOptions& options);
  // The running testbed of that cluster. kNotFound when there is none.
  static Result<Testbed> open(const Cluster& cluster);
  static Result<std::vector<std::string>> names();  // of running testbeds

  Testbed(Testbed&&) noexcept;
  Testbed& operator=(Testbed&&) noexcept;
  ~Testbed();  // leaves the testbed up

  // Where the node's agent listens: "unix:/run/zonequake/testbed/NAME/NODE/agent.sock".
  [[nodiscard]] std::string agent_endpoint(const std::string& node) const;
  // The node's directory, "{dir}" of recipes and endpoints.
  [[nodiscard]] std::string node_dir(const std::string& node) const;
  [[nodiscard]] std::string netns(const std::string& node) const;  // name under /run/netns

  // SIGKILLs all processes of the nodes' recipe (never their agents), at once.
  Status kill(const std::vector<std::string>& nodes);
  // Starts killed processes again with the same directories; returns when they are spawned (the
  // recipe's readiness is not awaited).
  Status restart(const std::vector<std::string>& nodes);

  struct ProcessInfo {
    std::string node, name;  // the environment of links is a process of "core"
    int pid = 0;
    bool alive = false;
  };
  [[nodiscard]] Result<std::vector<ProcessInfo>> status() const;

  // The links that the testbed was built with, a line each.
  [[nodiscard]] Result<std::vector<std::string>> environment() const;
  // kUnavailable when what keeps the links up has died: packets between the zones pass untouched.
  [[nodiscard]] Status environment_alive() const;
  // The same, and kRefused when the cluster file has other links than the testbed was built with.
  [[nodiscard]] Status check_environment(const Cluster& cluster) const;

  // Runs a command inside a node's network namespace with the caller's terminal; its exit code.
  Result<int> exec(const std::string& node, const std::vector<std::string>& argv) const;

  // Removes processes, mounts, namespaces, cgroups and files. Idempotent.
  Status down();
  // The same by name alone, for when the cluster file is gone or up() was killed half way.
  static Status down_by_name(const std::string& name);

 private:
  struct Impl;
  explicit Testbed(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace zq
