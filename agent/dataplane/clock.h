#pragma once

#include "agent/base/error.h"

namespace zq {

// kRefused when this process's CLOCK_MONOTONIC is not the kernel's (a time namespace with an
// offset): windows would then open at other times than planned.
Status check_kernel_clock();

}  // namespace zq
