// The keys that say what happens to packets, of faults of kind "impair" and of [[testbed.link]]:
//
//   preset = "inter-region"             # see presets.h; single keys override it
//   delay = "50ms"                      # one way, in each direction; or
//   rtt = "100ms"                       # half of it each way
//   jitter = "5ms"                      # scale of the delay's distribution
//   correlation = "25%"                 # of successive delays; also 0.25
//   distribution = "normal"             # or uniform (default), pareto, paretonormal, or the path
//   of
//                                       # a table as tc reads it, relative to the file
//   loss = "1%"                         # or 0.01, or
//   loss = { p = "1%", correlation = "25%" }
//   loss = { model = "gilbert-elliott", p = "1%", r = "20%", bad = "100%", good = "0%" }
//   loss = { model = "4-state", p13 = "5%", p31 = "30%", p32 = "0%", p23 = "100%", p14 = "1%" }
//   duplicate = "1%"
//   corrupt = "0.1%"                    # one bit of such a packet is flipped
//   reorder = "25%"                     # such packets skip the delay
//   rate = "100mbit"                    # bit, kbit, mbit, gbit; of each node to each group of
//   peers;
//                                       # of a link: the total of each direction
//   cross_section = "1gbit"             # instead of rate, faults only: total of each direction,
//                                       # divided over the sending side's nodes
//
// In a fault delay, rtt, loss, duplicate, corrupt, reorder and rate may be a list, as in
// delay = ["10ms", "100ms", "500ms"], or { from = "10ms", to = "500ms", steps = 10 }: equal steps
// over the fault's time. Lists in one fault have one length.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "experiments/experiment.h"
#include "experiments/toml_reader.h"

namespace zq {

enum class ImpairmentOf { kFault, kLink };

struct ReadImpairment {
  Ramp impairments;  // of a link one
  std::uint64_t cross_section_bps = 0;
};

[[nodiscard]] const std::vector<std::string>& impairment_keys();

// Asks for all of these keys. Nothing when something was reported.
std::optional<ReadImpairment> read_impairment(TomlTable& table, ImpairmentOf of);

// The key `loss`: one model, or the steps of a ramp. Empty when something was reported.
std::vector<LossModel> read_loss(const TomlValue& value, TomlReport& report);

// The key `distribution`, into the impairment; false when something was reported.
bool read_distribution(const TomlString& text, Impairment& impairment, TomlReport& report);

}  // namespace zq
