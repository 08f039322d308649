#include "controller/testbed/state.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <thread>

#include "agent/base/time.h"
#include "controller/testbed/files.h"

namespace zq::testbed {
namespace {

constexpr int kVersion = 1;
// A holder that was killed while it started a process leaves the lock to that one until its exec.
constexpr auto kPatience = std::chrono::seconds(2);

nlohmann::json launches_to_json(const std::vector<Launch>& launches) {
  auto list = nlohmann::json::array();
  for (const Launch& launch : launches) list.push_back(to_json(launch));
  return list;
}

Result<std::vector<Launch>> launches_from_json(const nlohmann::json& list) {
  std::vector<Launch> launches;
  for (const auto& entry : list) {
    ZQ_TRY(Launch launch, launch_from_json(entry));
    launches.push_back(std::move(launch));
  }
  return launches;
}

}  // namespace

Status save_state(const State& state) {
  nlohmann::json json{{"version", kVersion},
                      {"cluster", state.cluster},
                      {"complete", state.complete},
                      {"netns", state.netns},
                      {"agents", launches_to_json(state.agents)},
                      {"launches", launches_to_json(state.launches)}};
  if (state.environment) json["environment"] = to_json(*state.environment);
  return write_file(Layout{state.cluster}.state_file(), json.dump(1) + "\n");
}

Result<State> load_state(const std::string& cluster) {
  const Layout layout{cluster};
  if (!path_exists(layout.run_dir())) {
    return fail(ErrorCode::kNotFound,
                "no testbed of cluster {} is up; start it: zonequake testbed up", cluster);
  }
  State state;
  state.cluster = cluster;
  const auto text = read_file(layout.state_file());
  if (!text && text.error().code == ErrorCode::kNotFound) return state;
  if (!text) return tl::unexpected(text.error());
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  try {
    if (json.at("version") != kVersion) {
      return fail(ErrorCode::kInternal, "{} was written by another version of zonequake",
                  layout.state_file());
    }
    json.at("complete").get_to(state.complete);
    json.at("netns").get_to(state.netns);
    if (const auto environment = json.find("environment"); environment != json.end()) {
      ZQ_TRY(state.environment, launch_from_json(*environment));
    }
    ZQ_TRY(state.agents, launches_from_json(json.at("agents")));
    ZQ_TRY(state.launches, launches_from_json(json.at("launches")));
  } catch (const nlohmann::json::exception& error) {
    return fail(ErrorCode::kInternal, "{} is damaged: {}", layout.state_file(), error.what());
  }
  return state;
}

Result<StateLock> StateLock::take(const std::string& cluster, bool create) {
  const std::string path = Layout{cluster}.run_dir();
  const MonoTime deadline = mono_now() + kPatience;
  for (;;) {
    if (create) ZQ_CHECK(make_directories(path));
    UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory && errno == ENOENT) {
      if (create) continue;  // removed in between
      return fail(ErrorCode::kNotFound, "no testbed of cluster {} is up", cluster);
    }
    if (!directory) return fail_errno(errno, fmt::format("opening {}", path));
    if (::flock(directory.get(), LOCK_EX | LOCK_NB) != 0) {
      if (mono_now() < deadline) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        continue;
      }
      return fail(ErrorCode::kExists,
                  "another zonequake is starting or removing the testbed {} at this moment; wait "
                  "for it or stop it",
                  cluster);
    }
    // It may have been removed, and made anew, before we had the lock.
    struct stat locked {};
    struct stat current {};
    if (::fstat(directory.get(), &locked) == 0 && ::stat(path.c_str(), &current) == 0 &&
        locked.st_ino == current.st_ino && locked.st_dev == current.st_dev) {
      return StateLock(std::move(directory));
    }
  }
}

}  // namespace zq::testbed
