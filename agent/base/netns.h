// Network namespaces by path. Only the network namespace is entered: /sys and /run stay as they
// are.
#pragma once

#include <functional>
#include <string>

#include "agent/base/error.h"
#include "agent/base/unique_fd.h"

namespace zq {

// Opens /run/netns/NAME, or a path if it holds a slash.
Result<UniqueFd> open_netns(const std::string& name_or_path);

// Runs `work` on a thread of its own inside the namespace and waits for it. Sockets that it opens
// stay in that namespace wherever they are used later.
Status in_netns(int netns_fd, const std::function<Status()>& work);

}  // namespace zq
