// The known name that a misspelt one was probably meant to be, for messages.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace zq {

// The candidate with the smallest edit distance (a swap of neighbours counts once), if it is close
// enough to be a plausible typing mistake; empty otherwise. The first of equals wins.
[[nodiscard]] std::string_view nearest_name(std::string_view word,
                                            std::span<const std::string_view> candidates);
[[nodiscard]] std::string_view nearest_name(std::string_view word,
                                            std::span<const std::string> candidates);

}  // namespace zq
