#include "experiments/value_reader.h"

#include <algorithm>

#include "experiments/quantity.h"

namespace zq {

namespace {

const TomlEntry* find_entry(const TomlEntries& entries, std::string_view key) {
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [&](const TomlEntry& entry) { return entry.key == key; });
  return found == entries.end() ? nullptr : &*found;
}

}  // namespace

std::optional<Nanos> read_duration_value(const TomlValue& value, std::string_view key,
                                         TomlReport& report) {
  const auto* text = std::get_if<std::string>(&value.data);
  if (text == nullptr) {
    report.add(value.position, "'{}' must be a duration in quotes, like \"10ms\", but is {}", key,
               value.type_name());
    return std::nullopt;
  }
  const auto duration = parse_duration(*text);
  if (duration) return *duration;
  report.add(value.position, "'{}': {}", key, duration.error().message);
  return std::nullopt;
}

std::optional<double> read_probability_value(const TomlValue& value, std::string_view key,
                                             TomlReport& report) {
  std::string text;
  if (const auto* string = std::get_if<std::string>(&value.data)) {
    text = *string;
  } else if (const auto* real = std::get_if<double>(&value.data)) {
    text = fmt::format("{:f}", *real);
  } else if (const auto* integer = std::get_if<std::int64_t>(&value.data)) {
    text = std::to_string(*integer);
  } else {
    report.add(value.position, "'{}' must be a share of packets, like \"1%\" or 0.01, but is {}",
               key, value.type_name());
    return std::nullopt;
  }
  const auto share = parse_probability(text);
  if (!share) {
    report.add(value.position, "'{}': {}", key, share.error().message);
    return std::nullopt;
  }
  const auto* real = std::get_if<double>(&value.data);
  return real != nullptr ? *real : *share;  // without the rounding of the text
}

std::optional<std::uint64_t> read_rate_value(const TomlValue& value, std::string_view key,
                                             TomlReport& report) {
  const auto* text = std::get_if<std::string>(&value.data);
  if (text == nullptr) {
    report.add(value.position, "'{}' must be a rate in quotes, like \"100mbit\", but is {}", key,
               value.type_name());
    return std::nullopt;
  }
  const auto rate = parse_rate(*text);
  if (rate) return *rate;
  report.add(value.position, "'{}': {}", key, rate.error().message);
  return std::nullopt;
}

bool is_linear_ramp(const TomlValue& value) {
  const auto* entries = std::get_if<TomlEntries>(&value.data);
  if (entries == nullptr) return false;
  return find_entry(*entries, "from") != nullptr || find_entry(*entries, "to") != nullptr ||
         find_entry(*entries, "steps") != nullptr;
}

std::optional<std::size_t> read_ramp_steps(TomlTable& ramp) {
  for (const std::string_view key : {"from", "to"}) {
    if (ramp.raw(key) == nullptr) ramp.add_missing(key, "the ramp's first and last value");
  }
  if (!ramp.has("steps")) ramp.add_missing("steps", "the number of equal steps of the ramp");
  const auto steps = ramp.integer("steps", {2, kMaxRampSteps});
  ramp.finish();
  if (!steps) return std::nullopt;
  return static_cast<std::size_t>(*steps);
}

bool check_ramp_length(const TomlValue& value, std::string_view key, TomlReport& report) {
  const std::size_t length = std::get<TomlList>(value.data).size();
  if (length >= 2 && length <= static_cast<std::size_t>(kMaxRampSteps)) return true;
  report.add(value.position, "'{}' is a list of {}; a ramp has 2 to {} values", key, length,
             kMaxRampSteps);
  return false;
}

}  // namespace zq
