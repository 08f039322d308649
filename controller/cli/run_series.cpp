#include "controller/cli/run_series.h"

#include <algorithm>
#include <filesystem>

#include "results/report.h"
#include "results/table.h"

namespace zq {
namespace {

constexpr std::size_t kAllRuns = 1'000'000'000;

bool says_something(RunVerdict verdict) {
  return verdict == RunVerdict::kPassed || verdict == RunVerdict::kFailed ||
         verdict == RunVerdict::kInconclusive;
}

}  // namespace

Result<unsigned> repetitions_done(const Store& store, const Experiment& experiment,
                                  const Cluster& cluster,
                                  const std::map<std::string, std::string>& labels) {
  RunFilter filter;
  filter.labels = labels;
  filter.limit = kAllRuns;
  ZQ_TRY(const std::vector<RunRecord> runs, store.runs(filter));
  unsigned done = 0;
  for (const RunRecord& listed : runs) {
    if (!says_something(listed.verdict) || listed.title != experiment.title ||
        listed.cluster_name != cluster.name) {
      continue;
    }
    ZQ_TRY(const RunRecord run, store.run(listed.id));
    if (run.experiment_text == experiment.text && run.cluster_text == cluster.text) ++done;
  }
  return done;
}

std::string RunSeries::next_place() const {
  return planned_ < 2 ? "" : fmt::format("{} of {}", done_ + 1, planned_);
}

void RunSeries::add(const Experiment& experiment, RunVerdict verdict, Nanos took) {
  const std::string name = std::filesystem::path(experiment.path).stem().string();
  auto row = std::find_if(rows_.begin(), rows_.end(),
                          [&](const Row& known) { return known.name == name; });
  if (row == rows_.end()) {
    rows_.push_back({.name = name, .verdicts = {}, .took = {}});
    row = std::prev(rows_.end());
  }
  ++row->verdicts[verdict];
  row->took += took;
  ++done_;
}

std::string RunSeries::summary(bool color) const {
  if (planned_ < 2) return "";
  Table table({{.title = "experiment"},
               {.title = "verdicts"},
               {.title = "took", .align = Table::Align::kRight}});
  Nanos total{};
  for (const Row& row : rows_) {
    std::vector<std::string> verdicts;
    Style style = Style::kGood;
    for (const auto& [verdict, count] : row.verdicts) {
      verdicts.push_back(count == 1 ? std::string(to_string(verdict))
                                    : fmt::format("{} x {}", count, to_string(verdict)));
      if (verdict != RunVerdict::kPassed) style = style_of(verdict);
    }
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(row.took);
    table.add({{row.name},
               {fmt::format("{}", fmt::join(verdicts, ", ")), style},
               {format_duration(seconds)}});
    total += row.took;
  }
  std::string text = table.render(terminal_width(), color);
  text += fmt::format("  {} of {} runs in {}", done_, planned_,
                      format_duration(std::chrono::duration_cast<std::chrono::seconds>(total)));
  if (done_ < planned_) text += fmt::format("; {} were not run", planned_ - done_);
  return text + "\n";
}

}  // namespace zq
