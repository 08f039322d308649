// What the data plane can do on this node, part by part, tried for real.
#pragma once

#include <string>
#include <vector>

namespace zq {

struct Capability {
  std::string name;  // agent/base/capability.h
  bool present = false;
  std::string text;  // what is there; or what is missing, and what follows from it
};

// Every capability of the data plane, in the order of capability.h. Whatever has to be made for it
// is made in a namespace of its own, on a thread of its own, so that nothing is left behind; takes
// some tens of milliseconds. Each part of the data plane adds what it knows of itself.
[[nodiscard]] std::vector<Capability> capability_report();

// kIfb, kHtb and kNetem.
[[nodiscard]] std::vector<Capability> queue_capabilities();

}  // namespace zq
