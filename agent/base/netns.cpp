#include "agent/base/netns.h"

#include <fcntl.h>
#include <sched.h>

#include <cerrno>
#include <thread>

namespace zq {

Result<UniqueFd> open_netns(const std::string& name_or_path) {
  const std::string path =
      name_or_path.find('/') == std::string::npos ? "/run/netns/" + name_or_path : name_or_path;
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, fmt::format("opening network namespace {}", path));
  return fd;
}

Status in_netns(int netns_fd, const std::function<Status()>& work) {
  Status status;
  std::thread thread([&] {
    if (::setns(netns_fd, CLONE_NEWNET) != 0) {
      status = fail_errno(errno, "entering a network namespace");
    } else {
      status = work();
    }
  });
  thread.join();
  return status;
}

}  // namespace zq
