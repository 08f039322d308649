// The daemon: from the command line to a listening agent, and back to a clean node.
#pragma once

#include <string>

#include "agent/base/error.h"
#include "agent/base/unique_fd.h"

namespace zq {

struct ServeOptions {
  std::string node;
  std::string listen;  // "unix:/path" or "HOST:PORT"; loopback only, as there is no mTLS yet
  std::string state_dir;
};

// kInput when the address cannot be listened on as a matter of form or policy.
Status check_listen(const std::string& listen);

// Serves until SIGTERM or SIGINT, then heals and detaches. In the calling thread's network
// namespace; call it from main, on the only thread.
Status serve(const ServeOptions& options);

// One agent per state directory: held as long as the descriptor lives. Makes the directory (0700).
// kRefused when an agent runs there.
Result<UniqueFd> lock_state_dir(const std::string& state_dir);

}  // namespace zq
