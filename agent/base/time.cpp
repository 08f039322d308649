#include "agent/base/time.h"

#include <fmt/chrono.h>

#include <array>
#include <charconv>
#include <cmath>
#include <ctime>

namespace zq {

std::int64_t wall_now_ns() {
  return std::chrono::duration_cast<Nanos>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string format_wall(std::int64_t wall_ns) {
  const std::time_t seconds = wall_ns / 1'000'000'000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", parts, wall_ns / 1'000'000 % 1000);
}

Result<Nanos> parse_duration(std::string_view text) {
  struct Unit {
    std::string_view name;
    double ns;
  };
  static constexpr std::array kUnits{Unit{"ns", 1},  Unit{"us", 1e3}, Unit{"ms", 1e6},
                                     Unit{"s", 1e9}, Unit{"m", 60e9}, Unit{"h", 3600e9}};
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  const std::string_view unit(rest, static_cast<std::size_t>(end - rest));
  if (error != std::errc{} || !std::isfinite(number) || number < 0) {
    return fail(ErrorCode::kInput,
                "'{}' is not a duration; expected a number with a unit, like 10s or 250ms", text);
  }
  for (const Unit& known : kUnits) {
    if (unit != known.name) continue;
    const double ns = number * known.ns;
    if (ns > 365.0 * 86400e9) return fail(ErrorCode::kInput, "'{}' is longer than a year", text);
    return Nanos{std::llround(ns)};
  }
  return fail(ErrorCode::kInput, "'{}' has no known unit; use ns, us, ms, s, m or h", text);
}

std::string format_duration(Nanos duration) {
  const double seconds = to_seconds(duration);
  const double size = std::fabs(seconds);
  if (size >= 60) {
    const auto whole = std::llround(size);
    const char* sign = seconds < 0 ? "-" : "";
    if (whole >= 3600) return fmt::format("{}{}h{:02}m", sign, whole / 3600, whole % 3600 / 60);
    return fmt::format("{}{}m{:02}s", sign, whole / 60, whole % 60);
  }
  const auto trimmed = [](double value, const char* unit) {
    std::string text = fmt::format("{:.3f}", value);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
    return text + unit;
  };
  if (size >= 1 || size == 0) return trimmed(seconds, "s");
  if (size >= 1e-3) return trimmed(seconds * 1e3, "ms");
  if (size >= 1e-6) return trimmed(seconds * 1e6, "us");
  return fmt::format("{}ns", duration.count());
}

}  // namespace zq
