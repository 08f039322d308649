// The characters of an expression: words, numbers, symbols, and errors that point at a column.
// Private to expression.cpp.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "agent/base/error.h"
#include "experiments/position.h"

namespace zq {

class ExpressionScanner {
 public:
  // Both are kept by reference and must outlive the scanner.
  ExpressionScanner(std::string_view text, const Position& position)
      : text_(text), position_(position) {}

  // Offset of the next character that is not space. Every reading function starts there.
  std::size_t mark();
  [[nodiscard]] bool at_end() { return mark() == text_.size(); }
  // The next character, '\0' at the end.
  [[nodiscard]] char peek();
  [[nodiscard]] bool looks_at(std::string_view symbol);
  bool accept(std::string_view symbol);
  Status expect(std::string_view symbol, std::string_view why);

  // Letters, digits, '_' and '.', starting with a letter or '_'. Empty if there is none.
  [[nodiscard]] std::string_view peek_word();
  std::string_view take_word();
  // A label's value without quotes: letters, digits and "_-.:/". Empty if there is none.
  std::string_view take_bare_value();
  // 12, 0.5, 10s, 250ms: durations come out in seconds.
  Result<double> take_number();
  // In " or '. A backslash protects the quote and is otherwise kept, as regular expressions need.
  Result<std::string> take_quoted();

  // What stands next, for "expected X, found ...".
  [[nodiscard]] std::string found();

  template <class... Args>
  [[nodiscard]] tl::unexpected<Error> fail_at(std::size_t offset,
                                              fmt::format_string<Args...> format,
                                              Args&&... args) const {
    return fail(ErrorCode::kInput, "{}: {}", place(offset),
                fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  [[nodiscard]] std::string place(std::size_t offset) const;
  std::string_view take_while(bool (*belongs)(char));

  std::string_view text_;
  const Position& position_;
  std::size_t next_ = 0;
};

}  // namespace zq
