#include "experiments/hint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "experiments/nearest.h"

namespace zq {
namespace {

constexpr std::size_t kMostListed = 12;  // a message is read by people

}  // namespace

std::string nearest_hint(std::string_view word, std::span<const std::string> candidates,
                         std::string_view choice) {
  if (candidates.empty()) return "";
  const std::string_view nearest = nearest_name(word, candidates);
  if (!nearest.empty()) return fmt::format("; did you mean '{}'?", nearest);
  const auto shown = candidates.first(std::min(candidates.size(), kMostListed));
  return fmt::format("; {}: {}{}", choice, fmt::join(shown, ", "),
                     candidates.size() > kMostListed ? ", ..." : "");
}

std::string join_or(std::span<const std::string> words) {
  if (words.empty()) return "";
  if (words.size() == 1) return words.front();
  return fmt::format("{} or {}", fmt::join(words.first(words.size() - 1), ", "), words.back());
}

}  // namespace zq
