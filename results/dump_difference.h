// What differs between two dumps of a node's network, for reports and messages.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace zq {

// Each line of a dump is an object. "- LINE" for every one that only `before` has, then "+ LINE"
// for every one that only `after` has, sorted; a line that one has more often counts as often.
// Empty when the dumps hold the same lines, in whatever order.
[[nodiscard]] std::vector<std::string> dump_difference(std::string_view before,
                                                       std::string_view after);

}  // namespace zq
