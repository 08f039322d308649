#include "experiments/toml_reader.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <tuple>

#include "experiments/hint.h"
#include "experiments/nearest.h"

namespace zq {
namespace {

constexpr std::size_t kMostProblems = 20;

// "[[region.zone]]" + "node" -> "region.zone.node"
std::string nested(std::string_view title, std::string_view key) {
  const auto first = title.find_first_not_of('[');
  if (first == 0 || first == std::string_view::npos) return std::string(key);
  const std::string_view path = title.substr(first, title.find(']') - first);
  return fmt::format("{}.{}", path, key);
}

// Nothing for arrays, tables and dates.
std::optional<std::string> scalar_text(const TomlValue& value) {
  if (const auto* text = std::get_if<std::string>(&value.data)) return *text;
  if (const auto* integer = std::get_if<std::int64_t>(&value.data)) return std::to_string(*integer);
  if (const auto* real = std::get_if<double>(&value.data)) return fmt::format("{}", *real);
  if (const auto* boolean = std::get_if<bool>(&value.data)) return *boolean ? "true" : "false";
  return std::nullopt;
}

// "12:rest" -> 12, leaving "rest".
std::optional<std::uint32_t> take_number(std::string_view& text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end == text.data() + text.size() || *end != ':') return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()) + 1);
  return number;
}

// Where in the string's value a parser is that counts lines and columns from the string's start.
std::size_t offset_in(const TomlString& string, const Position& place) {
  std::size_t line_start = 0;
  for (std::uint32_t line = string.position.line; line < place.line; ++line) {
    const std::size_t newline = string.value.find('\n', line_start);
    if (newline == std::string::npos) break;
    line_start = newline + 1;
  }
  const std::uint32_t first_column = line_start == 0 ? string.position.column : 1;
  return line_start + (place.column > first_column ? place.column - first_column : 0);
}

}  // namespace

void TomlReport::add_message(const Position& position, std::string message) {
  problems_.push_back(Problem{position, std::move(message)});
}

void TomlReport::add_inside(const TomlString& string, const Error& error) {
  std::string_view message = error.message;
  Position place = string.position;
  const std::string file = place.file + ":";
  if (message.starts_with(file)) {
    message.remove_prefix(file.size());
    place.line = take_number(message).value_or(place.line);
    place.column = take_number(message).value_or(place.column);
    if (message.starts_with(' ')) message.remove_prefix(1);
  }
  const std::size_t offset = offset_in(string, place);
  add_message(position_in_string(file_text_, string.position, offset), std::string(message));
}

Status TomlReport::status() const {
  if (problems_.empty()) return {};
  std::vector<Problem> sorted = problems_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Problem& a, const Problem& b) {
    return std::tie(a.position.line, a.position.column) <
           std::tie(b.position.line, b.position.column);
  });
  std::string text;
  for (std::size_t i = 0; i < sorted.size() && i < kMostProblems; ++i) {
    if (i > 0) text += '\n';
    text += fmt::format("{}: {}", sorted[i].position.to_string(), sorted[i].message);
  }
  if (sorted.size() > kMostProblems) {
    text += fmt::format("\n{}: and {} more problems", sorted.front().position.file,
                        sorted.size() - kMostProblems);
  }
  return tl::unexpected<Error>(Error{ErrorCode::kInput, std::move(text)});
}

TomlTable::TomlTable(const TomlValue& value, std::string title, TomlReport& report)
    : value_(&value), title_(std::move(title)), report_(&report) {}

const TomlEntry* TomlTable::find(std::string_view key) const {
  const auto& entries = std::get<TomlEntries>(value_->data);
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [&](const TomlEntry& entry) { return entry.key == key; });
  return found == entries.end() ? nullptr : &*found;
}

const TomlValue* TomlTable::ask(std::string_view key) {
  if (std::find(asked_.begin(), asked_.end(), key) == asked_.end()) asked_.emplace_back(key);
  const TomlEntry* entry = find(key);
  return entry == nullptr ? nullptr : &entry->value;
}

void TomlTable::report_type(std::string_view key, const TomlValue& value,
                            std::string_view expected) {
  report_->add(value.position, "'{}' must be {}, but is {}", key, expected, value.type_name());
}

template <class T>
const T* TomlTable::ask_as(std::string_view key, std::string_view expected) {
  const TomlValue* value = ask(key);
  if (value == nullptr) return nullptr;
  const T* result = std::get_if<T>(&value->data);
  if (result == nullptr) report_type(key, *value, expected);
  return result;
}

const Position& TomlTable::key_position(std::string_view key) const {
  const TomlEntry* entry = find(key);
  return entry == nullptr ? position() : entry->key_position;
}

const Position& TomlTable::value_position(std::string_view key) const {
  const TomlEntry* entry = find(key);
  return entry == nullptr ? position() : entry->value.position;
}

std::optional<TomlString> TomlTable::required_string(std::string_view key,
                                                     std::string_view expected) {
  if (ask(key) == nullptr) {
    add_missing(key, expected);
    return std::nullopt;
  }
  auto result = string(key);
  if (result && result->value.empty()) {
    report_->add(result->position, "'{}' is empty; expected {}", key, expected);
    return std::nullopt;
  }
  return result;
}

std::optional<TomlString> TomlTable::string(std::string_view key) {
  const auto* text = ask_as<std::string>(key, "a string");
  if (text == nullptr) return std::nullopt;
  return TomlString{*text, value_position(key)};
}

std::optional<std::int64_t> TomlTable::integer(std::string_view key, IntegerRange range) {
  const auto* number = ask_as<std::int64_t>(key, "an integer");
  if (number == nullptr) return std::nullopt;
  if (*number < range.min || *number > range.max) {
    report_->add(value_position(key), "'{}' is {}; expected {} to {}", key, *number, range.min,
                 range.max);
    return std::nullopt;
  }
  return *number;
}

std::optional<bool> TomlTable::boolean(std::string_view key) {
  const auto* value = ask_as<bool>(key, "true or false");
  return value == nullptr ? std::nullopt : std::optional(*value);
}

std::optional<Nanos> TomlTable::duration(std::string_view key) {
  const auto* text = ask_as<std::string>(key, "a duration in quotes, like \"10s\"");
  if (text == nullptr) return std::nullopt;
  const auto duration = parse_duration(*text);
  if (duration) return *duration;
  report_->add(value_position(key), "'{}': {}", key, duration.error().message);
  return std::nullopt;
}

std::vector<TomlString> TomlTable::strings(std::string_view key) {
  std::vector<TomlString> result;
  const auto* list = ask_as<TomlList>(key, "an array of strings, like [\"a\", \"b\"]");
  if (list == nullptr) return result;
  for (const TomlValue& element : *list) {
    if (const auto* text = std::get_if<std::string>(&element.data)) {
      result.push_back(TomlString{*text, element.position});
    } else {
      report_->add(element.position, "'{}' holds {}, but all its elements must be strings", key,
                   element.type_name());
    }
  }
  return result;
}

std::optional<TomlTable> TomlTable::table(std::string_view key) {
  const TomlValue* value = ask(key);
  if (value == nullptr) return std::nullopt;
  const std::string title = fmt::format("[{}]", nested(title_, key));
  if (std::holds_alternative<TomlEntries>(value->data)) {
    return TomlTable(*value, title, *report_);
  }
  report_type(key, *value, fmt::format("a table, {}", title));
  return std::nullopt;
}

std::vector<TomlTable> TomlTable::tables(std::string_view key) {
  std::vector<TomlTable> result;
  const TomlValue* value = ask(key);
  if (value == nullptr) return result;
  const std::string title = fmt::format("[[{}]]", nested(title_, key));
  const auto* list = std::get_if<TomlList>(&value->data);
  if (list == nullptr) {
    report_type(key, *value, fmt::format("a list of tables, {}", title));
    return result;
  }
  for (const TomlValue& element : *list) {
    if (std::holds_alternative<TomlEntries>(element.data)) {
      result.emplace_back(element, title, *report_);
    } else {
      report_type(key, element, fmt::format("a list of tables, {}", title));
    }
  }
  return result;
}

std::map<std::string, std::string> TomlTable::scalars(std::string_view key) {
  std::map<std::string, std::string> result;
  const auto* entries = ask_as<TomlEntries>(key, "a table, like { size = \"big\" }");
  if (entries == nullptr) return result;
  for (const TomlEntry& entry : *entries) {
    if (auto text = scalar_text(entry.value)) {
      result.emplace(entry.key, std::move(*text));
    } else {
      report_->add(entry.value.position,
                   "'{}.{}' must be a string, a number, true or false, but is {}", key, entry.key,
                   entry.value.type_name());
    }
  }
  return result;
}

std::vector<TomlNamedString> TomlTable::named_strings() {
  std::vector<TomlNamedString> result;
  for (const TomlEntry& entry : std::get<TomlEntries>(value_->data)) {
    if (auto value = string(entry.key)) {
      result.push_back({TomlString{entry.key, entry.key_position}, std::move(*value)});
    }
  }
  return result;
}

void TomlTable::add_missing(std::string_view key, std::string_view expected) {
  missing_.push_back(Missing{std::string(key), std::string(expected)});
}

void TomlTable::finish() const {
  std::vector<Missing> missing = missing_;
  std::vector<std::string> absent;  // what an unknown key may have been meant to be
  std::copy_if(asked_.begin(), asked_.end(), std::back_inserter(absent),
               [&](const std::string& key) { return !has(key); });
  for (const TomlEntry& entry : std::get<TomlEntries>(value_->data)) {
    if (std::find(asked_.begin(), asked_.end(), entry.key) != asked_.end()) continue;
    const std::string meant(nearest_name(entry.key, absent));
    std::erase_if(missing, [&](const Missing& one) { return one.key == meant; });
    report_->add(
        entry.key_position, "unknown key '{}' in {}{}", entry.key, title_,
        nearest_hint(entry.key, meant.empty() ? asked_ : std::vector{meant}, "known keys"));
  }
  for (const Missing& one : missing) {
    report_->add(position(), "{} has no '{}'; expected {}", title_, one.key, one.expected);
  }
}

}  // namespace zq
