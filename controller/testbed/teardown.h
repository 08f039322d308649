// Removing a testbed, whatever state it is in.
#pragma once

#include <string>

#include "agent/base/error.h"
#include "controller/testbed/state.h"

namespace zq::testbed {

// Processes, mounts, namespaces, cgroups, files, in this order, and then a look at whether anything
// is left. All of it is tried whatever fails on the way; the error lists what could not be removed,
// and the state file stays until all else is gone. The caller holds the StateLock.
Status tear_down(const State& state);

// What is left of a testbed whose run directory is gone, after a reboot for example.
Status remove_remains(const std::string& cluster);

}  // namespace zq::testbed
