// The one error type of the project. Errors that a caller can act on are values: functions that can
// fail return Result<T> (or Status when there is nothing to return). Exceptions of third-party
// libraries are translated where they are called and never cross a module's border.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace zq {

// Only what some caller branches on; everything else is text for people.
enum class ErrorCode {
  kInput,        // the user's files or arguments are wrong: exit 64, nothing was touched
  kRefused,      // understood and possible, but against a limit or a safety rule
  kUnavailable,  // a peer or a system does not answer
  kNotFound,
  kExists,
  kTimeout,
  kCancelled,  // the user asked to stop
  kKernel,     // a system call or netlink request failed; the message holds the kernel's own words
  kInternal,
};

struct [[nodiscard]] Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;  // a sentence without a final period: what is wrong, where, what to do

  // Puts "context: " in front: the outer layer says what it was doing.
  [[nodiscard]] Error with_context(std::string_view context) && {
    message = fmt::format("{}: {}", context, message);
    return std::move(*this);
  }
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

template <class... Args>
[[nodiscard]] tl::unexpected<Error> fail(ErrorCode code, fmt::format_string<Args...> format,
                                         Args&&... args) {
  return tl::unexpected<Error>(Error{code, fmt::format(format, std::forward<Args>(args)...)});
}

// kKernel with errno's text appended: "WHAT: No such device".
[[nodiscard]] tl::unexpected<Error> fail_errno(int error_number, std::string_view what);

}  // namespace zq

#define ZQ_CONCAT_INNER(a, b) a##b
#define ZQ_CONCAT(a, b) ZQ_CONCAT_INNER(a, b)

// Returns the error of a Status or Result expression to the caller, if it is one.
#define ZQ_CHECK(expression)                                            \
  do {                                                                  \
    if (auto zq_status = (expression); !zq_status)                      \
      return tl::unexpected<::zq::Error>(std::move(zq_status).error()); \
  } while (false)

// ZQ_TRY(auto value, expression): declares `value` from a Result, or returns its error.
#define ZQ_TRY(declaration, expression) \
  ZQ_TRY_IMPL(ZQ_CONCAT(zq_result_, __LINE__), declaration, expression)
#define ZQ_TRY_IMPL(name, declaration, expression)                        \
  auto name = (expression);                                               \
  if (!name) return tl::unexpected<::zq::Error>(std::move(name).error()); \
  declaration = std::move(*name)
