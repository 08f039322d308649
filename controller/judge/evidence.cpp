#include "controller/judge/evidence.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

namespace zq {
namespace {

constexpr std::size_t kMostNamed = 3;  // series in one sentence

// "A, B and 4 more"
std::string name_some(const std::vector<std::string>& all) {
  const std::span<const std::string> named(all.data(), std::min(all.size(), kMostNamed));
  const std::size_t more = all.size() - named.size();
  if (more == 0) return fmt::format("{}", fmt::join(named, ", "));
  return fmt::format("{} and {} more", fmt::join(named, ", "), more);
}

std::string_view symbol(MatchOp op) {
  switch (op) {
    case MatchOp::kEqual:
      return "=";
    case MatchOp::kNotEqual:
      return "!=";
    case MatchOp::kMatches:
      return "=~";
    case MatchOp::kNotMatches:
      break;
  }
  return "!~";
}

std::string describe_aggregate(const AggregateExpr& aggregate) {
  static constexpr std::string_view kNames[] = {"sum", "min", "max", "count"};
  std::vector<std::string> labels;
  for (const LabelMatcher& matcher : aggregate.matchers) {
    const std::string_view quote = matcher.quoted ? "\"" : "";
    labels.push_back(
        fmt::format("{}{}{}{}{}", matcher.label, symbol(matcher.op), quote, matcher.value, quote));
  }
  std::string text = fmt::format("{}({}{}", kNames[static_cast<std::size_t>(aggregate.op)],
                                 aggregate.known ? "known " : "", aggregate.signal);
  if (!labels.empty()) text += fmt::format("{{{}}}", fmt::join(labels, ", "));
  if (aggregate.filter) {
    text += fmt::format(" {} {}", describe(aggregate.filter->first),
                        describe(aggregate.filter->second));
  }
  return text + ")";
}

std::string describe_arithmetic(const ArithmeticExpr& arithmetic) {
  const auto written = [&](std::string_view before, std::string_view between) {
    std::vector<std::string> operands;
    for (const ExprPtr& operand : arithmetic.operands) {
      std::string text = describe(*operand);
      const auto* inner = std::get_if<ArithmeticExpr>(&operand->value);
      const bool wrap = before.empty() && inner != nullptr && inner->op < ArithmeticOp::kMin;
      operands.push_back(wrap ? fmt::format("({})", text) : std::move(text));
    }
    const std::string text = fmt::format("{}", fmt::join(operands, between));
    return before.empty() ? text : fmt::format("{}({})", before, text);
  };
  switch (arithmetic.op) {
    case ArithmeticOp::kAdd:
      return written("", " + ");
    case ArithmeticOp::kSubtract:
      return written("", " - ");
    case ArithmeticOp::kMultiply:
      return written("", " * ");
    case ArithmeticOp::kDivide:
      return written("", " / ");
    case ArithmeticOp::kMin:
      return written("min", ", ");
    case ArithmeticOp::kMax:
      break;
  }
  return written("max", ", ");
}

std::string describe_value(const std::optional<double>& value) {
  return value ? describe(*value) : "unknown";
}

// A change of a series: from one segment to the next, or into silence.
struct Change {
  MonoTime at;
  std::optional<double> before;
  std::optional<double> after;
  bool first = false;  // the series began
};

// The last change of its value at or before `time`.
std::optional<Change> last_change(const Series& series, MonoTime time) {
  const auto& segments = series.segments;
  const auto begun = std::upper_bound(
      segments.begin(), segments.end(), time,
      [](MonoTime instant, const Segment& segment) { return instant < segment.from; });
  for (auto i = static_cast<std::size_t>(begun - segments.begin()); i-- > 0;) {
    const Segment& segment = segments[i];
    const MonoTime end = segment_end(series, i);
    const bool fell_silent = i + 1 == segments.size() || end < segments[i + 1].from;
    if (segment.value && fell_silent && end <= time) return Change{end, segment.value, {}, false};
    if (i == 0) return Change{segment.from, {}, segment.value, true};
    const bool silence = segment_end(series, i - 1) < segment.from;
    const auto before = silence ? std::nullopt : segments[i - 1].value;
    if (before != segment.value) return Change{segment.from, before, segment.value, false};
  }
  return std::nullopt;
}

}  // namespace

std::string describe(double value) {
  if (std::abs(value) < 1e15 && value == std::floor(value)) return fmt::format("{:.0f}", value);
  return fmt::format("{:.6g}", value);
}

std::string_view describe(CompareOp op) {
  static constexpr std::string_view kNames[] = {"<", "<=", "==", "!=", ">=", ">"};
  return kNames[static_cast<std::size_t>(op)];
}

std::string describe(const ExprNode& node) {
  if (const auto* number = std::get_if<NumberExpr>(&node.value)) return describe(number->value);
  if (const auto* variable = std::get_if<VariableExpr>(&node.value)) return variable->name;
  if (const auto* baseline = std::get_if<BaselineExpr>(&node.value)) {
    return baseline->of ? fmt::format("baseline({})", describe(*baseline->of)) : "baseline";
  }
  if (const auto* aggregate = std::get_if<AggregateExpr>(&node.value)) {
    return describe_aggregate(*aggregate);
  }
  if (const auto* arithmetic = std::get_if<ArithmeticExpr>(&node.value)) {
    return describe_arithmetic(*arithmetic);
  }
  return "a condition";  // never a side of a comparison
}

std::string describe(const Series& series) {
  std::vector<std::string> labels;
  for (const auto& [label, value] : series.labels) {
    labels.push_back(fmt::format("{}={}", label, value));
  }
  return fmt::format("{}{{{}}}", series.signal, fmt::join(labels, ","));
}

std::string Narrator::instant(MonoTime time) const {
  const Nanos offset = time - start_;
  return fmt::format("{}{}", offset < Nanos{} ? "" : "+", format_duration(offset));
}

std::string Narrator::statement(const Finding& finding) const {
  const ProgramComparison& comparison = program_.comparisons[finding.comparison];
  const std::string left = describe(*comparison.measured_source);
  const std::string right = describe(*comparison.bound_source);
  const std::string_view op = describe(comparison.op);
  if (!finding.measure) return fmt::format("{} {} {}", left, op, right);
  const Measure& measure = *finding.measure;
  const bool literal = std::holds_alternative<NumberExpr>(comparison.bound_source->value);
  const std::string bound =
      literal ? right : fmt::format("{} ({})", right, describe(measure.bound));
  // An inexact side is known from the end that decides: "at least 5" breaks "< 3".
  std::string_view about = "= ";
  if (!measure.exact) {
    about = measure.measured >= measure.bound ? "is at least " : "is at most ";
  }
  return fmt::format("{} {}{}{}{} {}", left, about, describe(measure.measured),
                     finding.truth == Truth::kTrue ? " " : ", not ", op, bound);
}

std::vector<const Series*> Narrator::members(const Finding& finding) const {
  std::vector<const Series*> result;
  std::set<std::uint32_t> seen;
  for (const std::size_t index : program_.comparisons[finding.comparison].aggregates) {
    for (const std::uint32_t member : program_.aggregates[index].members) {
      if (seen.insert(member).second) result.push_back(&series_[member]);
    }
  }
  return result;
}

std::string Narrator::cause(const Finding& finding, MonoTime time) const {
  MonoTime latest = MonoTime::min();
  std::vector<std::pair<const Series*, Change>> changes;
  for (const Series* series : members(finding)) {
    const auto change = last_change(*series, time);
    if (!change || change->at < latest) continue;
    if (change->at > latest) changes.clear();
    latest = change->at;
    changes.emplace_back(series, *change);
  }
  if (changes.empty()) return "nothing observed changed";
  std::vector<std::string> texts;
  texts.reserve(changes.size());
  for (const auto& [series, change] : changes) {
    texts.push_back(
        change.first
            ? fmt::format("{} began with {}", describe(*series), describe_value(change.after))
            : fmt::format("{} went from {} to {}", describe(*series), describe_value(change.before),
                          describe_value(change.after)));
  }
  return fmt::format("{} at {}", name_some(texts), instant(latest));
}

std::string Narrator::why_unknown(const Finding& finding, MonoTime time) const {
  const ProgramComparison& comparison = program_.comparisons[finding.comparison];
  for (const std::size_t index : comparison.aggregates) {
    const ProgramAggregate& aggregate = program_.aggregates[index];
    const bool begun = std::ranges::any_of(aggregate.members, [&](std::uint32_t member) {
      const auto& segments = series_[member].segments;
      return !segments.empty() && segments.front().from <= time;
    });
    if (!begun) return fmt::format("no series is there for {}", describe(*aggregate.source));
  }
  std::vector<std::string> texts;
  for (const Series* series : members(finding)) {
    if (series->segments.empty() || series->segments.front().from > time || series->at(time)) {
      continue;
    }
    const auto change = last_change(*series, time);
    texts.push_back(change && change->before
                        ? fmt::format("{} was {} until {} and is unknown since", describe(*series),
                                      describe(*change->before), instant(change->at))
                        : fmt::format("{} was never known", describe(*series)));
  }
  if (!texts.empty()) return name_some(texts);
  const auto baseline_unknown = [&](std::size_t number) {
    const auto* constant = std::get_if<Interval>(&program_.numbers[number]);
    return constant != nullptr && !constant->is_point();
  };
  if (baseline_unknown(comparison.bound) || baseline_unknown(comparison.measured)) {
    return "the baseline is unknown";
  }
  return "its value is not defined: a division by zero, the least of nothing, or a baseline that "
         "is "
         "unknown";
}

}  // namespace zq
