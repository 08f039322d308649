// A TOML file as a plain tree in file order, every value with its position. (The TOML library
// itself is seen by toml_document.cpp only: its tables forget the order of their keys.)
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "agent/base/error.h"
#include "experiments/position.h"

namespace zq {

struct TomlValue;
using TomlList = std::vector<TomlValue>;

struct TomlEntry;
using TomlEntries = std::vector<TomlEntry>;  // in file order

struct TomlDateTime {};  // known to be one; nothing here reads them

struct TomlValue {
  // Of a string: its first character, behind the quotes. Of a table with a header: the header.
  Position position;
  std::variant<bool, std::int64_t, double, std::string, TomlDateTime, TomlList, TomlEntries> data;

  // "a string", "an array", ... as an error message says it.
  [[nodiscard]] std::string_view type_name() const;
};

struct TomlEntry {
  std::string key;
  Position key_position;
  TomlValue value;
};

// The file as a table. Syntax errors are kInput: "FILE:LINE:COLUMN: not valid TOML: ...".
Result<TomlValue> parse_toml(std::string_view text, const std::string& path);

// The whole file, or a kInput error that says what to do.
Result<std::string> read_text_file(const std::string& path);

// Where the byte `offset` of a TOML string's value stands in the file: not simply
// column + offset, because of escapes, multi-line strings and characters of several bytes.
// `first` is the position of the string's first character, as in TomlValue.
[[nodiscard]] Position position_in_string(std::string_view file_text, const Position& first,
                                          std::size_t offset);

}  // namespace zq
