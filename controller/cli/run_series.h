// Many runs of one command: which repetitions are still to be made, where it stands, and what came
// out.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/time.h"
#include "controller/run/runner.h"
#include "results/store.h"

namespace zq {

// How many runs the store holds of exactly this: the same experiment and cluster text and all of
// these labels. Only what says something counts: passed, failed or inconclusive.
Result<unsigned> repetitions_done(const Store& store, const Experiment& experiment,
                                  const Cluster& cluster,
                                  const std::map<std::string, std::string>& labels);

class RunSeries {
 public:
  // `planned` runs of this command in all.
  explicit RunSeries(std::size_t planned) : planned_(planned) {}

  // "3 of 17"; empty for a single run.
  [[nodiscard]] std::string next_place() const;
  void add(const Experiment& experiment, RunVerdict verdict, Nanos took);
  [[nodiscard]] std::size_t done() const { return done_; }

  // Experiment x verdicts x time, in the order of the first runs; and how many were not run. Empty
  // for a single run.
  [[nodiscard]] std::string summary(bool color) const;

 private:
  struct Row {
    std::string name;
    std::map<RunVerdict, std::size_t> verdicts;
    Nanos took{};
  };
  std::size_t planned_;
  std::size_t done_ = 0;
  std::vector<Row> rows_;
};

}  // namespace zq
