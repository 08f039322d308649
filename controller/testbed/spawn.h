// Starting processes inside a node: in its network namespace, in a cgroup of ours from its first
// instant on, cut off from our terminal and signals.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/time.h"

namespace zq::testbed {

// A process for ever: PIDs are used again, but not with the same start time.
struct Identity {
  pid_t pid = 0;
  std::uint64_t start_ticks = 0;  // since boot, from /proc/PID/stat
};
// kNotFound when there is no such process or it has exited (a zombie is not alive).
Result<Identity> identity_of(pid_t pid);
[[nodiscard]] bool is_alive(const Identity& identity);
// "PID TICKS" in a file, as NODE_DIR/NAME.pid has it.
Status write_identity(const std::string& path, const Identity& identity);
Result<Identity> read_identity(const std::string& path);

struct SpawnRequest {
  std::vector<std::string> argv;  // the program by absolute path
  std::vector<std::string> env;   // "NAME=value", the whole environment
  std::string netns;              // name under /run/netns; empty: the caller's
  std::string cgroup;             // below the cgroup2 root; is made if needed; empty: the caller's
  std::string directory;          // to start in; empty: the caller's
  // Files that take the output, appended to. Empty: the caller's own stdin, stdout and stderr, and
  // the caller's session, for commands that a user runs by hand.
  std::string output;
  std::string errors;
};

// A started process. It lives on when this object goes.
class Child {
 public:
  Child(Child&&) noexcept;
  Child& operator=(Child&&) noexcept;
  ~Child();

  [[nodiscard]] const Identity& identity() const { return identity_; }
  // The exit code (128 + N after signal N) once it has ended; reaps it.
  Result<std::optional<int>> poll();
  // Polls until the deadline; nothing if it is still running then.
  Result<std::optional<int>> wait_until(MonoTime deadline);
  // SIGKILL to it and to what it started, if it has a session of its own (`output` was given).
  void kill_session();

 private:
  friend Result<Child> spawn(const SpawnRequest& request);
  struct Impl;
  explicit Child(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
  Identity identity_;
};

// kNotFound when the program does not exist. May be called from any thread.
Result<Child> spawn(const SpawnRequest& request);

// Waits until a killed process is gone, and collects its exit status if it is a child of this one,
// so that it does not stay a zombie. kTimeout if it is still there then.
Status await_death(const Identity& identity, Nanos patience);

}  // namespace zq::testbed
