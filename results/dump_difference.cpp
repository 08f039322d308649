#include "results/dump_difference.h"

#include <algorithm>
#include <iterator>

namespace zq {
namespace {

std::vector<std::string_view> sorted_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

}  // namespace

std::vector<std::string> dump_difference(std::string_view before, std::string_view after) {
  const auto then = sorted_lines(before), now = sorted_lines(after);
  std::vector<std::string> changes;
  const auto add = [&changes](const auto& these, const auto& without, const std::string& mark) {
    std::vector<std::string_view> only;
    std::set_difference(these.begin(), these.end(), without.begin(), without.end(),
                        std::back_inserter(only));
    for (const std::string_view line : only) changes.push_back(mark + std::string(line));
  };
  add(then, now, "- ");
  add(now, then, "+ ");
  return changes;
}

}  // namespace zq
