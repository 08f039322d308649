#include "tests/calibration/scheduler/constraint.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <regex>
#include <utility>

namespace zq::scheduler {

namespace {

using Operator = Constraint::Operator;

constexpr std::array<std::pair<Operator, std::string_view>, 7> kOperators{{
    {Operator::kUnique, "UNIQUE"},
    {Operator::kCluster, "CLUSTER"},
    {Operator::kGroupBy, "GROUP_BY"},
    {Operator::kIs, "IS"},
    {Operator::kLike, "LIKE"},
    {Operator::kUnlike, "UNLIKE"},
    {Operator::kMaxPer, "MAX_PER"},
}};

std::optional<int> number(const std::string& text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool matches(const std::string& pattern, const std::string& text) {
  try {
    return std::regex_match(text, std::regex(pattern));
  } catch (const std::regex_error&) {
    return false;
  }
}

std::map<std::string, int> count_by(const std::string& field, const std::vector<Place>& placed) {
  std::map<std::string, int> groups;
  for (const auto& place : placed) {
    if (const auto value = place.field(field)) ++groups[*value];
  }
  return groups;
}

// The smallest group may grow once there are `minimum` groups; a new group may always begin.
bool group_may_grow(const std::map<std::string, int>& groups, const std::string& value,
                    int minimum) {
  const auto own = groups.find(value);
  if (own == groups.end()) return true;
  const auto smallest =
      std::min_element(groups.begin(), groups.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  return std::cmp_greater_equal(groups.size(), minimum) && own->second == smallest->second;
}

}  // namespace

std::optional<std::string> Place::field(const std::string& name) const {
  if (name == "hostname" || name == "@hostname") return host;
  if (name == "@region") return region;
  if (name == "@zone") return zone;
  const auto found = attributes.find(name);
  if (found == attributes.end()) return std::nullopt;
  return found->second;
}

Result<Constraint> Constraint::parse(const nlohmann::json& json) {
  const auto is_text = [](const nlohmann::json& part) { return part.is_string(); };
  if (!json.is_array() || json.size() < 2 || json.size() > 3 ||
      !std::all_of(json.begin(), json.end(), is_text)) {
    return fail(ErrorCode::kInput, "a constraint is [FIELD, OPERATOR] or [FIELD, OPERATOR, VALUE]");
  }
  Constraint constraint;
  constraint.field = json[0].get<std::string>();
  const auto name = json[1].get<std::string>();
  const auto* found = std::find_if(kOperators.begin(), kOperators.end(),
                                   [&](const auto& entry) { return entry.second == name; });
  if (found == kOperators.end()) {
    return fail(ErrorCode::kInput,
                "'{}' is not a valid operator, use UNIQUE, CLUSTER, GROUP_BY, IS, LIKE, UNLIKE or "
                "MAX_PER",
                name);
  }
  constraint.op = found->first;
  if (json.size() == 3) constraint.value = json[2].get<std::string>();
  switch (constraint.op) {
    case Operator::kUnique:
      if (!constraint.value.empty()) return fail(ErrorCode::kInput, "Value specified but not used");
      break;
    case Operator::kMaxPer:
      if (!number(constraint.value)) {
        return fail(ErrorCode::kInput, "'{}' is not a number", constraint.value);
      }
      break;
    case Operator::kGroupBy:
      if (!constraint.value.empty() && !number(constraint.value)) {
        return fail(ErrorCode::kInput, "'{}' is not a number", constraint.value);
      }
      break;
    case Operator::kIs:
    case Operator::kLike:
    case Operator::kUnlike:
      if (constraint.value.empty()) return fail(ErrorCode::kInput, "{} needs a value", name);
      break;
    case Operator::kCluster:
      break;
  }
  return constraint;
}

nlohmann::json Constraint::to_json() const {
  const auto* found = std::find_if(kOperators.begin(), kOperators.end(),
                                   [&](const auto& entry) { return entry.first == op; });
  auto json = nlohmann::json::array({field, std::string(found->second)});
  if (!value.empty()) json.push_back(value);
  return json;
}

bool Constraint::allows(const Place& offer, const std::vector<Place>& placed) const {
  const auto offered = offer.field(field);
  if (!offered) return op == Operator::kUnlike;
  switch (op) {
    case Operator::kUnique:
      return std::none_of(placed.begin(), placed.end(),
                          [&](const Place& place) { return place.field(field) == offered; });
    case Operator::kCluster:
      if (!value.empty()) return value == *offered;
      return placed.empty() || placed.front().field(field) == offered;
    case Operator::kGroupBy:
      return group_may_grow(count_by(field, placed), *offered, number(value).value_or(0));
    case Operator::kIs:
      return value == *offered;
    case Operator::kLike:
      return matches(value, *offered);
    case Operator::kUnlike:
      return !matches(value, *offered);
    case Operator::kMaxPer: {
      const auto groups = count_by(field, placed);
      const auto own = groups.find(*offered);
      return own == groups.end() || own->second < number(value).value_or(0);
    }
  }
  return false;
}

bool constrains_fault_domain(const std::vector<Constraint>& constraints) {
  return std::any_of(constraints.begin(), constraints.end(), [](const Constraint& constraint) {
    return constraint.field == "@region" || constraint.field == "@zone";
  });
}

}  // namespace zq::scheduler
