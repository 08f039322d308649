// Walks a program through time, from change to change, and says what holds in between. Nothing is
// sampled: series are piecewise constant, so the answers are exact. Private to the judge.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "agent/base/time.h"
#include "controller/judge/aggregate_tree.h"
#include "controller/judge/interval.h"
#include "controller/judge/program.h"
#include "experiments/signal.h"

namespace zq {

// The comparison that decides a condition, in numbers. Where a side is not known exactly, the end
// of it that the verdict rests on.
struct Measure {
  double measured = 0;
  double bound = 0;
  double margin = 0;  // positive = the comparison holds with that much to spare
  bool exact = true;
};

struct Finding {
  Truth truth = Truth::kUnknown;
  std::size_t comparison = 0;      // the one that decides
  std::optional<Measure> measure;  // none where nothing can be said
};

class Sweep {
 public:
  // Program and series must outlive it. Cost: the number of series.
  Sweep(const Program& program, std::span<const Series> series, MonoTime from);

  [[nodiscard]] MonoTime now() const { return now_; }
  // The next instant at which anything changes; MonoTime::max() if there is none.
  [[nodiscard]] MonoTime next_change() const;
  void advance();  // to next_change(), which must exist

  [[nodiscard]] Interval number();   // of a program without conditions
  [[nodiscard]] Finding evaluate();  // of a program with conditions

 private:
  struct Cursor {
    std::size_t aggregate = 0;
    std::size_t member = 0;  // position among the aggregate's members
    const Series* series = nullptr;
    std::size_t next_segment = 0;  // the first that has not begun
    bool stale = false;
  };
  static MemberState state(const Cursor& cursor);
  static MonoTime next_change(const Cursor& cursor);
  void work_out_numbers();
  [[nodiscard]] Finding compare_now(std::size_t comparison) const;
  [[nodiscard]] Finding join(const ProgramJoint& joint) const;

  const Program& program_;
  MonoTime now_;
  std::vector<Cursor> cursors_;
  // When which cursor changes next; the earliest first.
  std::vector<std::pair<MonoTime, std::size_t>> heap_;
  std::vector<AggregateTree> trees_;
  std::vector<Interval> numbers_;
  std::vector<Finding> conditions_;
  std::vector<Interval> operands_;
};

// A stretch of one truth value, as long as possible.
struct Run {
  MonoTime from;
  MonoTime until;
  Finding first;  // at `from`
  // With the smallest and the greatest margin in the stretch.
  Finding worst;
  MonoTime worst_at;
  Finding best;
  MonoTime best_at;
};

// Calls `visit` for the runs in [from, until), in order, until it returns false.
void for_each_run(const Program& program, std::span<const Series> series, MonoTime from,
                  MonoTime until, const std::function<bool(const Run&)>& visit);

// The first instant at which the segment's value no longer counts: its successor's begin, or one
// nanosecond after it became stale.
[[nodiscard]] MonoTime segment_end(const Series& series, std::size_t segment);

}  // namespace zq
