// A systemd of the test's own, in a cgroup of its own and with units of its own: a user manager,
// since a system manager must be process 1 and does not talk to other PID namespaces. While it
// lives, DBUS_SYSTEM_BUS_ADDRESS leads to it.
#pragma once

#include <cstdlib>

#include "agent/process_units.h"
#include "tests/integration/agent/process_fixture.h"

namespace zq::test {

class PrivateSystemd {
 public:
  // The unit `name`, a service that runs until it is stopped.
  explicit PrivateSystemd(const std::string& name) {
    std::ofstream(dir_.path() + "/default.target") << "[Unit]\nDefaultDependencies=no\n";
    std::ofstream(dir_.path() + "/" + name) << "[Unit]\nDefaultDependencies=no\n"
                                               "[Service]\nExecStart=/bin/sleep 1000\n";
    std::filesystem::create_directories(dir_.path() + "/run");
    // In a mount namespace: it wants cgroup 2 alone, and a node that was booted by systemd.
    const std::string boot = fmt::format(
        "mount -t cgroup2 none /sys/fs/cgroup && mount -t tmpfs tmpfs /run/systemd && "
        "mkdir /run/systemd/system && exec env XDG_RUNTIME_DIR={0}/run SYSTEMD_UNIT_PATH={0} "
        "HOME={0} /lib/systemd/systemd --user --log-level=warning --unit=default.target",
        dir_.path());
    child_ = std::make_unique<Child>(
        std::vector<std::string>{
            "sh", "-c",
            fmt::format("mkdir -p /run/systemd && echo $$ > {}/cgroup.procs && "
                        "exec unshare --mount sh -c '{}'",
                        cgroup_.directory(), boot)},
        dir_.path() + "/log");
    if (!wait_until([&] { return answers(); }, std::chrono::seconds(20))) {
      throw std::runtime_error("systemd does not answer:\n" + child_->output());
    }
  }
  PrivateSystemd(const PrivateSystemd&) = delete;
  PrivateSystemd& operator=(const PrivateSystemd&) = delete;
  ~PrivateSystemd() { ::unsetenv("DBUS_SYSTEM_BUS_ADDRESS"); }

  [[nodiscard]] Units& units() { return *units_; }

 private:
  bool answers() {
    const std::string socket = dir_.path() + "/run/systemd/private";
    if (::access(socket.c_str(), F_OK) != 0) return false;
    ::setenv("DBUS_SYSTEM_BUS_ADDRESS", ("unix:path=" + socket).c_str(), 1);
    auto units = Units::connect();
    if (units) units_.emplace(std::move(*units));
    return units.has_value();
  }

  TempDir dir_;
  TestCgroup cgroup_;  // ends all of it
  std::unique_ptr<Child> child_;
  std::optional<Units> units_;
};

}  // namespace zq::test
