#include "results/database.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <chrono>
#include <thread>

namespace zq {

namespace {

constexpr int kBusyTimeoutMs = 5000;

std::int64_t pragma(SQLite::Database& database, const char* name) {
  return database.execAndGet(fmt::format("PRAGMA {}", name)).getInt64();
}

// Switching to WAL needs the file alone for a moment, and SQLite does not wait for it by itself.
void enable_wal(SQLite::Database& database) {
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(kBusyTimeoutMs);
  for (;;) {
    try {
      database.exec("PRAGMA journal_mode = WAL");
      return;
    } catch (const SQLite::Exception& exception) {
      const bool busy =
          exception.getErrorCode() == SQLITE_BUSY || exception.getErrorCode() == SQLITE_LOCKED;
      if (!busy || std::chrono::steady_clock::now() > deadline) throw;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

Status check_ours(SQLite::Database& database, const std::string& path) {
  const std::int64_t id = pragma(database, "application_id");
  if (id == kApplicationId) return {};
  const bool empty = id == 0 && pragma(database, "user_version") == 0 &&
                     database.execAndGet("SELECT count(*) FROM sqlite_schema").getInt64() == 0;
  if (empty) return {};
  return fail(ErrorCode::kInput,
              "{} is a SQLite database of another program; give another file for the results",
              path);
}

Status migrate(SQLite::Database& database, const std::string& path,
               std::span<const std::string_view> versions) {
  const auto newest = static_cast<std::int64_t>(versions.size());
  if (pragma(database, "user_version") == newest) return {};
  // Immediate: of two processes that open an old file one migrates and the other one waits, so the
  // version is read again inside.
  SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
  ZQ_CHECK(check_ours(database, path));
  const std::int64_t found = pragma(database, "user_version");
  if (found > newest) {
    return fail(
        ErrorCode::kRefused,
        "{} was written by a newer zonequake (schema {}, this one knows up to {}); use that "
        "version, or another file",
        path, found, newest);
  }
  for (std::int64_t version = found; version < newest; ++version) {
    database.exec(std::string(versions[static_cast<std::size_t>(version)]));
  }
  database.exec(fmt::format("PRAGMA application_id = {}", kApplicationId));
  database.exec(fmt::format("PRAGMA user_version = {}", newest));
  transaction.commit();
  return {};
}

}  // namespace

tl::unexpected<Error> sqlite_error(const std::exception& exception, std::string_view what) {
  const auto* sqlite = dynamic_cast<const SQLite::Exception*>(&exception);
  if (sqlite == nullptr) return fail(ErrorCode::kInternal, "{}: {}", what, exception.what());
  switch (sqlite->getErrorCode()) {
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return fail(ErrorCode::kInput,
                  "{}: not a SQLite database, or a damaged one ({}); give another file", what,
                  exception.what());
    case SQLITE_CANTOPEN:
      return fail(ErrorCode::kInput, "{}: {}; does its directory exist and may you write there?",
                  what, exception.what());
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return fail(ErrorCode::kInput, "{}: {}; the file and its directory must be writable", what,
                  exception.what());
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return fail(ErrorCode::kUnavailable, "{}: another program keeps the database locked ({})",
                  what, exception.what());
    default:
      return fail(ErrorCode::kInternal, "{}: {}", what, exception.what());
  }
}

Result<std::unique_ptr<SQLite::Database>> open_database(
    const std::string& path, std::span<const std::string_view> versions) {
  return guarded(path, [&]() -> Result<std::unique_ptr<SQLite::Database>> {
    auto database = std::make_unique<SQLite::Database>(
        path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, kBusyTimeoutMs);
    // Before anything is written: reading is enough to tell another program's file.
    ZQ_CHECK(check_ours(*database, path));
    enable_wal(*database);
    // NORMAL: a crash of the process loses nothing, one of the machine only the newest commits.
    database->exec("PRAGMA synchronous = NORMAL");
    database->exec("PRAGMA foreign_keys = ON");
    ZQ_CHECK(migrate(*database, path, versions));
    return database;
  });
}

}  // namespace zq
