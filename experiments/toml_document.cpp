#include "experiments/toml_document.h"

#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

namespace zq {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xc0U) == 0x80U; }

// A place in the file that moves forward by characters, as TOML positions count them.
class Cursor {
 public:
  Cursor(std::string_view text, std::string_view::size_type at, Position position)
      : text_(text), at_(at), position_(std::move(position)) {}

  // At the start of the position's line, then forward to its column.
  static Cursor seek(std::string_view text, const Position& target) {
    if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    Position position = target;
    position.line = 1;
    position.column = 1;
    Cursor cursor(text, 0, position);
    while (!cursor.done() &&
           (cursor.position_.line < target.line ||
            (cursor.position_.line == target.line && cursor.position_.column < target.column))) {
      cursor.next();
    }
    return cursor;
  }

  [[nodiscard]] bool done() const { return at_ >= text_.size(); }
  [[nodiscard]] const Position& position() const { return position_; }
  [[nodiscard]] std::string_view rest() const { return text_.substr(at_); }
  [[nodiscard]] std::string_view before() const { return text_.substr(0, at_); }

  // Moves over one character; how many bytes it has.
  std::size_t next() {
    const bool newline = text_[at_] == '\n';
    std::size_t bytes = 1;
    while (at_ + bytes < text_.size() && is_continuation(text_[at_ + bytes])) ++bytes;
    at_ += bytes;
    if (newline) {
      ++position_.line;
      position_.column = 1;
    } else {
      ++position_.column;
    }
    return bytes;
  }
  void skip(std::size_t characters) {
    for (; characters > 0 && !done(); --characters) next();
  }

 private:
  std::string_view text_;
  std::string_view::size_type at_;
  Position position_;
};

std::size_t utf8_bytes(unsigned long code_point) {
  if (code_point < 0x80) return 1;
  if (code_point < 0x800) return 2;
  return code_point < 0x10000 ? 3 : 4;
}

// Moves over an escape sequence; how many bytes of the value it stands for.
std::size_t skip_escape(Cursor& cursor) {
  const std::string_view rest = cursor.rest();
  const char kind = rest.size() > 1 ? rest[1] : '\0';
  if (kind == 'u' || kind == 'U') {
    const std::size_t digits = kind == 'u' ? 4 : 8;
    const auto code_point = std::strtoul(std::string(rest.substr(2, digits)).c_str(), nullptr, 16);
    cursor.skip(2 + digits);
    return utf8_bytes(code_point);
  }
  static constexpr std::string_view kSpace = " \t\r\n";
  if (kSpace.find(kind) != std::string_view::npos) {  // a line continuation stands for nothing
    cursor.skip(1);
    while (!cursor.done() && kSpace.find(cursor.rest().front()) != std::string_view::npos) {
      cursor.next();
    }
    return 0;
  }
  cursor.skip(2);
  return 1;
}

// True if the string with its first character at the cursor is a "..." one, not a literal '...'.
bool has_escapes(const Cursor& first) {
  const auto quote = first.before().find_last_not_of("\r\n");
  return quote != std::string_view::npos && first.before()[quote] == '"';
}

Position to_position(const toml::source_position& source, const std::string& path) {
  return Position{path, source.line, source.column};
}

// Moves from the opening quote to the first character of the value.
Position first_character(std::string_view text, const Position& quote) {
  Cursor cursor = Cursor::seek(text, quote);
  if (!cursor.rest().starts_with(R"(""")") && !cursor.rest().starts_with("'''")) {
    cursor.skip(1);
    return cursor.position();
  }
  cursor.skip(3);
  if (cursor.rest().starts_with("\r\n")) cursor.skip(2);
  if (cursor.rest().starts_with("\n")) cursor.skip(1);
  return cursor.position();
}

// The library's words, turned to what a reader has to know.
std::string explain(std::string_view description, const Cursor& at) {
  static constexpr std::string_view kWhile = "Error while parsing ";
  if (!description.starts_with(kWhile)) return std::string(description);
  description.remove_prefix(kWhile.size());
  const std::size_t colon = description.find(": ");
  const std::string_view what = description.substr(0, colon);
  if (what == "string" && (at.done() || at.rest().front() == '\n' || at.rest().front() == '\r')) {
    return "this string is never closed with its quote";
  }
  if (colon == std::string_view::npos) return std::string(description);
  return fmt::format("{} (in the {})", description.substr(colon + 2), what);
}

class Converter {
 public:
  Converter(std::string_view text, const std::string& path) : text_(text), path_(path) {
    line_starts_.push_back(0);
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\n') line_starts_.push_back(i + 1);
    }
  }

  TomlValue convert(const toml::node& node) const {
    TomlValue value;
    value.position = to_position(node.source().begin, path_);
    if (const auto* table = node.as_table()) {
      value.data = entries(*table);
    } else if (const auto* array = node.as_array()) {
      TomlList list;
      list.reserve(array->size());
      for (const toml::node& element : *array) list.push_back(convert(element));
      value.data = std::move(list);
    } else if (const auto* string = node.as_string()) {
      value.data = string->get();
      // Counting from the file's start is for the rare string that is not on one line.
      if (is_plain(value.position)) {
        ++value.position.column;
      } else {
        value.position = first_character(text_, value.position);
      }
    } else if (const auto* integer = node.as_integer()) {
      value.data = integer->get();
    } else if (const auto* real = node.as_floating_point()) {
      value.data = real->get();
    } else if (const auto* boolean = node.as_boolean()) {
      value.data = boolean->get();
    } else {
      value.data = TomlDateTime{};
    }
    return value;
  }

 private:
  // No """ or ''' on the line: the value starts right behind the quote.
  bool is_plain(const Position& quote) const {
    if (quote.line == 0 || quote.line > line_starts_.size()) return false;
    const std::size_t start = line_starts_[quote.line - 1];
    const std::size_t end =
        quote.line < line_starts_.size() ? line_starts_[quote.line] : text_.size();
    const std::string_view line = text_.substr(start, end - start);
    return line.find(R"(""")") == std::string_view::npos &&
           line.find("'''") == std::string_view::npos;
  }

  TomlEntries entries(const toml::table& table) const {
    TomlEntries result;
    result.reserve(table.size());
    for (const auto& [key, value] : table) {
      result.push_back(TomlEntry{std::string(key.str()), to_position(key.source().begin, path_),
                                 convert(value)});
    }
    std::sort(result.begin(), result.end(), [](const TomlEntry& a, const TomlEntry& b) {
      return std::pair(a.key_position.line, a.key_position.column) <
             std::pair(b.key_position.line, b.key_position.column);
    });
    return result;
  }

  std::string_view text_;
  const std::string& path_;
  std::vector<std::size_t> line_starts_;
};

}  // namespace

std::string_view TomlValue::type_name() const {
  static constexpr std::array<std::string_view, 7> kNames{
      "true or false", "an integer", "a fractional number", "a string", "a date",
      "an array",      "a table"};
  return kNames[data.index()];
}

Result<TomlValue> parse_toml(std::string_view text, const std::string& path) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  try {
    const toml::table table = toml::parse(text, std::string_view(path));
    TomlValue root = Converter(text, path).convert(table);
    root.position = Position{path, 1, 1};
    return root;
  } catch (const toml::parse_error& error) {
    const Position place = to_position(error.source().begin, path);
    return fail(ErrorCode::kInput, "{}: not valid TOML: {}", place.to_string(),
                explain(error.description(), Cursor::seek(text, place)));
  }
}

Result<std::string> read_text_file(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return fail(ErrorCode::kInput, "{}: is a directory; expected a TOML file", path);
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return fail(ErrorCode::kInput, "{}: cannot be read: {}", path,
                std::generic_category().message(errno));
  }
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (file.bad()) return fail(ErrorCode::kInput, "{}: reading it failed half way", path);
  return text;
}

Position position_in_string(std::string_view file_text, const Position& first, std::size_t offset) {
  Cursor cursor = Cursor::seek(file_text, first);
  const bool escapes = has_escapes(cursor);
  for (std::size_t passed = 0; passed < offset && !cursor.done();) {
    if (escapes && cursor.rest().front() == '\\') {
      passed += skip_escape(cursor);
    } else if (cursor.rest().starts_with("\r\n")) {
      cursor.skip(2);  // read as one newline
      ++passed;
    } else {
      passed += cursor.next();
    }
  }
  return cursor.position();
}

}  // namespace zq
