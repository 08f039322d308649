#include "experiments/names.h"

#include <algorithm>

namespace zq {
namespace {

bool is_letter(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

bool is_name(std::string_view text, NameRule rule) {
  if (text.empty() || text.size() > (rule == NameRule::kHost ? 63U : 40U)) return false;
  const auto inside = [&](char c) {
    return is_letter(c) || is_digit(c) || c == '-' || (c == '.' && rule == NameRule::kHost) ||
           (c == '_' && rule == NameRule::kWord);
  };
  if (!std::all_of(text.begin(), text.end(), inside)) return false;
  const auto at_end = [](char c) { return is_letter(c) || is_digit(c); };
  return rule == NameRule::kWord ? is_letter(text.front())
                                 : at_end(text.front()) && at_end(text.back());
}

std::string_view describe(NameRule rule) {
  switch (rule) {
    case NameRule::kPlain:
      return "1 to 40 lower-case letters, digits and '-', with no '-' at either end";
    case NameRule::kHost:
      return "1 to 63 lower-case letters, digits, '-' and '.', with a letter or digit at both ends";
    case NameRule::kWord:
      break;
  }
  return "1 to 40 lower-case letters, digits, '-' and '_', starting with a letter";
}

void check_name(const TomlString& name, NameRule rule, std::string_view what, TomlReport& report) {
  if (is_name(name.value, rule)) return;
  report.add(name.position, "'{}' is not a valid {} name; expected {}", name.value, what,
             describe(rule));
}

void UniqueNames::add(const TomlString& name, TomlReport& report) {
  const auto [first, added] = first_.emplace(name.value, name.position);
  if (!added) {
    report.add(name.position, "a second {} '{}'; the first is on line {}", what_, name.value,
               first->second.line);
  }
}

std::string read_name(TomlTable& table, std::string_view key, NameRule rule, std::string_view what,
                      UniqueNames& unique) {
  const auto name = table.required_string(key, fmt::format("the name of the {}", what));
  if (!name) return "";
  check_name(*name, rule, what, table.report());
  unique.add(*name, table.report());
  return name->value;
}

}  // namespace zq
