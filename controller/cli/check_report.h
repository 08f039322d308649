// The results of `zonequake check` for people and for programs. Pure.
#pragma once

#include <string>

#include "controller/check/check.h"

namespace zq {

// `table`: for a terminal, a line for each check first; `color` as there. Else plain lines only.
[[nodiscard]] std::string render_checks(const CheckReport& report, const Cluster& cluster,
                                        const Facts& facts, bool table, bool color);
[[nodiscard]] std::string checks_json(const CheckReport& report, const Cluster& cluster,
                                      const Facts& facts);

}  // namespace zq
