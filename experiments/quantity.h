// Numbers with a unit of their own, other than durations.
#pragma once

#include <cstdint>
#include <string_view>

#include "agent/base/error.h"

namespace zq {

// "1%" or "0.01"; [0, 1]. kInput.
Result<double> parse_probability(std::string_view text);

// "100mbit", "1.5gbit", "64kbit", "9600bit": bits per second, in steps of 1000. kInput.
Result<std::uint64_t> parse_rate(std::string_view text);

}  // namespace zq
