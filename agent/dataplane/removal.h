// Taking the gate off devices: at detach, and after a life that ended without one.
#pragma once

#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/dataplane/journal.h"
#include "agent/dataplane/netlink.h"

namespace zq {

// Removes the gate's filters from the devices, and clsact where it was not there before us and
// nothing is left on it. Goes on after an error, and returns all of them in one. The lines say what
// was removed.
Result<std::vector<std::string>> remove_gate(NetlinkSocket& socket,
                                             const std::vector<JournalDevice>& devices);

}  // namespace zq
