#include "results/store.h"

#include <fmt/format.h>

#include "results/identity.h"
#include "results/migrations.h"
#include "results/redact.h"
#include "results/store_impl.h"

namespace zq {

namespace {

constexpr std::array<std::pair<RunVerdict, std::string_view>, 7> kVerdicts{{
    {RunVerdict::kRunning, "running"},
    {RunVerdict::kPassed, "passed"},
    {RunVerdict::kFailed, "failed"},
    {RunVerdict::kInconclusive, "inconclusive"},
    {RunVerdict::kInvalid, "invalid"},
    {RunVerdict::kAborted, "aborted"},
    {RunVerdict::kInterrupted, "interrupted"},
}};

constexpr std::string_view kHeaderColumns =
    "id, title, caveat, experiment_path, cluster_name, cluster_path, started_wall_ns, "
    "started_mono_ns, ended_wall_ns, fault_mono_ns, uncertainty_ns, verdict, reason, "
    "controller_pid, controller_start_ticks, boot_id";

RunRecord read_header(Row& row) {
  RunRecord record;
  record.id = row.integer();
  record.title = row.text();
  record.caveat = row.text();
  record.experiment_path = row.text();
  record.cluster_name = row.text();
  record.cluster_path = row.text();
  record.started_wall_ns = row.integer();
  record.started_mono_ns = row.integer();
  record.ended_wall_ns = row.maybe_integer();
  record.fault_mono_ns = row.maybe_integer();
  record.uncertainty_ns = row.integer();
  record.verdict = parse_run_verdict(row.text()).value_or(RunVerdict::kInvalid);
  record.reason = row.text();
  record.controller_pid = row.integer();
  record.controller_start_ticks = row.count();
  record.boot_id = row.text();
  return record;
}

// Labels, variables and versions.
void read_maps(SQLite::Database& database, RunRecord& record) {
  const auto each = [&](const char* table, auto&& take) {
    SQLite::Statement statement(database,
                                fmt::format("SELECT name, value FROM {} WHERE run = ?", table));
    bind_all(statement, record.id);
    while (statement.executeStep()) {
      Row row(statement);
      const std::string name = row.text();
      take(name, row);
    }
  };
  each("run_labels", [&](const std::string& name, Row& row) { record.labels[name] = row.text(); });
  each("run_variables",
       [&](const std::string& name, Row& row) { record.variables[name] = row.real(); });
  each("run_versions",
       [&](const std::string& name, Row& row) { record.versions[name] = row.text(); });
}

template <class Map>
void replace_map(SQLite::Database& database, const char* table, RunId run, const Map& map) {
  SQLite::Statement remove(database, fmt::format("DELETE FROM {} WHERE run = ?", table));
  execute(remove, run);
  SQLite::Statement insert(
      database, fmt::format("INSERT INTO {} (run, name, value) VALUES (?, ?, ?)", table));
  for (const auto& [name, value] : map) execute(insert, run, name, value);
}

}  // namespace

std::string_view to_string(RunVerdict verdict) {
  for (const auto& [known, text] : kVerdicts) {
    if (known == verdict) return text;
  }
  return "unknown";
}

std::optional<RunVerdict> parse_run_verdict(std::string_view text) {
  for (const auto& [verdict, known] : kVerdicts) {
    if (known == text) return verdict;
  }
  return std::nullopt;
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&& other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}
Store::~Store() {
  // A failure here is one that the run's own calls have met and reported before.
  if (impl_) (void)impl_->series.flush();
}

Result<Store> Store::open(const std::string& path) {
  ZQ_TRY(std::unique_ptr<SQLite::Database> database, open_database(path, migrations()));
  return guarded(path, [&]() -> Result<Store> {
    return Store(std::make_unique<Impl>(path, std::move(database)));
  });
}

Result<RunId> Store::begin_run(const RunRecord& record) {
  return impl_->write("cannot begin a run", [&]() -> Result<RunId> {
    SQLite::Database& database = *impl_->database;
    SQLite::Statement insert(
        database,
        "INSERT INTO runs (title, caveat, experiment_path, experiment_text, cluster_name, "
        "cluster_path, cluster_text, plan_json, started_wall_ns, started_mono_ns, fault_mono_ns, "
        "uncertainty_ns, verdict, controller_pid, controller_start_ticks, boot_id) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'running', ?, ?, ?)");
    execute(insert, record.title, record.caveat, record.experiment_path,
            redact_secrets(record.experiment_text), record.cluster_name, record.cluster_path,
            redact_secrets(record.cluster_text), redact_urls(record.plan_json),
            record.started_wall_ns, record.started_mono_ns, record.fault_mono_ns,
            record.uncertainty_ns, record.controller_pid, record.controller_start_ticks,
            record.boot_id);
    const RunId run = database.getLastInsertRowid();
    replace_map(database, "run_labels", run, record.labels);
    replace_map(database, "run_variables", run, record.variables);
    replace_map(database, "run_versions", run, record.versions);
    return run;
  });
}

Status Store::update_run(const RunRecord& record) {
  return impl_->write(fmt::format("cannot update run {}", record.id), [&]() -> Status {
    ZQ_CHECK(impl_->require_run(record.id));
    SQLite::Database& database = *impl_->database;
    SQLite::Statement update(database,
                             "UPDATE runs SET plan_json = ?, fault_mono_ns = ?, uncertainty_ns = ? "
                             "WHERE id = ? AND verdict = 'running'");
    if (execute(update, redact_urls(record.plan_json), record.fault_mono_ns, record.uncertainty_ns,
                record.id) == 0) {
      return fail(ErrorCode::kRefused, "run {} has ended and does not change any more", record.id);
    }
    replace_map(database, "run_variables", record.id, record.variables);
    replace_map(database, "run_versions", record.id, record.versions);
    return {};
  });
}

Status Store::finish_run(RunId run, RunVerdict verdict, const std::string& reason) {
  if (verdict == RunVerdict::kRunning) {
    return fail(ErrorCode::kInternal, "run {} cannot finish as 'running'", run);
  }
  ZQ_CHECK(impl_->series.flush());
  Status finished = impl_->write(fmt::format("cannot finish run {}", run), [&]() -> Status {
    ZQ_CHECK(impl_->require_run(run));
    // Judged again later, a run keeps the moment at which it ended.
    SQLite::Statement update(*impl_->database,
                             "UPDATE runs SET verdict = ?, reason = ?, ended_wall_ns = CASE WHEN "
                             "verdict = 'running' THEN ? ELSE ended_wall_ns END WHERE id = ?");
    execute(update, to_string(verdict), redact_urls(reason), wall_now_ns(), run);
    return {};
  });
  if (finished) impl_->series.forget(run);
  return finished;
}

Result<RunRecord> Store::run(RunId run) const {
  const std::string sql = fmt::format(
      "SELECT {}, experiment_text, cluster_text, plan_json FROM runs WHERE id = ?", kHeaderColumns);
  ZQ_TRY(std::vector<RunRecord> found, impl_->read<RunRecord>(
                                           sql,
                                           [&](Row& row) {
                                             RunRecord record = read_header(row);
                                             record.experiment_text = row.text();
                                             record.cluster_text = row.text();
                                             record.plan_json = row.text();
                                             read_maps(*impl_->database, record);
                                             return record;
                                           },
                                           run));
  if (found.empty()) {
    return fail(ErrorCode::kNotFound,
                "there is no run {} in {}; `zonequake runs` lists those there are", run,
                impl_->path);
  }
  return std::move(found.front());
}

Result<std::vector<RunRecord>> Store::runs(const RunFilter& filter) const {
  return guarded("cannot list the runs of " + impl_->path, [&]() -> Result<std::vector<RunRecord>> {
    std::string sql = fmt::format("SELECT {} FROM runs WHERE 1", kHeaderColumns);
    if (filter.caveat) sql += " AND caveat = ?";
    for (std::size_t i = 0; i < filter.labels.size(); ++i) {
      sql +=
          " AND EXISTS (SELECT 1 FROM run_labels WHERE run = runs.id AND name = ? "
          "AND value = ?)";
    }
    sql += " ORDER BY id DESC LIMIT ?";
    SQLite::Statement statement(*impl_->database, sql);
    int index = 0;
    if (filter.caveat) bind_one(statement, ++index, *filter.caveat);
    for (const auto& [name, value] : filter.labels) {
      bind_one(statement, ++index, name);
      bind_one(statement, ++index, value);
    }
    bind_one(statement, ++index, filter.limit);
    std::vector<RunRecord> records;
    while (statement.executeStep()) {
      Row row(statement);
      records.push_back(read_header(row));
      read_maps(*impl_->database, records.back());
    }
    return records;
  });
}

Result<std::vector<RunRecord>> Store::mark_interrupted() {
  const auto gone = [](const RunRecord& record) {
    return !is_alive({record.controller_pid, record.controller_start_ticks, record.boot_id});
  };
  const std::string sql =
      fmt::format("SELECT {} FROM runs WHERE verdict = 'running' ORDER BY id", kHeaderColumns);
  ZQ_TRY(std::vector<RunRecord> running,
         impl_->read<RunRecord>(sql, [](Row& row) { return read_header(row); }));
  std::erase_if(running, [&](const RunRecord& record) { return !gone(record); });
  if (running.empty()) return running;
  return impl_->write("cannot mark interrupted runs", [&]() -> Result<std::vector<RunRecord>> {
    // Only what this call changes is returned: another process may have been faster.
    SQLite::Statement update(*impl_->database,
                             "UPDATE runs SET verdict = 'interrupted', reason = ? WHERE id = ? AND "
                             "verdict = 'running'");
    std::vector<RunRecord> marked;
    for (RunRecord& record : running) {
      record.verdict = RunVerdict::kInterrupted;
      record.reason = fmt::format(
          "the controller (pid {}) ended without finishing the run; its nodes heal by "
          "themselves when their leases lapse",
          record.controller_pid);
      if (execute(update, record.reason, record.id) == 0) continue;
      read_maps(*impl_->database, record);
      marked.push_back(std::move(record));
    }
    return marked;
  });
}

}  // namespace zq
