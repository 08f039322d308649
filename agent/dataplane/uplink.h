#pragma once

#include <string>

namespace zq {

// A device of this node that leads to peers.
struct Uplink {
  std::string device;
  unsigned index = 0;
};

}  // namespace zq
