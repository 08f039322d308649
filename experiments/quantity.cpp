#include "experiments/quantity.h"

#include <array>
#include <charconv>
#include <cmath>

#include "agent/base/impairment.h"

namespace zq {

namespace {

// The number at the front of the text, and what is behind it.
struct Quantity {
  double number = 0;
  std::string_view unit;
};

Result<Quantity> split(std::string_view text) {
  Quantity result;
  const char* const end = text.data() + text.size();
  const auto [rest, error] =
      std::from_chars(text.data(), end, result.number, std::chars_format::fixed);
  if (error != std::errc{} || !std::isfinite(result.number)) {
    return fail(ErrorCode::kInput, "'{}' does not start with a number", text);
  }
  result.unit = {rest, static_cast<std::size_t>(end - rest)};
  while (result.unit.starts_with(' ')) result.unit.remove_prefix(1);
  return result;
}

}  // namespace

Result<double> parse_probability(std::string_view text) {
  const auto quantity = split(text);
  if (!quantity || (quantity->unit != "%" && !quantity->unit.empty())) {
    return fail(ErrorCode::kInput, "'{}' is no share of packets; expected one like 1% or 0.01",
                text);
  }
  const double share = quantity->unit.empty() ? quantity->number : quantity->number / 100;
  if (share >= 0 && share <= 1) return share;
  return fail(ErrorCode::kInput, "'{}' is no share of packets; expected 0% to 100%", text);
}

Result<std::uint64_t> parse_rate(std::string_view text) {
  struct Unit {
    std::string_view name;
    double bits;
  };
  static constexpr std::array kUnits{Unit{"bit", 1}, Unit{"kbit", 1e3}, Unit{"mbit", 1e6},
                                     Unit{"gbit", 1e9}};
  const auto quantity = split(text);
  if (!quantity) {
    return fail(ErrorCode::kInput, "'{}' is no rate; expected one like 100mbit or 1.5gbit", text);
  }
  for (const Unit& known : kUnits) {
    if (quantity->unit != known.name) continue;
    const double bits = quantity->number * known.bits;
    if (bits >= static_cast<double>(kMinRateBps) && bits <= static_cast<double>(kMaxRateBps)) {
      return static_cast<std::uint64_t>(std::llround(bits));
    }
    return fail(ErrorCode::kInput, "the rate '{}' is out of range; expected 8kbit to 100gbit",
                text);
  }
  return fail(ErrorCode::kInput,
              "'{}' has no known unit of bits per second; use bit, kbit, mbit "
              "or gbit (steps of 1000)",
              text);
}

}  // namespace zq
