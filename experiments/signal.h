// Signals: labelled time series of observations (DESIGN part 6), and the closed list of their
// names. A series is stored as changes: one segment per value, from the first to the last time it
// was seen.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/time.h"

namespace zq {

using Labels = std::map<std::string, std::string>;

// One observation. No value = the observer could not tell (its probe failed): unknown.
struct Sample {
  std::string signal;
  Labels labels;
  MonoTime at;  // controller time
  std::optional<double> value;

  bool operator==(const Sample&) const = default;
};

// `value` was seen first at `from` and confirmed up to `last`.
struct Segment {
  MonoTime from;
  MonoTime last;
  std::optional<double> value;

  bool operator==(const Segment&) const = default;
};

struct Series {
  std::string signal;
  Labels labels;
  // A value counts up to this long after it was last confirmed; then the series is unknown.
  Nanos stale_after{};
  std::vector<Segment> segments;  // ordered by time, not overlapping

  // The value at an instant; nullopt = unknown (before the first segment, stale, or said so).
  [[nodiscard]] std::optional<double> at(MonoTime time) const;
};

// What a signal name means to an author of experiments.
struct SignalInfo {
  std::string_view name;
  std::span<const std::string_view> labels;
  std::string_view meaning;
};
[[nodiscard]] std::span<const SignalInfo> known_signals();
[[nodiscard]] const SignalInfo* find_signal(std::string_view name);

}  // namespace zq
