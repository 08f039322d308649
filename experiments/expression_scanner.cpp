#include "experiments/expression_scanner.h"

#include <charconv>
#include <cstdint>

#include "agent/base/time.h"

namespace zq {
namespace {

// Not the functions of <cctype>: those ask the locale, and have no answer for bytes over 127.
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool in_word(char c) { return is_letter(c) || is_digit(c) || c == '_' || c == '.'; }
bool in_bare_value(char c) { return in_word(c) || c == '-' || c == ':' || c == '/'; }

}  // namespace

std::size_t ExpressionScanner::mark() {
  while (next_ < text_.size() && is_space(text_[next_])) ++next_;
  return next_;
}

char ExpressionScanner::peek() { return at_end() ? '\0' : text_[next_]; }

bool ExpressionScanner::looks_at(std::string_view symbol) {
  return text_.substr(mark()).starts_with(symbol);
}

bool ExpressionScanner::accept(std::string_view symbol) {
  if (!looks_at(symbol)) return false;
  next_ += symbol.size();
  return true;
}

Status ExpressionScanner::expect(std::string_view symbol, std::string_view why) {
  if (accept(symbol)) return {};
  return fail_at(mark(), "expected '{}' {}, found {}", symbol, why, found());
}

std::string_view ExpressionScanner::take_while(bool (*belongs)(char)) {
  const std::size_t start = mark();
  while (next_ < text_.size() && belongs(text_[next_])) ++next_;
  return text_.substr(start, next_ - start);
}

std::string_view ExpressionScanner::peek_word() {
  const std::size_t start = mark();
  const std::string_view word = take_word();
  next_ = start;
  return word;
}

std::string_view ExpressionScanner::take_word() {
  if (!is_letter(peek()) && peek() != '_') return {};
  return take_while(in_word);
}

std::string_view ExpressionScanner::take_bare_value() { return take_while(in_bare_value); }

Result<double> ExpressionScanner::take_number() {
  const std::size_t start = mark();
  const std::string_view word = take_while(in_word);
  const char* const end = word.data() + word.size();
  double number = 0;
  const auto [rest, error] = std::from_chars(word.data(), end, number, std::chars_format::fixed);
  if (error == std::errc{} && rest == end) return number;
  auto duration = parse_duration(word);
  if (!duration) return fail_at(start, "{}", duration.error().message);
  return to_seconds(*duration);
}

Result<std::string> ExpressionScanner::take_quoted() {
  const std::size_t start = mark();
  const char quote = text_[start];
  std::string value;
  for (next_ = start + 1; next_ < text_.size(); ++next_) {
    const char c = text_[next_];
    if (c == quote) {
      ++next_;
      return value;
    }
    const bool escape = c == '\\' && next_ + 1 < text_.size();
    if (escape && text_[next_ + 1] != quote) value += c;
    if (escape) ++next_;
    value += text_[next_];
  }
  return fail_at(start, "this quote is never closed");
}

std::string ExpressionScanner::found() {
  if (at_end()) return "the end";
  if (const std::string_view word = peek_word(); !word.empty()) return fmt::format("'{}'", word);
  const char c = text_[next_];
  if (c > ' ' && c <= '~') return fmt::format("'{}'", c);
  return fmt::format("the byte 0x{:02x}", static_cast<unsigned char>(c));
}

std::string ExpressionScanner::place(std::size_t offset) const {
  Position place = position_;
  std::size_t line_start = 0;
  for (std::size_t i = 0; i < offset && i < text_.size(); ++i) {
    if (text_[i] != '\n') continue;
    line_start = i + 1;
    ++place.line;
    place.column = 1;
  }
  place.column += static_cast<std::uint32_t>(offset - line_start);
  return place.to_string();
}

}  // namespace zq
