#include "controller/judge/matching.h"

#include <algorithm>
#include <map>
#include <optional>
#include <regex>
#include <string>

namespace zq {
namespace {

class CompiledMatcher {
 public:
  CompiledMatcher(const LabelMatcher& matcher, const JudgeContext& context)
      : label_(matcher.label),
        wanted_(matcher.op == MatchOp::kEqual || matcher.op == MatchOp::kMatches),
        values_{matcher.value} {
    if (matcher.op == MatchOp::kMatches || matcher.op == MatchOp::kNotMatches) {
      regex_.emplace(matcher.value, std::regex::ECMAScript);  // the parser has tried it
    } else if (const auto* selection = find_selection(matcher, context)) {
      values_ = *selection;
    }
  }

  [[nodiscard]] bool accepts(const Labels& labels) {
    const auto found = labels.find(label_);
    return fits(found == labels.end() ? std::string{} : found->second) == wanted_;
  }

 private:
  static const std::vector<std::string>* find_selection(const LabelMatcher& matcher,
                                                        const JudgeContext& context) {
    const std::string& label = matcher.label;
    if (matcher.quoted) return nullptr;
    const bool zones = label == "zone" || label == "from_zone" || label == "to_zone";
    const bool nodes = label == "node" || label == "from" || label == "to" || label == "seen_by";
    if (!zones && !nodes) return nullptr;
    const auto& selections = zones ? context.selected_zones : context.selected_nodes;
    const auto found = selections.find(matcher.value);
    return found == selections.end() ? nullptr : &found->second;
  }

  bool fits(const std::string& value) {
    if (!regex_) return std::ranges::find(values_, value) != values_.end();
    const auto [known, is_new] = regex_results_.try_emplace(value, false);
    if (is_new) known->second = std::regex_match(value, *regex_);
    return known->second;
  }

  std::string label_;
  bool wanted_;
  std::vector<std::string> values_;
  std::optional<std::regex> regex_;
  std::map<std::string, bool> regex_results_;  // many series share few values
};

}  // namespace

std::vector<std::uint32_t> matching_series(const AggregateExpr& aggregate,
                                           const JudgeContext& context,
                                           std::span<const Series> series) {
  std::vector<CompiledMatcher> matchers;
  for (const LabelMatcher& matcher : aggregate.matchers) matchers.emplace_back(matcher, context);
  std::vector<std::uint32_t> result;
  for (std::uint32_t i = 0; i < series.size(); ++i) {
    if (series[i].signal != aggregate.signal) continue;
    const bool all = std::ranges::all_of(
        matchers, [&](CompiledMatcher& matcher) { return matcher.accepts(series[i].labels); });
    if (all) result.push_back(i);
  }
  return result;
}

}  // namespace zq
