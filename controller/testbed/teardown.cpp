#include "controller/testbed/teardown.h"

#include <sys/stat.h>

#include <filesystem>
#include <map>

#include "controller/testbed/cgroups.h"
#include "controller/testbed/files.h"
#include "controller/testbed/network.h"
#include "controller/testbed/spawn.h"

namespace zq::testbed {
namespace {

constexpr auto kPatience = std::chrono::seconds(15);
constexpr auto kAgentRest = std::chrono::seconds(2);

// Collects errors: one must not keep the next thing from being removed.
class Problems {
 public:
  void note(const Status& status) {
    if (!status) add(status.error().message);
  }
  void add(std::string message) { messages_.push_back(std::move(message)); }
  [[nodiscard]] Status status(const std::string& cluster) const {
    if (messages_.empty()) return {};
    return fail(ErrorCode::kKernel, "the testbed {} is not wholly removed: {}", cluster,
                fmt::join(messages_, "; "));
  }
  [[nodiscard]] bool empty() const { return messages_.empty(); }

 private:
  std::vector<std::string> messages_;
};

// Processes of others in our network namespaces keep these alive without a name: say whose. They
// must be looked for while the names are still there.
std::vector<std::string> strangers_in(const std::vector<std::string>& netns) {
  std::map<std::pair<dev_t, ino_t>, std::string> ours;
  for (const std::string& name : netns) {
    struct stat info {};
    if (::stat(("/run/netns/" + name).c_str(), &info) == 0) {
      ours[{info.st_dev, info.st_ino}] = name;
    }
  }
  std::vector<std::string> found;
  if (ours.empty()) return found;
  for (const std::string& entry : list_directory("/proc")) {
    struct stat info {};
    if (entry.find_first_not_of("0123456789") != std::string::npos) continue;
    if (::stat(fmt::format("/proc/{}/ns/net", entry).c_str(), &info) != 0) continue;
    const auto match = ours.find({info.st_dev, info.st_ino});
    if (match == ours.end()) continue;
    auto command = read_file(fmt::format("/proc/{}/comm", entry)).value_or("?");
    if (command.ends_with('\n')) command.pop_back();
    found.push_back(
        fmt::format("process {} ({}), which the testbed did not start, is still in "
                    "network namespace {}; end it",
                    entry, command, match->second));
  }
  return found;
}

void await_launches(const Layout& layout, const std::vector<Launch>& launches, Problems& problems) {
  for (const Launch& launch : launches) {
    const auto identity = read_identity(launch.pid_file(layout));
    if (identity) problems.note(await_death(*identity, kAgentRest));
  }
}

}  // namespace

Status tear_down(const State& state) {
  const Layout layout{state.cluster};
  Problems problems;
  problems.note(kill_cgroups({layout.cgroup()}, kPatience));
  if (state.environment) await_launches(layout, {*state.environment}, problems);
  await_launches(layout, state.agents, problems);
  await_launches(layout, state.launches, problems);
  for (std::string& stranger : strangers_in(state.netns)) problems.add(std::move(stranger));
  problems.note(unmount_below(layout.run_dir()));
  problems.note(unmount_below(layout.data_dir()));
  for (const std::string& name : state.netns) problems.note(remove_netns(name));
  problems.note(remove_cgroups(layout.cgroup(), kPatience));
  problems.note(remove_tree(layout.data_dir()));
  for (const std::string& name : list_directory(layout.run_dir())) {
    const std::string path = layout.run_dir() + "/" + name;
    if (path != layout.state_file()) problems.note(remove_tree(path));
  }
  // Without the state file nobody would find the rest again.
  if (problems.empty()) problems.note(remove_tree(layout.run_dir()));
  release_netns_directory();
  for (const char* root : {kRunRoot, kDataRoot}) {
    remove_if_empty(root);
    remove_if_empty(std::filesystem::path(root).parent_path());
  }
  return problems.status(state.cluster);
}

Status remove_remains(const std::string& cluster) {
  State state;
  state.cluster = cluster;
  return tear_down(state);
}

}  // namespace zq::testbed
