#include "experiments/presets.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/base/impairment.h"

namespace zq {

const std::vector<Preset>& presets() {
  using std::chrono::milliseconds;
  static const std::vector<Preset> kPresets{
      {"intra-zone", milliseconds(1), 1'000'000'000, false},
      {"inter-zone", milliseconds(10), 1'000'000'000, true},
      {"inter-region", milliseconds(500), 10'000'000, true},
      {"private-link", milliseconds(100), 100'000'000, true},
  };
  return kPresets;
}

const Preset* find_preset(std::string_view name) {
  const auto found = std::find_if(presets().begin(), presets().end(),
                                  [&](const Preset& preset) { return preset.name == name; });
  return found == presets().end() ? nullptr : &*found;
}

std::string describe_presets() {
  std::string text;
  for (const Preset& preset : presets()) {
    text += fmt::format("  {:<13} rtt {}, {} {}\n", preset.name, format_duration(preset.rtt),
                        format_rate(preset.bandwidth_bps),
                        preset.cross_section ? "for all nodes of a side together" : "per node");
  }
  return text;
}

}  // namespace zq
