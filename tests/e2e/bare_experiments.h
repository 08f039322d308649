// Short experiments for the bare testbed (agents only), where only the fault itself is of interest.
#pragma once

#include <string>

namespace zq::e2e {

// Zone b is cut from everything for `seconds`.
inline std::string partition_experiment(const std::string& seconds) {
  return R"(title  = "Zone b is cut off"
caveat = "T1-C2"
page   = "apps will continue to run in that zone"

[select]
cut = "zone:b"

[limits]
max_zones_cut = 1

[[phase]]
name  = "baseline"
lasts = "3s"

[[phase]]
name  = "partition"
lasts = ")" +
         seconds + R"("
[[phase.fault]]
kind    = "partition"
between = ["cut", "!cut"]

[[phase]]
name  = "recovery"
lasts = "4s"

[[expect]]
id     = "cut-is-seen"
during = "partition"
eventually = "max(net.reachable{from=cut, to!=cut}) == 0"
within = "4s"

[[expect]]
id     = "rest-is-whole"
during = "partition"
always = "min(net.reachable{from!=cut, to!=cut}) == 1"

[[expect]]
id     = "healed"
during = "recovery"
eventually = "min(net.reachable) == 1"
within = "4s"
)";
}

}  // namespace zq::e2e
