#include "results/report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "results/report_sections.h"

namespace zq {

namespace {

constexpr std::size_t kEventsShown = 60;

std::string number(double value) {
  if (std::fabs(value) < 1e15 && std::floor(value) == value) return fmt::format("{:.0f}", value);
  std::string text = fmt::format("{:.3f}", value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string quantity(double value, const std::string& unit) {
  if (unit == "s") return format_duration(from_seconds(value));
  return unit.empty() ? number(value) : number(value) + " " + unit;
}

Style style_of_expectation(const std::string& verdict) {
  if (verdict == "confirmed") return Style::kGood;
  if (verdict == "refuted") return Style::kBad;
  return Style::kWarning;
}

std::string join_map(const std::map<std::string, std::string>& map, std::string_view sign) {
  std::string text;
  for (const auto& [name, value] : map) {
    text += fmt::format("{}{}{}{}", text.empty() ? "" : ", ", name, sign, value);
  }
  return text;
}

// "name       value", wrapped behind the name.
std::string field(const RunReport& report, std::string_view name, const std::string& value) {
  constexpr std::size_t kBehind = 14;
  if (value.empty()) return "";
  std::string text;
  for (const std::string& line :
       wrap(value, report.width > kBehind + 20 ? report.width - kBehind : 20)) {
    text += fmt::format("  {:<{}}{}\n", text.empty() ? name : "", kBehind - 2, line);
  }
  return text;
}

std::string observed(const VerdictRecord& verdict) {
  std::string text = verdict.verdict;
  if (verdict.measured) text += ": " + quantity(*verdict.measured, verdict.unit);
  if (verdict.bound) text += " (bound " + quantity(*verdict.bound, verdict.unit) + ")";
  return text;
}

std::string margin(const VerdictRecord& verdict) {
  if (!verdict.margin) return "";
  return (*verdict.margin > 0 ? "+" : "") + quantity(*verdict.margin, verdict.unit);
}

Result<RunReport> load(const Store& store, RunId run) {
  RunReport report;
  ZQ_TRY(report.run, store.run(run));
  ZQ_TRY(report.phases, store.phases(run));
  ZQ_TRY(report.nodes, store.nodes(run));
  ZQ_TRY(report.verdicts, store.verdicts(run));
  ZQ_TRY(report.evidence, store.evidence(run));
  ZQ_TRY(report.paths, store.paths(run));
  ZQ_TRY(report.measurements, store.measurements(run));
  ZQ_TRY(report.queues, store.queues(run));
  ZQ_TRY(report.processes, store.processes(run));
  ZQ_TRY(report.events, store.events(run));
  return report;
}

std::string took(const RunRecord& run) {
  if (!run.ended_wall_ns) return "";
  return format_duration(Nanos{*run.ended_wall_ns - run.started_wall_ns});
}

}  // namespace

std::string signed_duration(std::int64_t ns) {
  return (ns < 0 ? "-" : "+") + format_duration(Nanos{std::abs(ns)});
}

std::string around_fault(std::int64_t ns) { return ns == 0 ? "T" : "T" + signed_duration(ns); }

std::string RunReport::instant(std::int64_t mono_ns) const {
  if (!run.fault_mono_ns) return signed_duration(mono_ns - run.started_mono_ns);
  return around_fault(mono_ns - *run.fault_mono_ns);
}

std::string RunReport::heading(const std::string& title) const {
  return "\n" + styled(title, Style::kStrong, color) + "\n";
}

Style style_of(RunVerdict verdict) {
  switch (verdict) {
    case RunVerdict::kPassed:
      return Style::kGood;
    case RunVerdict::kFailed:
      return Style::kBad;
    default:
      return Style::kWarning;
  }
}

std::string render_header(const RunReport& report) {
  const RunRecord& run = report.run;
  std::string text = styled(
      fmt::format("Run {}: {}{}", run.id, run.caveat.empty() ? "" : run.caveat + ", ", run.title),
      Style::kStrong, report.color);
  text += "\n" + field(report, "verdict",
                       styled(to_string(run.verdict), style_of(run.verdict), report.color));
  text += field(report, "because", run.reason);
  const auto judged =
      std::find_if(report.events.rbegin(), report.events.rend(),
                   [](const EventRecord& event) { return event.kind == kJudgedEvent; });
  if (judged != report.events.rend()) text += field(report, "", judged->text);
  text +=
      field(report, "cluster",
            run.cluster_path.empty() ? run.cluster_name
                                     : fmt::format("{} ({})", run.cluster_name, run.cluster_path));
  text += field(report, "experiment", run.experiment_path);
  const std::string lasted = took(run);
  text += field(report, "started",
                fmt::format("{}{}", format_wall(run.started_wall_ns),
                            lasted.empty() ? "" : ", took " + lasted));
  if (run.fault_mono_ns) {
    text += field(report, "fault at",
                  fmt::format("T = start {}, clocks of nodes known to {}",
                              signed_duration(*run.fault_mono_ns - run.started_mono_ns),
                              format_duration(Nanos{run.uncertainty_ns})));
  }
  text += field(report, "labels", join_map(run.labels, "="));
  text += field(report, "versions", join_map(run.versions, " "));
  std::map<std::string, std::string> variables;
  for (const auto& [name, value] : run.variables) variables[name] = number(value);
  text += field(report, "variables", join_map(variables, " = "));
  return text;
}

std::string render_verdicts(const RunReport& report) {
  if (report.verdicts.empty()) return "";
  Table table({{"Caveat"}, {"Predicted"}, {"Observed"}, {"Evidence"}, {"Margin"}});
  for (const VerdictRecord& verdict : report.verdicts) {
    const std::string& prediction = verdict.page.empty() ? verdict.predicted : verdict.page;
    table.add({{report.run.caveat},
               {fmt::format("{}: {}", verdict.expectation, prediction)},
               {observed(verdict), style_of_expectation(verdict.verdict)},
               {verdict.evidence},
               {margin(verdict)}});
  }
  return report.heading("Predictions") + table.render(report.width, report.color);
}

std::string render_phases(const RunReport& report) {
  if (report.phases.empty()) return "";
  Table table({{"Phase"}, {"Planned"}, {"Actual"}, {"Lasted"}});
  for (const PhaseRecord& phase : report.phases) {
    const auto actual = [&](const std::optional<std::int64_t>& at) {
      return at ? report.instant(*at) : std::string("never");
    };
    const bool whole = phase.from_mono_ns && phase.until_mono_ns;
    table.add({{phase.name},
               {fmt::format("{} to {}", around_fault(phase.planned_from_ns),
                            around_fault(phase.planned_until_ns))},
               {phase.from_mono_ns ? fmt::format("{} to {}", actual(phase.from_mono_ns),
                                                 actual(phase.until_mono_ns))
                                   : "not reached",
                whole ? Style::kPlain : Style::kWarning},
               {whole ? format_duration(Nanos{*phase.until_mono_ns - *phase.from_mono_ns}) : ""}});
  }
  return report.heading("Phases") + table.render(report.width, report.color);
}

std::string render_events(const RunReport& report) {
  if (report.events.empty()) return "";
  Table table({{"When"}, {"Kind"}, {"Node"}, {"What"}});
  const std::size_t skipped =
      report.events.size() > kEventsShown ? report.events.size() - kEventsShown : 0;
  for (std::size_t i = 0; i < report.events.size(); ++i) {
    const EventRecord& event = report.events[i];
    const bool violation = event.kind == "violation";
    if (i < skipped && !violation) continue;
    table.add({{report.instant(event.at_mono_ns)},
               {event.kind, violation ? Style::kBad : Style::kPlain},
               {event.node},
               {event.text}});
  }
  std::string title = "Events";
  if (skipped > 0) {
    title +=
        fmt::format(" (the newest {} of {}; --json gives all)", kEventsShown, report.events.size());
  }
  return report.heading(title) + table.render(report.width, report.color);
}

Result<std::string> render_run(const Store& store, RunId run, bool color, std::size_t width) {
  ZQ_TRY(RunReport report, load(store, run));
  report.color = color;
  report.width = width == 0 ? terminal_width() : width;
  return render_header(report) + render_verdicts(report) + render_phases(report) +
         render_processes(report) + render_measurements(report) + render_evidence(report) +
         render_impairments(report) + render_queues(report) + render_paths(report) +
         render_capabilities(report) + render_dumps(report) + render_events(report);
}

std::string render_runs(std::span<const RunRecord> runs, bool color, std::size_t width) {
  using Align = Table::Align;
  if (runs.empty()) return "no runs\n";
  Table table({{"Run", Align::kRight},
               {"Started"},
               {"Took"},
               {"Verdict"},
               {"Caveat"},
               {"Title"},
               {"Cluster"},
               {"Labels"}});
  for (const RunRecord& run : runs) {
    table.add({{std::to_string(run.id)},
               {format_wall(run.started_wall_ns).substr(0, 19) + "Z"},
               {took(run)},
               {std::string(to_string(run.verdict)), style_of(run.verdict)},
               {run.caveat},
               {run.title},
               {run.cluster_name},
               {join_map(run.labels, "=")}});
  }
  return table.render(width == 0 ? terminal_width() : width, color);
}

}  // namespace zq
