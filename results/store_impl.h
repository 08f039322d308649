// What a Store is made of; private to results/.
#pragma once

#include <fmt/format.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "results/database.h"
#include "results/series_writer.h"
#include "results/store.h"

namespace zq {

struct Store::Impl {
  Impl(std::string file, std::unique_ptr<SQLite::Database> opened)
      : path(std::move(file)), database(std::move(opened)), series(*database) {}

  std::string path;
  std::unique_ptr<SQLite::Database> database;
  SeriesWriter series;

  // `work` inside one transaction. Its error, or an exception, rolls back.
  template <class Work>
  std::invoke_result_t<Work> write(std::string_view what, Work&& work) {
    return guarded(what, [&]() -> std::invoke_result_t<Work> {
      SQLite::Transaction transaction(*database, SQLite::TransactionBehavior::IMMEDIATE);
      auto result = work();
      if (!result) return result;
      transaction.commit();
      ZQ_CHECK(series.flush_if_due());
      return result;
    });
  }

  // kNotFound unless there is such a run.
  Status require_run(RunId run) {
    SQLite::Statement statement(*database, "SELECT 1 FROM runs WHERE id = ?");
    if (bind_all(statement, run).executeStep()) return {};
    return fail(ErrorCode::kNotFound, "there is no run {} in {}", run, path);
  }

  // All rows of a query, each made by `make` from a Row. What waits in memory is written before.
  template <class T, class Make, class... Values>
  Result<std::vector<T>> read(const std::string& sql, Make&& make, const Values&... values) {
    return guarded("cannot read " + path, [&]() -> Result<std::vector<T>> {
      ZQ_CHECK(series.flush());
      SQLite::Statement statement(*database, sql);
      bind_all(statement, values...);
      std::vector<T> rows;
      while (statement.executeStep()) {
        Row row(statement);
        rows.push_back(make(row));
      }
      return rows;
    });
  }
};

}  // namespace zq
