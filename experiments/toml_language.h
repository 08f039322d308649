// Selectors, expressions and words with a fixed choice, read out of TOML strings. What is wrong is
// reported at its place inside the string.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/expression.h"
#include "experiments/selector.h"
#include "experiments/toml_reader.h"

namespace zq {

// Reports a word that is none of the choices, with the nearest one.
void check_choice(const TomlString& word, const std::vector<std::string>& choices,
                  std::string_view what, TomlReport& report);

// `selections` are the names from [select] that it may refer to.
std::optional<Selector> read_selector(const TomlString& text,
                                      const std::vector<std::string>& selections,
                                      TomlReport& report);

std::optional<Expression> read_condition(const TomlString& text, TomlReport& report);

// The value of `key`: a number that is known before the phase begins, without signals.
std::optional<Expression> read_seconds(const TomlString& text, std::string_view key,
                                       TomlReport& report);

// Takes " for 10s" off the end of a condition; zero if there is none.
Nanos take_for(TomlString& text, TomlReport& report);

}  // namespace zq
