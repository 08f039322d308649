#include "controller/cli/terminal.h"

#include <unistd.h>

#include <algorithm>
#include <map>

#include "results/table.h"

namespace zq {
namespace {

constexpr Nanos kPlainInterval = std::chrono::seconds(10);

std::string label_of(const Series& series, const char* name) {
  const auto found = series.labels.find(name);
  return found == series.labels.end() ? std::string() : found->second;
}

}  // namespace

std::string signal_summary(const std::vector<Series>& series, MonoTime now) {
  struct Count {
    double sum = 0;
    bool unknown = false;
  };
  std::map<std::string, Count> answers;
  std::map<std::string, std::vector<std::string>> leaders;
  std::map<std::string, double> written;
  for (const Series& one : series) {
    const auto value = one.at(now);
    if (one.signal == "app.answers") {
      Count& count = answers[label_of(one, "zone")];
      count.sum += value.value_or(0);
      count.unknown = count.unknown || !value;
    } else if (one.signal.ends_with(".leads") && value.value_or(0) > 0) {
      auto& nodes = leaders[label_of(one, "system")];
      const std::string node = label_of(one, "node");
      if (std::find(nodes.begin(), nodes.end(), node) == nodes.end()) nodes.push_back(node);
    } else if (one.signal == "write.acknowledged" && value) {
      written[label_of(one, "zone")] += *value;
    }
  }
  std::vector<std::string> parts;
  if (!answers.empty()) {
    std::string part = "answering";
    for (const auto& [zone, count] : answers) {
      part += fmt::format(" {}={}{}", zone, count.sum, count.unknown ? "?" : "");
    }
    parts.push_back(part);
  }
  for (const auto& [system, nodes] : leaders) {
    parts.push_back(fmt::format("{} led by {}", system, fmt::join(nodes, "+")));
  }
  if (!written.empty()) {
    std::string part = "acknowledged";
    for (const auto& [zone, count] : written) part += fmt::format(" {}={}", zone, count);
    parts.push_back(part);
  }
  return fmt::format("{}", fmt::join(parts, "; "));
}

TerminalListener::TerminalListener(std::FILE* out, std::string title)
    : out_(out),
      title_(std::move(title)),
      live_(::isatty(::fileno(out)) == 1),
      color_(wants_color(::fileno(out))) {}

TerminalListener::~TerminalListener() { clear_status(); }

void TerminalListener::clear_status() {
  if (!status_shown_) return;
  std::fputs("\r\x1b[K", out_);
  status_shown_ = false;
}

void TerminalListener::line(const std::string& text) {
  clear_status();
  std::fputs((text + "\n").c_str(), out_);
  std::fflush(out_);
}

void TerminalListener::run_started(RunId run) { line(fmt::format("run {}: {}", run, title_)); }

void TerminalListener::step(const std::string& text) { line("  " + text); }

void TerminalListener::planned(const Plan& plan) {
  const BlastRadius& blast = plan.blast;
  if (blast.nodes_impaired.empty()) {
    line("  plan: no fault (control run)");
    return;
  }
  line(fmt::format("  plan: {} nodes impaired, {} of {} node pairs, zones {}",
                   blast.nodes_impaired.size(), blast.pairs_impaired, blast.pairs_total,
                   fmt::join(blast.zones_cut, " ")));
}

void TerminalListener::phase(const std::string& name, Nanos planned) {
  line(fmt::format("{}{}{} for {}", color_ ? "\x1b[1m" : "", name, color_ ? "\x1b[0m" : "",
                   format_duration(planned)));
  last_summary_.clear();
  last_printed_ = Nanos{};
}

void TerminalListener::tick(const std::string& phase, Nanos elapsed, Nanos planned,
                            const std::vector<Series>& series) {
  const std::string summary = signal_summary(series, mono_now());
  const auto whole = [](Nanos time) { return std::chrono::floor<std::chrono::seconds>(time); };
  std::string text = fmt::format("  {} {:>3}s/{}s  {}", phase, whole(elapsed).count(),
                                 whole(planned).count(), summary);
  if (live_) {
    const std::size_t width = terminal_width();
    if (text.size() >= width) text.resize(width - 1);
    std::fputs(("\r\x1b[K" + text).c_str(), out_);
    std::fflush(out_);
    status_shown_ = true;
    return;
  }
  if (summary == last_summary_ && elapsed - last_printed_ < kPlainInterval) return;
  last_summary_ = summary;
  last_printed_ = elapsed;
  line(text);
}

void TerminalListener::trouble(const std::string& text) {
  line(fmt::format("  {}{}{}", color_ ? "\x1b[31m" : "", text, color_ ? "\x1b[0m" : ""));
}

}  // namespace zq
