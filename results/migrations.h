// The schema's versions as SQL: the n-th text (from 1) leads from version n-1 to n. Generated from
// results/migrations/*.sql; a released file never changes, a new version is a new file.
#pragma once

#include <span>
#include <string_view>

namespace zq {

[[nodiscard]] std::span<const std::string_view> migrations();

}  // namespace zq
