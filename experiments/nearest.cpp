#include "experiments/nearest.h"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace zq {
namespace {

constexpr std::size_t kLongestName = 64;  // longer words are no typing mistakes of ours

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> current(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = last[j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U);
      current[j] = std::min({last[j] + 1, current[j - 1] + 1, change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        current[j] = std::min(current[j], before_last[j - 2] + 1);
      }
    }
    before_last.swap(last);
    last.swap(current);
  }
  return last[b.size()];
}

template <class Name>
std::string_view nearest(std::string_view word, std::span<const Name> candidates) {
  std::string_view best;
  if (word.empty() || word.size() > kLongestName) return best;
  std::size_t best_distance = kLongestName;
  for (const std::string_view candidate : candidates) {
    if (candidate.size() > kLongestName) continue;
    const std::size_t longest = std::max(word.size(), candidate.size());
    const std::size_t distance = edit_distance(word, candidate);
    // A third of the letters may be wrong or missing, but not the only letter that there is.
    if (distance > std::max<std::size_t>(1, longest / 3) || distance >= longest) continue;
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace

std::string_view nearest_name(std::string_view word, std::span<const std::string_view> candidates) {
  return nearest(word, candidates);
}

std::string_view nearest_name(std::string_view word, std::span<const std::string> candidates) {
  return nearest(word, candidates);
}

}  // namespace zq
