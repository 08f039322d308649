// The helpful end of an error message about a name.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace zq {

// "; did you mean 'x'?", or when nothing is near "; CHOICE: a, b, c" with `choice` as the words in
// front of the list, or "" without candidates.
[[nodiscard]] std::string nearest_hint(std::string_view word,
                                       std::span<const std::string> candidates,
                                       std::string_view choice);

// "a, b or c"
[[nodiscard]] std::string join_or(std::span<const std::string> words);

}  // namespace zq
