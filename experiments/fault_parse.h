// One [[phase.fault]]:
//
//   kind = "partition"                  # nothing passes between any two of the sides
//   between = ["zone:a", "zone:b"]      # two or more selectors
//   reject = true                       # answered (TCP reset, ICMP unreachable), not silent
//
//   kind = "one-way"                    # nothing passes from one side to the other
//   from = "zone:a"
//   to = "zone:b"
//   reject = true
//
//   kind = "impair"                     # `between` (both directions) or `from` and `to`
//   delay = "50ms"                      # and the other keys in impairment_parse.h
//
//   All three: protocol, ports, side_ports as in scope_parse.h, and
//   flap = { period = "10s", on = "3s" }        # or duty = "30%": in force for so much of each
//                                               # period, from the fault's start
//
//   kind = "kill"                       # or "stop", "pause", "restart": processes of nodes
//   nodes = "zone:b"
//   system = "etcd"                     # only this system's; name or kind
//
//   kind = "zone-down"                  # silent power loss of nodes: at one instant nothing passes
//   nodes = "zone:b"                    # from, to and between them, and their processes are killed
//                                       # (machines outside the cluster file
//                                       # still reach them)
//
//   kind = "hook"                       # a command of the cluster file for each node
//   nodes = "zone:b"
//   hook = "power"
//
//   All kinds but "restart" last to the end of their phase, or
//   lasts = "10s"                       # shorter, or
//   through = "later-phase"             # to the end of a later phase
//   All kinds:
//   after = "5s"                        # from the phase's start to the fault's
#pragma once

#include <string>
#include <vector>

#include "experiments/experiment.h"
#include "experiments/toml_reader.h"

namespace zq {

// Reports what is wrong; the fault is then of no use. `selections` are the names from [select].
Fault read_fault(TomlTable& table, const std::vector<std::string>& selections);

// As an experiment writes it: "one-way".
[[nodiscard]] std::string_view to_string(FaultKind kind);

}  // namespace zq
