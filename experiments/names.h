// The rules for names in cluster and experiment files.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "experiments/toml_reader.h"

namespace zq {

// Names end up in paths, labels and expressions, so that they are kept plain.
enum class NameRule {
  kPlain,  // [a-z0-9-]{1,40}, starting and ending in a letter or digit
  kHost,   // [a-z0-9.-]{1,63}, the same ends
  kWord,   // [a-z0-9_-]{1,40}, starting with a letter
};
[[nodiscard]] bool is_name(std::string_view text, NameRule rule);
[[nodiscard]] std::string_view describe(NameRule rule);

// Reports a name that breaks the rule. `what` is "node", "zone", ...
void check_name(const TomlString& name, NameRule rule, std::string_view what, TomlReport& report);

// The names of one kind of thing in a file; reports second ones.
class UniqueNames {
 public:
  explicit UniqueNames(std::string what) : what_(std::move(what)) {}
  void add(const TomlString& name, TomlReport& report);

 private:
  std::string what_;
  std::map<std::string, Position> first_;
};

// Reads the required key as a name, checks it, and adds it to `unique`. Empty when it is missing.
std::string read_name(TomlTable& table, std::string_view key, NameRule rule, std::string_view what,
                      UniqueNames& unique);

}  // namespace zq
