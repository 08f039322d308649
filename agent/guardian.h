// A process beside the agent that does nothing but wait for its death, and then undoes what the
// agent did to processes of the node. It is not killed with the agent, unless somebody kills its
// cgroup; then the next life of the agent undoes it.
#pragma once

#include <sys/types.h>

#include <string>

#include "agent/base/error.h"
#include "agent/base/unique_fd.h"

namespace zq {

// The agent's end.
class Guardian {
 public:
  // `program`: the agent's, which is run with the command `guard`.
  static Result<Guardian> start(const std::string& program, const std::string& state_dir,
                                const std::string& life);

  Guardian(Guardian&& other) noexcept;
  Guardian& operator=(Guardian&&) = delete;
  Guardian(const Guardian&) = delete;
  Guardian& operator=(const Guardian&) = delete;
  ~Guardian();  // it looks at the journal once more, and ends

  [[nodiscard]] bool alive();

 private:
  Guardian(pid_t pid, UniqueFd pipe) : pid_(pid), pipe_(std::move(pipe)) {}

  pid_t pid_ = -1;  // -1 = reaped
  UniqueFd pipe_;   // closed when this process ends, however it ends
};

// The guardian's own end: returns when standard input has ended and everything is undone.
Status run_guardian(const std::string& state_dir, const std::string& life);

}  // namespace zq
