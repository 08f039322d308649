// An engine that lives in a network namespace with nothing in it: no route, loopback down.
#pragma once

#include <memory>

#include "tests/integration/probe/harness.h"

namespace zq::probe_test {

// The namespace goes away with the engine's thread.
std::unique_ptr<ProbeEngine> engine_without_network(Collector& collector);

}  // namespace zq::probe_test
