#include "experiments/toml_language.h"

#include <algorithm>
#include <utility>

#include "experiments/hint.h"

namespace zq {

void check_choice(const TomlString& word, const std::vector<std::string>& choices,
                  std::string_view what, TomlReport& report) {
  if (std::find(choices.begin(), choices.end(), word.value) != choices.end()) return;
  report.add(word.position, "unknown {} '{}'{}", what, word.value,
             nearest_hint(word.value, choices, "expected one of"));
}

std::optional<Selector> read_selector(const TomlString& text,
                                      const std::vector<std::string>& selections,
                                      TomlReport& report) {
  auto selector = Selector::parse(text.value, text.position);
  const Status names = selector ? selector->check_names(selections) : Status{};
  if (selector && names) return std::move(*selector);
  report.add_inside(text, selector ? names.error() : selector.error());
  return std::nullopt;
}

std::optional<Expression> read_condition(const TomlString& text, TomlReport& report) {
  auto expression = Expression::parse_condition(text.value, text.position);
  if (expression) return std::move(*expression);
  report.add_inside(text, expression.error());
  return std::nullopt;
}

std::optional<Expression> read_seconds(const TomlString& text, std::string_view key,
                                       TomlReport& report) {
  auto expression = Expression::parse_number(text.value, text.position);
  if (!expression) {
    report.add_inside(text, expression.error());
    return std::nullopt;
  }
  if (!expression->signals().empty() || expression->uses_baseline()) {
    report.add(text.position,
               "'{}' must be known beforehand: numbers, durations and timers only, no signals and "
               "no baseline",
               key);
    return std::nullopt;
  }
  return std::move(*expression);
}

Nanos take_for(TomlString& text, TomlReport& report) {
  static constexpr std::string_view kFor = " for ";
  const std::size_t at = text.value.rfind(kFor);
  if (at == std::string::npos) return Nanos{};
  const std::string rest = text.value.substr(at + kFor.size());
  // The word may stand inside a quoted label value.
  if (rest.find_first_of("\"'{}()") != std::string::npos) return Nanos{};
  const auto duration = parse_duration(rest);
  if (!duration) {
    Position position = text.position;
    position.column += static_cast<std::uint32_t>(at + kFor.size());
    report.add_inside(text, Error(duration.error()).with_context(position.to_string()));
  }
  text.value.resize(at);
  return duration.value_or(Nanos{});
}

}  // namespace zq
