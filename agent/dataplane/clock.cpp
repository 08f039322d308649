#include "agent/dataplane/clock.h"

#include <cstdint>
#include <fstream>
#include <string>

namespace zq {

Status check_kernel_clock() {
  // Absent on kernels without time namespaces.
  std::ifstream offsets("/proc/self/timens_offsets");
  std::string clock;
  std::int64_t seconds = 0;
  std::int64_t nanoseconds = 0;
  while (offsets >> clock >> seconds >> nanoseconds) {
    if (clock == "monotonic" && (seconds != 0 || nanoseconds != 0)) {
      return fail(
          ErrorCode::kRefused,
          "this process runs in a time namespace whose monotonic clock is {} s {} ns off the "
          "kernel's: start the agent in the initial time namespace",
          seconds, nanoseconds);
    }
  }
  return {};
}

}  // namespace zq
