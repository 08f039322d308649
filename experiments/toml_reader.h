// Reading TOML tables key by key. What is wrong is reported and reading goes on, so that a user
// sees all mistakes of a file at once; a key that nobody asked for is a mistake too.
//
//   TomlReport report(text);
//   TomlTable root(*document, "the file", report);
//   const auto name = root.required_string("name", "a name, like \"m1\"");
//   for (TomlTable& phase : root.tables("phase")) { ...; phase.finish(); }
//   root.finish();
//   ZQ_CHECK(report.status());
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/time.h"
#include "experiments/position.h"
#include "experiments/toml_document.h"

namespace zq {

struct TomlString {
  std::string value;
  Position position;  // of its first character
};

struct TomlNamedString {
  TomlString name;
  TomlString value;
};

// What is wrong with one file.
class TomlReport {
 public:
  // The file's text, which must outlive this object, is for positions inside strings.
  explicit TomlReport(std::string_view file_text) : file_text_(file_text) {}

  template <class... Args>
  void add(const Position& position, fmt::format_string<Args...> format, Args&&... args) {
    add_message(position, fmt::format(format, std::forward<Args>(args)...));
  }
  // At the byte `offset` of the string's value.
  template <class... Args>
  void add_in(const TomlString& string, std::size_t offset, fmt::format_string<Args...> format,
              Args&&... args) {
    add_message(position_in_string(file_text_, string.position, offset),
                fmt::format(format, std::forward<Args>(args)...));
  }
  // The error of a parser that was given `string` and its position and counts lines and columns
  // (in bytes) from there, with or without "FILE:LINE:COLUMN: " in front.
  void add_inside(const TomlString& string, const Error& error);

  [[nodiscard]] bool empty() const { return problems_.empty(); }
  // kInput with one line per problem in file order; success when there is none.
  [[nodiscard]] Status status() const;

 private:
  void add_message(const Position& position, std::string message);

  struct Problem {
    Position position;
    std::string message;
  };
  std::string_view file_text_;
  std::vector<Problem> problems_;
};

// Numbers outside [min, max] are errors.
struct IntegerRange {
  std::int64_t min = 0;
  std::int64_t max = 0;
};

class TomlTable {
 public:
  // `title` names the table in messages: "[[region.zone]]". The value must be a table; it and the
  // report must outlive this object.
  TomlTable(const TomlValue& value, std::string title, TomlReport& report);

  [[nodiscard]] const std::string& title() const { return title_; }
  [[nodiscard]] const Position& position() const { return value_->position; }
  [[nodiscard]] TomlReport& report() const { return *report_; }

  // `expected` ends messages about a missing key: "a name, like \"m1\"". All getters return
  // nothing when the key is missing or wrong. That a key is missing is reported by finish(), which
  // sees whether it is only misspelt.
  std::optional<TomlString> required_string(std::string_view key, std::string_view expected);
  std::optional<TomlString> string(std::string_view key);
  std::optional<std::int64_t> integer(std::string_view key, IntegerRange range);
  std::optional<bool> boolean(std::string_view key);
  std::optional<Nanos> duration(std::string_view key);  // "250ms"
  std::vector<TomlString> strings(std::string_view key);
  std::optional<TomlTable> table(std::string_view key);
  std::vector<TomlTable> tables(std::string_view key);  // [[key]]
  // The value itself, for keys that take several types; nullptr when it is missing.
  const TomlValue* raw(std::string_view key) { return ask(key); }
  // A table of strings, numbers and booleans, all as strings.
  std::map<std::string, std::string> scalars(std::string_view key);

  // For tables whose keys are names of the user's: all of them, whose values must be strings.
  std::vector<TomlNamedString> named_strings();

  // Presence, whatever the type; does not count as asking for it.
  [[nodiscard]] bool has(std::string_view key) const { return find(key) != nullptr; }
  // Of the key itself, or of the table when it is missing.
  [[nodiscard]] const Position& key_position(std::string_view key) const;
  // Of the value, or of the table when it is missing.
  [[nodiscard]] const Position& value_position(std::string_view key) const;
  // For a missing key of another type than required_string() reads.
  void add_missing(std::string_view key, std::string_view expected);
  // Lets a key pass that cannot be read.
  void ignore(std::string_view key) { ask(key); }
  // Asks for a key only to say why it must not be here.
  template <class... Args>
  void refuse(std::string_view key, fmt::format_string<Args...> format, Args&&... args) {
    if (ask(key) != nullptr) {
      report_->add(key_position(key), format, std::forward<Args>(args)...);
    }
  }

  // Reports every key that was not asked for, with the nearest one that was, and missing keys.
  // Needed once, after the last getter.
  void finish() const;

 private:
  [[nodiscard]] const TomlEntry* find(std::string_view key) const;
  const TomlValue* ask(std::string_view key);
  void report_type(std::string_view key, const TomlValue& value, std::string_view expected);
  template <class T>
  const T* ask_as(std::string_view key, std::string_view expected);

  const TomlValue* value_;
  std::string title_;
  TomlReport* report_;
  std::vector<std::string> asked_;  // in the order in which they were
  struct Missing {
    std::string key;
    std::string expected;
  };
  std::vector<Missing> missing_;
};

}  // namespace zq
