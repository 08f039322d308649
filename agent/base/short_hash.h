#pragma once

#include <cstdint>
#include <string_view>

namespace zq {

// The first eight bytes of the SHA-256 of a text, to tell runs apart in small packets.
[[nodiscard]] std::uint64_t short_hash(std::string_view text);

}  // namespace zq
