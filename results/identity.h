// Whether the process that began a run is still the one that has its pid.
#pragma once

#include "results/store.h"

namespace zq {

// False when the machine has booted since, the pid is gone or a zombie, or another process has it.
[[nodiscard]] bool is_alive(const ProcessIdentity& identity);

}  // namespace zq
