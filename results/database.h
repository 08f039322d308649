// The store's SQLite file: opening, migrating, and short ways to bind and read.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "agent/base/error.h"

namespace zq {

// What PRAGMA application_id holds in our files: "ZQRS".
inline constexpr std::int64_t kApplicationId = 0x5A515253;

// Opens or creates the file and brings it to the newest of `versions`. kInput: not a file of ours;
// kRefused: its schema is newer than `versions`.
Result<std::unique_ptr<SQLite::Database>> open_database(const std::string& path,
                                                        std::span<const std::string_view> versions);

// An exception of SQLite as an Error.
[[nodiscard]] tl::unexpected<Error> sqlite_error(const std::exception& exception,
                                                 std::string_view what);

// Runs `work`, which returns a Result or Status, and turns exceptions into its error.
template <class Work>
std::invoke_result_t<Work> guarded(std::string_view what, Work&& work) {
  try {
    return std::forward<Work>(work)();
  } catch (const std::exception& exception) {
    return sqlite_error(exception, what);
  }
}

inline void bind_one(SQLite::Statement& statement, int index, const std::string& value) {
  statement.bind(index, value);
}
inline void bind_one(SQLite::Statement& statement, int index, std::string_view value) {
  statement.bind(index, std::string(value));
}
inline void bind_one(SQLite::Statement& statement, int index, double value) {
  statement.bind(index, value);
}
template <std::integral Integer>
void bind_one(SQLite::Statement& statement, int index, Integer value) {
  statement.bind(index, static_cast<std::int64_t>(value));
}
template <class T>
void bind_one(SQLite::Statement& statement, int index, const std::optional<T>& value) {
  if (value) {
    bind_one(statement, index, *value);
  } else {
    statement.bind(index);
  }
}

// Runs a statement that returns no rows, with these parameters; it can be used again.
template <class... Values>
int execute(SQLite::Statement& statement, const Values&... values) {
  statement.tryReset();  // reset() would report the failure of an earlier use once more
  int index = 0;
  (bind_one(statement, ++index, values), ...);
  const int changed = statement.exec();
  statement.reset();
  return changed;
}

// Binds a query's parameters; the caller steps through it.
template <class... Values>
SQLite::Statement& bind_all(SQLite::Statement& statement, const Values&... values) {
  statement.tryReset();
  int index = 0;
  (bind_one(statement, ++index, values), ...);
  return statement;
}

// Reads the columns of a row one after the other.
class Row {
 public:
  explicit Row(SQLite::Statement& statement) : statement_(statement) {}

  std::int64_t integer() { return statement_.getColumn(next_++).getInt64(); }
  std::uint64_t count() { return static_cast<std::uint64_t>(integer()); }
  std::uint32_t small() { return static_cast<std::uint32_t>(integer()); }
  std::string text() { return statement_.getColumn(next_++).getString(); }
  double real() { return statement_.getColumn(next_++).getDouble(); }
  std::optional<std::int64_t> maybe_integer() {
    if (statement_.getColumn(next_).isNull()) return skip();
    return integer();
  }
  std::optional<double> maybe_real() {
    if (statement_.getColumn(next_).isNull()) return skip();
    return real();
  }

 private:
  std::nullopt_t skip() {
    ++next_;
    return std::nullopt;
  }
  SQLite::Statement& statement_;
  int next_ = 0;
};

}  // namespace zq
