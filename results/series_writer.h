// Samples -> segments. Keeps the newest segment of every series in memory, writes changes in the
// call that brings them (one transaction a call) and mere confirmations every half second.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "results/database.h"
#include "results/store.h"

namespace zq {

class SeriesWriter {
 public:
  explicit SeriesWriter(SQLite::Database& database);

  Status add(RunId run, std::span<const Store::SeriesSample> samples);
  // Writes everything that is still in memory only.
  Status flush();
  // The same, if confirmations have waited long enough.
  Status flush_if_due();
  // Forgets a run's series after a flush; a later sample reads them again.
  void forget(RunId run);

 private:
  struct Segment {
    std::int64_t from = 0;
    std::int64_t last = 0;
    std::optional<double> value;
  };
  enum class Saved { kNo, kStale, kYes };  // kStale: `last` has moved since
  struct Open {
    RunId run = 0;
    std::string signal, labels;
    std::int64_t stale_after = 0;
    std::int64_t id = 0;  // 0: not in the file yet
    std::optional<Segment> newest;
    Saved saved = Saved::kYes;
    bool listed = false;  // in touched_
  };
  struct Closed {
    Open* series;
    Segment segment;
  };

  Result<Open*> find(RunId run, const Store::SeriesSample& sample);
  void load(Open& series);
  void append(Open& series, std::int64_t at, std::optional<double> value);
  void touch(Open& series, Saved saved);
  Status write(bool confirmations);
  void save(const Open& series, const Segment& segment);

  SQLite::Database& database_;
  SQLite::Statement run_exists_, find_series_, newest_segment_, insert_series_, upsert_segment_;
  std::unordered_map<std::string, std::unique_ptr<Open>> series_;
  std::unordered_set<RunId> known_runs_;
  std::string key_;             // reused, so that a known series costs no allocation
  std::vector<Open*> touched_;  // their newest segment is not in the file as it is
  std::vector<Closed> closed_;  // finished, and not in the file as they are
  bool changed_ = false;        // a new segment waits
  std::chrono::steady_clock::time_point written_;
};

}  // namespace zq
