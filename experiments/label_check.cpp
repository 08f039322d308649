#include "experiments/label_check.h"

#include <algorithm>
#include <optional>
#include <regex>

#include "experiments/hint.h"
#include "experiments/nearest.h"

namespace zq {
namespace {

template <class Visitor>
void visit_nodes(const ExprNode& node, const Visitor& visitor) {
  visitor(node);
  const auto visit_all = [&](const std::vector<ExprPtr>& operands) {
    for (const ExprPtr& operand : operands) visit_nodes(*operand, visitor);
  };
  if (const auto* arithmetic = std::get_if<ArithmeticExpr>(&node.value)) {
    visit_all(arithmetic->operands);
  } else if (const auto* both = std::get_if<AndExpr>(&node.value)) {
    visit_all(both->operands);
  } else if (const auto* either = std::get_if<OrExpr>(&node.value)) {
    visit_all(either->operands);
  } else if (const auto* negation = std::get_if<NotExpr>(&node.value)) {
    visit_nodes(*negation->operand, visitor);
  } else if (const auto* compare = std::get_if<CompareExpr>(&node.value)) {
    visit_nodes(*compare->left, visitor);
    visit_nodes(*compare->right, visitor);
  } else if (const auto* baseline = std::get_if<BaselineExpr>(&node.value)) {
    if (baseline->of) visit_nodes(*baseline->of, visitor);
  }
}

class LabelChecker {
 public:
  LabelChecker(const Expression& expression, const Cluster& cluster,
               const std::vector<std::string>& selections, TomlReport& report)
      : text_{expression.text(), expression.position()},
        cluster_(cluster),
        selections_(selections),
        report_(report) {}

  void check(const ExprNode& node) {
    const std::size_t at = node.column - 1;
    if (const auto* variable = std::get_if<VariableExpr>(&node.value)) {
      check_variable(variable->name, at);
      return;
    }
    const auto* aggregate = std::get_if<AggregateExpr>(&node.value);
    if (aggregate == nullptr) return;
    if (aggregate->signal.starts_with("app.") && cluster_.apps.empty()) {
      add(at, "signal '{}' is of apps, but cluster '{}' has no [[app]]", aggregate->signal,
          cluster_.name);
      return;
    }
    // Matchers stand in the text in their order, behind the brace.
    std::size_t next = text_.value.find('{', at);
    for (const LabelMatcher& matcher : aggregate->matchers) {
      next = text_.value.find(matcher.label, next);
      if (next != std::string::npos) next += matcher.label.size();
      const std::size_t value_at = text_.value.find(matcher.value, next);
      check_matcher(matcher, value_at == std::string::npos ? at : value_at);
      if (value_at != std::string::npos) next = value_at + matcher.value.size();
    }
  }

 private:
  template <class... Args>
  void add(std::size_t offset, fmt::format_string<Args...> format, Args&&... args) {
    report_.add_in(text_, offset, format, std::forward<Args>(args)...);
  }

  void check_variable(const std::string& name, std::size_t at) {
    if (name == "replicas") {
      if (cluster_.apps.empty()) {
        add(at, "'replicas' is of an app, but cluster '{}' has no [[app]]", cluster_.name);
      }
      return;
    }
    // All other names are timers, which only the live system can tell; but not these.
    static const std::vector<std::string> kWords{"baseline", "replicas"};
    const std::string_view meant = nearest_name(name, kWords);
    if (!meant.empty()) add(at, "unknown name '{}'; did you mean '{}'?", name, meant);
  }

  // What the label can be; nothing for labels whose values are not known beforehand.
  std::optional<std::vector<std::string>> values(const std::string& label) const {
    std::vector<std::string> result;
    if (label == "zone" || label == "from_zone" || label == "to_zone") {
      for (const Zone& zone : cluster_.zones) result.push_back(zone.name);
    } else if (label == "node" || label == "from" || label == "to" || label == "seen_by") {
      for (const Node& node : cluster_.nodes) result.push_back(node.name);
    } else if (label == "app") {
      for (const AppSpec& app : cluster_.apps) result.push_back(app.name);
    } else if (label == "system") {
      for (const SystemSpec& system : cluster_.systems) result.push_back(system.name);
    } else if (label == "source") {
      result = {"scheduler", "node", "probe"};
    } else {
      return std::nullopt;
    }
    return result;
  }

  static bool takes_selections(const std::string& label) {
    return label != "app" && label != "system" && label != "source";
  }

  void check_matcher(const LabelMatcher& matcher, std::size_t at) {
    auto known = values(matcher.label);
    if (!known) return;
    if (matcher.op == MatchOp::kNotMatches) return;
    if (matcher.op == MatchOp::kMatches) {
      if (matches_none(matcher.value, *known)) {
        add(at, "no {} of cluster '{}' matches \"{}\"{}", matcher.label, cluster_.name,
            matcher.value, nearest_hint("", *known, "there are"));
      }
      return;
    }
    if (!matcher.quoted && takes_selections(matcher.label)) {
      known->insert(known->end(), selections_.begin(), selections_.end());
    }
    if (std::find(known->begin(), known->end(), matcher.value) != known->end()) return;
    const bool selection =
        matcher.quoted && takes_selections(matcher.label) &&
        std::find(selections_.begin(), selections_.end(), matcher.value) != selections_.end();
    add(at, "cluster '{}' has no value '{}' for label '{}'{}", cluster_.name, matcher.value,
        matcher.label,
        selection ? std::string("; the name of a selection stands without quotes")
                  : nearest_hint(matcher.value, *known, "there are"));
  }

  static bool matches_none(const std::string& pattern, const std::vector<std::string>& values) {
    try {
      const std::regex regex(pattern, std::regex::ECMAScript);
      return std::none_of(values.begin(), values.end(),
                          [&](const std::string& value) { return std::regex_match(value, regex); });
    } catch (const std::regex_error&) {
      return false;  // too complex to try; the pattern itself was checked when it was read
    }
  }

  TomlString text_;
  const Cluster& cluster_;
  const std::vector<std::string>& selections_;
  TomlReport& report_;
};

}  // namespace

void check_labels(const Expression& expression, const Cluster& cluster,
                  const std::vector<std::string>& selections, TomlReport& report) {
  if (expression.empty()) return;
  LabelChecker checker(expression, cluster, selections, report);
  visit_nodes(expression.root(), [&](const ExprNode& node) { checker.check(node); });
}

}  // namespace zq
