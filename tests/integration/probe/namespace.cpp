#include "tests/integration/probe/namespace.h"

#include <sched.h>

#include <stdexcept>

namespace zq::probe_test {

std::unique_ptr<ProbeEngine> engine_without_network(Collector& collector) {
  std::unique_ptr<ProbeEngine> engine;
  bool entered = false;
  std::thread([&] {
    entered = ::unshare(CLONE_NEWNET) == 0;
    // The engine's thread inherits the namespace of the one that makes it.
    if (entered) engine = std::make_unique<ProbeEngine>(collector.sink());
  }).join();
  if (!entered) throw std::runtime_error("cannot make a network namespace: root is needed");
  return engine;
}

}  // namespace zq::probe_test
