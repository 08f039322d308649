// Programs that no Debian package brings: a recipe names them, --bin-dir or PATH has them.
#pragma once

#include <optional>
#include <string>

namespace zq::testbed {

// The absolute path of an executable file of that name in `bin_dir` (empty: none), or else in the
// directories of this process' PATH.
[[nodiscard]] std::optional<std::string> find_program(const std::string& name,
                                                      const std::string& bin_dir);
// "neither in /opt/mesos/bin nor on PATH", for people.
[[nodiscard]] std::string where_it_is_not(const std::string& bin_dir);

}  // namespace zq::testbed
