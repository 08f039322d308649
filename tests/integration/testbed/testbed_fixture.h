// Testbeds for tests: clusters of unique names with a recipe of the test's own, taken down however
// the test ends.
#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "agent/base/time.h"
#include "controller/testbed/testbed.h"
#include "experiments/cluster.h"

namespace zq::test {

inline constexpr const char* kAgentBinary = ZQ_BIN_DIR "/zonequake-agent";

inline std::string unique_cluster_name(std::string_view prefix) {
  static std::atomic<int> counter{0};
  return fmt::format("{}-{}-{}", prefix, ::getpid(), ++counter);
}

// A folder under /tmp that goes with its object.
class TemporaryFolder {
 public:
  TemporaryFolder() : path_("/tmp/" + unique_cluster_name("zq-testbed-test")) {
    std::filesystem::create_directories(path_);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ + "/" + name) << text;
    return path_ + "/" + name;
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Takes the testbed of a name down at the end, whatever became of it.
class TakenDown {
 public:
  explicit TakenDown(std::string name) : name_(std::move(name)) {}
  TakenDown(const TakenDown&) = delete;
  TakenDown& operator=(const TakenDown&) = delete;
  ~TakenDown() {
    const Status status = Testbed::down_by_name(name_);
    if (!status) ADD_FAILURE() << status.error().message;
  }

 private:
  std::string name_;
};

// Three zones with one node each (a1, b1, c1), both address families.
inline Cluster three_zones(const std::string& name, const std::string& recipe) {
  Cluster cluster;
  cluster.name = name;
  cluster.path = name + ".toml";
  cluster.regions = {"local"};
  int number = 0;
  for (const char* zone : {"a", "b", "c"}) {
    ++number;
    cluster.zones.push_back({zone, "local", {}});
    Node node;
    node.name = std::string(zone) + "1";
    node.zone = zone;
    node.region = "local";
    node.roles = {"master"};
    node.addresses = {*IpPrefix::parse(fmt::format("10.66.{}.1", number)),
                      *IpPrefix::parse(fmt::format("fd66:{}::1", number))};
    cluster.nodes.push_back(std::move(node));
  }
  cluster.testbed = TestbedSpec{recipe, {}};
  return cluster;
}

// One of the clusters that come with the project, under a name of its own.
inline Cluster shipped_cluster(const std::string& file, const std::string& name) {
  auto cluster = load_cluster(std::string(ZQ_SOURCE_DIR) + "/experiments/clusters/" + file);
  if (!cluster) {
    ADD_FAILURE() << cluster.error().message;
    return {};
  }
  cluster->name = name;
  return std::move(*cluster);
}

inline TestbedOptions quiet_options() {
  TestbedOptions options;
  options.agent_binary = kAgentBinary;
  return options;
}

// Everything of a testbed that this machine shows: namespaces, mounts, cgroups, files, and
// live processes that carry its name in their command line or cgroup.
inline std::vector<std::string> traces_of(const std::string& name) {
  std::vector<std::string> found;
  const auto add_matching_lines = [&](const std::string& file) {
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) {
      if (line.find(name) != std::string::npos) found.push_back(file + ": " + line);
    }
  };
  const auto add_matching_names = [&](const std::string& folder) {
    std::error_code code;
    for (std::filesystem::directory_iterator it(folder, code), end; !code && it != end;
         it.increment(code)) {
      if (it->path().filename().string().find(name) != std::string::npos) {
        found.push_back(it->path());
      }
    }
  };
  add_matching_lines("/proc/self/mountinfo");
  for (const char* folder :
       {"/run/netns", "/run/zonequake/testbed", "/var/lib/zonequake/testbed"}) {
    add_matching_names(folder);
  }
  std::ifstream mounts("/proc/self/mounts");
  for (std::string source, point, type, rest;
       mounts >> source >> point >> type && std::getline(mounts, rest);) {
    if (type.starts_with("cgroup")) add_matching_names(point + "/zonequake");
  }
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string pid = entry.path().filename();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    // A zombie is no process any more, but an entry that its parent, or init, has yet to collect.
    std::ifstream stat(entry.path().string() + "/stat");
    std::string text;
    if (!std::getline(stat, text) || text.find(") Z ") != std::string::npos) continue;
    add_matching_lines(entry.path().string() + "/cmdline");
    add_matching_lines(entry.path().string() + "/cgroup");
  }
  return found;
}

// True as soon as the condition holds, false at the deadline.
template <class Condition>
bool eventually(const Condition& condition, Nanos patience = std::chrono::seconds(10)) {
  const MonoTime deadline = mono_now() + patience;
  while (!condition()) {
    if (mono_now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

}  // namespace zq::test
