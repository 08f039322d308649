// Values that TOML has no type for, and lists of them that change over a fault's time.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "experiments/toml_reader.h"

namespace zq {

inline constexpr std::int64_t kMaxRampSteps = 64;  // each is a segment in every node's kernel

// Each reports what is wrong with the value of `key` and gives nothing then.
std::optional<Nanos> read_duration_value(const TomlValue& value, std::string_view key,
                                         TomlReport& report);
std::optional<double> read_probability_value(const TomlValue& value, std::string_view key,
                                             TomlReport& report);
std::optional<std::uint64_t> read_rate_value(const TomlValue& value, std::string_view key,
                                             TomlReport& report);

// Whether the value is { from, to, steps }.
[[nodiscard]] bool is_linear_ramp(const TomlValue& value);
// The integer `steps` of one; reports what else is wrong with its keys.
std::optional<std::size_t> read_ramp_steps(TomlTable& ramp);
// Reports a list that is too short or too long to be a ramp.
bool check_ramp_length(const TomlValue& value, std::string_view key, TomlReport& report);

template <class T>
using ReadValue = std::optional<T> (*)(const TomlValue&, std::string_view, TomlReport&);

inline double as_number(Nanos value) { return static_cast<double>(value.count()); }
inline double as_number(double value) { return value; }
inline double as_number(std::uint64_t value) { return static_cast<double>(value); }
inline void from_number(double number, Nanos& value) { value = Nanos{std::llround(number)}; }
inline void from_number(double number, double& value) { value = number; }
inline void from_number(double number, std::uint64_t& value) {
  value = static_cast<std::uint64_t>(std::llround(number));
}

// One value, a list of values, or { from, to, steps }, which is as many equally spaced ones. Empty
// when something was reported.
template <class T>
std::vector<T> read_series(const TomlValue& value, std::string_view key, ReadValue<T> read,
                           TomlReport& report) {
  std::vector<T> series;
  if (const auto* list = std::get_if<TomlList>(&value.data)) {
    if (!check_ramp_length(value, key, report)) return {};
    for (const TomlValue& element : *list) {
      const auto one = read(element, key, report);
      if (!one) return {};
      series.push_back(*one);
    }
    return series;
  }
  if (!is_linear_ramp(value)) {
    if (const auto one = read(value, key, report)) series.push_back(*one);
    return series;
  }
  TomlTable ramp(value, fmt::format("'{}'", key), report);
  const TomlValue* first = ramp.raw("from");
  const TomlValue* last = ramp.raw("to");
  const auto steps = read_ramp_steps(ramp);
  if (first == nullptr || last == nullptr || !steps) return {};
  const auto from = read(*first, "from", report);
  const auto to = read(*last, "to", report);
  if (!from || !to) return {};
  for (std::size_t step = 0; step < *steps; ++step) {
    const double share = static_cast<double>(step) / static_cast<double>(*steps - 1);
    T one{};
    from_number(as_number(*from) + (as_number(*to) - as_number(*from)) * share, one);
    series.push_back(one);
  }
  return series;
}

}  // namespace zq
