// Durations and instants. Inside the project they are typed; raw integers appear only at the
// borders (protobuf, BPF, SQLite) and end in their unit there: `from_ns`, `interval_ms`.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/base/error.h"

namespace zq {

using Nanos = std::chrono::nanoseconds;

// CLOCK_MONOTONIC, the clock that bpf_ktime_get_ns() reads: what is compared in the kernel and in
// user space is the same number. (libstdc++'s steady_clock is CLOCK_MONOTONIC in nanoseconds.)
using MonoTime = std::chrono::time_point<std::chrono::steady_clock, Nanos>;

[[nodiscard]] inline MonoTime mono_now() { return std::chrono::steady_clock::now(); }
[[nodiscard]] inline std::int64_t to_ns(MonoTime time) { return time.time_since_epoch().count(); }
[[nodiscard]] inline MonoTime mono_from_ns(std::int64_t ns) { return MonoTime{Nanos{ns}}; }

// Nanoseconds of CLOCK_REALTIME since 1970. For people and records only, never for arithmetic.
[[nodiscard]] std::int64_t wall_now_ns();
// "2026-11-24T22:30:31.123Z"
[[nodiscard]] std::string format_wall(std::int64_t wall_ns);

// "250us", "10ms", "1.5s", "2m", "1h"; a unit is required. No negative values.
[[nodiscard]] Result<Nanos> parse_duration(std::string_view text);
// The shortest exact-looking form with at most three decimals: "1.5s", "250ms", "2m05s".
[[nodiscard]] std::string format_duration(Nanos duration);

[[nodiscard]] inline double to_seconds(Nanos duration) {
  return std::chrono::duration<double>(duration).count();
}
[[nodiscard]] inline Nanos from_seconds(double seconds) {
  return std::chrono::duration_cast<Nanos>(std::chrono::duration<double>(seconds));
}

}  // namespace zq
