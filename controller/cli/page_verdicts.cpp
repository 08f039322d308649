#include "controller/cli/page_verdicts.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "results/report.h"
#include "results/table.h"

namespace zq {
namespace {

constexpr std::size_t kAllRuns = 1'000'000'000;

std::string version_of(const RunRecord& run) {
  std::vector<std::string> parts;
  for (const auto& [system, version] : run.versions) {
    if (!system.starts_with("agent")) parts.push_back(fmt::format("{} {}", system, version));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

using Key = std::tuple<std::string, std::string, std::string>;  // cluster, version, experiment

std::map<Key, PageSeries> series_of(const std::vector<RunRecord>& newest_first) {
  std::map<Key, PageSeries> result;
  for (const RunRecord& run : newest_first) {
    if (run.verdict == RunVerdict::kRunning) continue;
    const std::string name = std::filesystem::path(run.experiment_path).stem().string();
    PageSeries& series = result[{run.cluster_name, version_of(run), name}];
    if (series.runs == 0) {
      series = {.experiment = name,
                .cluster = run.cluster_name,
                .version = version_of(run),
                .newest = run.id,
                .verdict = run.verdict};
    }
    ++series.runs;
    if (run.verdict == series.verdict) ++series.same;
  }
  return result;
}

std::string place_of(const PageSeries& series) {
  return series.version.empty() ? series.cluster
                                : fmt::format("{} ({})", series.cluster, series.version);
}

std::string outcome_of(const PageSeries& series) {
  return fmt::format("{} {} of {}", to_string(series.verdict), series.same, series.runs);
}

// One line for each place: how many experiments passed there, and those that did not by name.
std::vector<std::string> outcomes(const PageRow& row) {
  std::vector<std::string> lines;
  for (auto at = row.series.begin(); at != row.series.end();) {
    const std::string place = place_of(*at);
    std::size_t passed = 0, runs = 0;
    std::vector<std::string> others;
    for (; at != row.series.end() && place_of(*at) == place; ++at) {
      if (at->verdict == RunVerdict::kPassed && at->same == at->runs) {
        ++passed;
        runs += at->runs;
      } else {
        others.push_back(fmt::format("{} {}", at->experiment, outcome_of(*at)));
      }
    }
    std::vector<std::string> parts;
    if (passed > 0) {
      parts.push_back(fmt::format("passed: {} experiment{}, {} run{}", passed,
                                  passed == 1 ? "" : "s", runs, runs == 1 ? "" : "s"));
    }
    parts.insert(parts.end(), others.begin(), others.end());
    lines.push_back(fmt::format("{}: {}", place, fmt::join(parts, "; ")));
  }
  return lines;
}

std::string tried_by(const PageStatement& statement, std::string_view separator) {
  std::vector<std::string> names = statement.experiments;
  names.insert(names.end(), statement.checks.begin(), statement.checks.end());
  if (!statement.note.empty()) names.push_back(statement.note);
  return fmt::format("{}", fmt::join(names, separator));
}

std::string in_cell(std::string text) {
  for (std::size_t at = text.find('|'); at != std::string::npos; at = text.find('|', at + 2)) {
    text.insert(at, "\\");
  }
  return text;
}

}  // namespace

Result<std::vector<PageRow>> page_verdicts(const PageTable& page, const Store* store) {
  std::map<Key, PageSeries> all;
  if (store != nullptr) {
    RunFilter filter;
    filter.limit = kAllRuns;
    ZQ_TRY(const std::vector<RunRecord> runs, store->runs(filter));
    all = series_of(runs);
  }
  std::vector<PageRow> rows;
  for (const PageStatement& statement : page.statements) {
    PageRow row{.statement = statement, .series = {}};
    for (const auto& [key, series] : all) {
      const auto& names = statement.experiments;
      if (std::find(names.begin(), names.end(), series.experiment) != names.end()) {
        row.series.push_back(series);
      }
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string page_text(const std::vector<PageRow>& rows, bool color) {
  std::string text;
  for (const PageRow& row : rows) {
    text += fmt::format("{}  {}\n", styled(row.statement.id, Style::kStrong, color),
                        row.statement.text);
    text += fmt::format("  tried by {}\n", tried_by(row.statement, ", "));
    if (row.series.empty() && !row.statement.experiments.empty()) text += "  not run yet\n";
    for (const PageSeries& series : row.series) {
      text += fmt::format("  {}  {}: {}, newest run {}\n",
                          styled(outcome_of(series), style_of(series.verdict), color),
                          series.experiment, place_of(series), series.newest);
    }
    text += '\n';
  }
  return text;
}

std::string page_markdown(const std::vector<PageRow>& rows) {
  std::string text =
      "| statement | the page says | tried by | verdicts |\n| --- | --- | --- | --- |\n";
  for (const PageRow& row : rows) {
    std::vector<std::string> lines = outcomes(row);
    if (lines.empty() && !row.statement.experiments.empty()) lines.emplace_back("not run yet");
    text += fmt::format("| {} | {} | {} | {} |\n", row.statement.id, in_cell(row.statement.text),
                        in_cell(tried_by(row.statement, ", ")),
                        in_cell(fmt::format("{}", fmt::join(lines, "<br>"))));
  }
  return text;
}

std::string page_json(const std::vector<PageRow>& rows) {
  auto document = nlohmann::json::array();
  for (const PageRow& row : rows) {
    auto series = nlohmann::json::array();
    for (const PageSeries& one : row.series) {
      series.push_back({{"experiment", one.experiment},
                        {"cluster", one.cluster},
                        {"version", one.version},
                        {"newest_run", one.newest},
                        {"verdict", std::string(to_string(one.verdict))},
                        {"runs", one.runs},
                        {"runs_with_this_verdict", one.same}});
    }
    document.push_back({{"id", row.statement.id},
                        {"topology", row.statement.topology},
                        {"kind", row.statement.kind},
                        {"text", row.statement.text},
                        {"experiments", row.statement.experiments},
                        {"checks", row.statement.checks},
                        {"note", row.statement.note},
                        {"series", std::move(series)}});
  }
  return document.dump(2) + "\n";
}

}  // namespace zq
