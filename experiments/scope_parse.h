// Which packets of a border a fault is about:
//
//   protocol = "tcp"                    # tcp, udp, icmp (of both families), or a number
//   ports = "2181,2888-3888"            # of tcp, udp and their like, on either end
//   side_ports = ["5050", ""]           # on the first side and on the second; "" is any
#pragma once

#include <string>
#include <vector>

#include "agent/base/impairment.h"
#include "experiments/toml_reader.h"

namespace zq {

[[nodiscard]] const std::vector<std::string>& scope_keys();

// Asks for these keys. Source ports are those of the first side. `sides` is how many sides the
// fault names; with more than two nobody can say whose `side_ports` are.
[[nodiscard]] Scope read_scope(TomlTable& table, std::size_t sides);

}  // namespace zq
