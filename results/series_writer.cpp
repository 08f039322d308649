#include "results/series_writer.h"

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

namespace zq {

namespace {

constexpr auto kConfirmEvery = std::chrono::milliseconds(500);
// Names and values end in a zero byte, so that no two sets of labels share a key.
void make_key(std::string& key, RunId run, const Sample& sample) {
  key.assign(sizeof run, '\0');
  std::memcpy(key.data(), &run, sizeof run);
  key.append(sample.signal).push_back('\0');
  for (const auto& [name, value] : sample.labels) {
    key.append(name).push_back('\0');
    key.append(value).push_back('\0');
  }
}

}  // namespace

SeriesWriter::SeriesWriter(SQLite::Database& database)
    : database_(database),
      run_exists_(database, "SELECT 1 FROM runs WHERE id = ?"),
      find_series_(database,
                   "SELECT id, stale_after_ns FROM series WHERE run = ? AND signal = ? "
                   "AND labels = ?"),
      newest_segment_(database,
                      "SELECT from_ns, last_ns, value FROM segments WHERE series = ? "
                      "ORDER BY from_ns DESC LIMIT 1"),
      insert_series_(database,
                     "INSERT INTO series (run, signal, labels, stale_after_ns) "
                     "VALUES (?, ?, ?, ?)"),
      upsert_segment_(database,
                      "INSERT INTO segments (series, from_ns, last_ns, value) VALUES (?, ?, ?, ?) "
                      "ON CONFLICT (series, from_ns) DO UPDATE SET last_ns = excluded.last_ns"),
      written_(std::chrono::steady_clock::now()) {}

Status SeriesWriter::add(RunId run, std::span<const Store::SeriesSample> samples) {
  if (!known_runs_.contains(run)) {
    const bool exists = bind_all(run_exists_, run).executeStep();
    run_exists_.reset();
    if (!exists) return fail(ErrorCode::kNotFound, "there is no run {}", run);
    known_runs_.insert(run);
  }
  for (const Store::SeriesSample& sample : samples) {
    ZQ_TRY(Open * series, find(run, sample));
    // SQLite has no NaN: what is no number is unknown.
    std::optional<double> value = sample.sample->value;
    if (value && std::isnan(*value)) value.reset();
    append(*series, to_ns(sample.sample->at), value);
  }
  return changed_ ? write(false) : flush_if_due();
}

Result<SeriesWriter::Open*> SeriesWriter::find(RunId run, const Store::SeriesSample& sample) {
  make_key(key_, run, *sample.sample);
  if (const auto found = series_.find(key_); found != series_.end()) return found->second.get();
  auto series = std::make_unique<Open>();
  series->run = run;
  series->signal = sample.sample->signal;
  series->labels = nlohmann::json(sample.sample->labels)
                       .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  series->stale_after = sample.stale_after.count();
  load(*series);
  return series_.emplace(key_, std::move(series)).first->second.get();
}

// A run that an earlier life of this process, or another one, has begun to write.
void SeriesWriter::load(Open& series) {
  if (bind_all(find_series_, series.run, series.signal, series.labels).executeStep()) {
    Row row(find_series_);
    series.id = row.integer();
    series.stale_after = row.integer();
    if (bind_all(newest_segment_, series.id).executeStep()) {
      Row newest(newest_segment_);
      series.newest = Segment{newest.integer(), newest.integer(), newest.maybe_real()};
    }
    newest_segment_.reset();
  }
  find_series_.reset();
}

void SeriesWriter::append(Open& series, std::int64_t at, std::optional<double> value) {
  if (series.newest) {
    Segment& newest = *series.newest;
    // After a silence longer than stale_after the value was unknown: extending the segment would
    // claim that it was seen all the time.
    if (value == newest.value && at - newest.last <= series.stale_after) {
      if (at <= newest.last) return;
      newest.last = at;
      if (series.saved == Saved::kYes) touch(series, Saved::kStale);
      return;
    }
    // Answers of two observers may come out of order, and estimates of clocks move: time never runs
    // backwards in a series.
    at = std::max(at, newest.last + 1);
    if (series.saved != Saved::kYes) closed_.push_back({&series, newest});
  }
  series.newest = Segment{at, at, value};
  touch(series, Saved::kNo);
  changed_ = true;
}

void SeriesWriter::touch(Open& series, Saved saved) {
  series.saved = saved;
  if (series.listed) return;
  series.listed = true;
  touched_.push_back(&series);
}

Status SeriesWriter::flush() {
  if (touched_.empty() && closed_.empty()) return {};
  return write(true);
}

Status SeriesWriter::flush_if_due() {
  if (std::chrono::steady_clock::now() - written_ < kConfirmEvery) return {};
  return flush();
}

Status SeriesWriter::write(bool confirmations) {
  confirmations = confirmations || std::chrono::steady_clock::now() - written_ >= kConfirmEvery;
  // Nothing in memory is marked as written before the commit, so that a failure (a full disk, a
  // locked file) is repaired by the next call.
  std::vector<Open*> inserted;
  const auto insert_if_new = [&](Open& series) {
    if (series.id != 0) return;
    execute(insert_series_, series.run, series.signal, series.labels, series.stale_after);
    series.id = database_.getLastInsertRowid();
    inserted.push_back(&series);
  };
  try {
    SQLite::Transaction transaction(database_, SQLite::TransactionBehavior::IMMEDIATE);
    for (const Closed& closed : closed_) {
      insert_if_new(*closed.series);
      save(*closed.series, closed.segment);
    }
    for (Open* series : touched_) {
      if (series->saved != Saved::kNo && !confirmations) continue;
      insert_if_new(*series);
      save(*series, *series->newest);
    }
    transaction.commit();
  } catch (const std::exception& exception) {
    for (Open* series : inserted) series->id = 0;
    return sqlite_error(exception, "cannot store samples");
  }
  closed_.clear();
  changed_ = false;
  std::vector<Open*> waiting;
  for (Open* series : touched_) {
    if (series->saved == Saved::kStale && !confirmations) {
      waiting.push_back(series);
    } else {
      series->saved = Saved::kYes;
      series->listed = false;
    }
  }
  touched_ = std::move(waiting);
  if (confirmations) written_ = std::chrono::steady_clock::now();
  return {};
}

void SeriesWriter::save(const Open& series, const Segment& segment) {
  execute(upsert_segment_, series.id, segment.from, segment.last, segment.value);
}

void SeriesWriter::forget(RunId run) {
  std::erase_if(series_, [&](const auto& entry) {
    return entry.second->run == run && entry.second->saved == Saved::kYes;
  });
  known_runs_.erase(run);
}

}  // namespace zq
