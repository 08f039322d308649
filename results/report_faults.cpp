// What was asked of the network and of processes, and what was measured.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <tuple>

#include "results/report_sections.h"
#include "results/table.h"

namespace zq {

namespace {

using Align = Table::Align;

bool is_share(const std::string& quantity) {
  return quantity == "loss" || quantity == "duplicate" || quantity == "reorder";
}

std::string amount(const std::string& quantity, double value) {
  if (is_share(quantity)) return fmt::format("{:.2f} %", value * 100);
  return fmt::format("{:.3f} {}", value, quantity == "rate_mbps" ? "Mbit/s" : "ms");
}

std::string tolerance(const MeasurementRecord& one) {
  if (is_share(one.quantity))
    return fmt::format("{:.2f} .. {:.2f} %", one.low * 100, one.high * 100);
  return fmt::format("{:.3f} .. {:.3f}", one.low, one.high);
}

// Nearly all of them are faults' phases.
std::string phase_of(const std::string& stage) {
  constexpr std::string_view kDuring = "during:";
  return stage.starts_with(kDuring) ? stage.substr(kDuring.size()) : stage;
}

std::string name_of(const std::string& quantity) {
  if (quantity == "rate_mbps") return "throughput";
  return quantity.substr(0, quantity.find('_'));
}

// All pairs of one border and direction: the one that is farthest from what was asked speaks.
struct Asked {
  const MeasurementRecord* worst = nullptr;
  double badness = -1;
  std::size_t pairs = 0, within = 0;
};

// 1 at the edge of what is within tolerance.
double badness_of(const MeasurementRecord& one) {
  if (!one.measured) return 0;
  const double room = *one.measured < one.asked ? one.asked - one.low : one.high - one.asked;
  const double off = std::abs(*one.measured - one.asked);
  return (one.within == "no" ? 1e6 : 0) + (room > 0 ? off / room : off);
}

std::string instant_or_never(const RunReport& report, const std::optional<std::int64_t>& at) {
  return at ? report.instant(*at) : std::string("never");
}

}  // namespace

std::string render_measurements(const RunReport& report) {
  if (report.measurements.empty()) return "";
  const auto groups = report.group_of_node();
  const auto group = [&](const std::string& node) {
    const auto found = groups.find(node);
    return found == groups.end() ? node : found->second;
  };
  std::vector<std::string> stages;  // in the order of time
  std::map<std::tuple<std::size_t, std::string, std::string, std::string, double>, Asked> borders;
  for (const MeasurementRecord& one : report.measurements) {
    auto stage = std::find(stages.begin(), stages.end(), one.stage);
    if (stage == stages.end()) stage = stages.insert(stages.end(), one.stage);
    Asked& border = borders[{static_cast<std::size_t>(stage - stages.begin()), group(one.from),
                             group(one.to), one.quantity, one.asked}];
    ++border.pairs;
    if (one.within == "yes") ++border.within;
    if (const double badness = badness_of(one); badness > border.badness) {
      border.badness = badness;
      border.worst = &one;
    }
  }
  Table table({{"Stage"},
               {"From"},
               {"To"},
               {"What"},
               {"Asked", Align::kRight},
               {"Measured", Align::kRight},
               {"Tolerance", Align::kRight},
               {"Samples", Align::kRight},
               {"Within"},
               {"Worst pair"}});
  std::size_t untouched = 0;  // comparisons of what nobody asked to change, and nobody has
  for (const auto& [key, border] : borders) {
    const auto& [stage, from, to, quantity, asked] = key;
    const MeasurementRecord& worst = *border.worst;
    const bool all = border.within == border.pairs;
    if (all && asked == 0) {
      untouched += border.pairs;
      continue;
    }
    table.add({{phase_of(stages[stage])},
               {from},
               {to},
               {name_of(quantity)},
               {amount(quantity, asked)},
               {worst.measured ? amount(quantity, *worst.measured) : "nothing"},
               {tolerance(worst)},
               {std::to_string(worst.samples)},
               {all ? fmt::format("all {}", border.pairs)
                    : fmt::format("{} of {}", border.within, border.pairs),
                all                    ? Style::kGood
                : worst.within == "no" ? Style::kBad
                                       : Style::kWarning},
               {fmt::format("{} -> {}", worst.from, worst.to)}});
  }
  std::string text =
      report.heading("Asked against measured: the worst pair of each border and direction");
  if (!table.empty()) text += table.render(report.width, report.color);
  if (untouched > 0) {
    text += fmt::format(
        "  {} of {} comparisons where nothing was asked for (before, during, after), "
        "all within tolerance\n",
        untouched, report.measurements.size());
  }
  return text;
}

std::string render_impairments(const RunReport& report) {
  struct Border {
    std::size_t nodes = 0, silent = 0;
    std::uint64_t packets = 0, segments = 0, lost = 0, duplicated = 0, held = 0;
    std::optional<std::int64_t> first, last;
  };
  using Window = std::pair<std::int64_t, std::string>;
  std::map<std::tuple<Window, std::string, std::string, std::string, std::string>, Border> borders;
  for (const FaultEvidenceRecord& one : report.evidence) {
    if (one.treatment != "impair") continue;
    const BorderName name = border_name(report, one.node, one.group, one.direction);
    Border& border =
        borders[{window_name(report, one), name.from, name.to, one.direction, one.asked}];
    ++border.nodes;
    if (one.impaired_packets == 0) ++border.silent;
    border.packets += one.impaired_packets;
    border.segments += one.impaired_segments;
    border.lost += one.lost_packets;
    border.duplicated += one.duplicated_packets;
    border.held += one.held_passed_packets;
    if (one.first_impaired_ns != 0) {
      const std::int64_t first = one.first_impaired_ns - one.from_mono_ns;
      border.first = std::min(border.first.value_or(first), first);
    }
    if (one.last_impaired_ns != 0) {
      const std::int64_t last = one.last_impaired_ns - one.until_mono_ns;
      border.last = std::max(border.last.value_or(last), last);
    }
  }
  if (borders.empty()) return "";
  Table table({{"From"},
               {"To"},
               {"Window"},
               {"Impairment"},
               {"At"},
               {"Nodes"},
               {"Packets", Align::kRight},
               {"Per packet", Align::kRight},
               {"Lost", Align::kRight},
               {"Doubled", Align::kRight},
               {"Held over", Align::kRight},
               {"First, last"}});
  for (const auto& [key, border] : borders) {
    const auto& [window, from, to, direction, asked] = key;
    table.add(
        {{from},
         {to},
         {window.second},
         {asked},
         {direction == "egress" ? "sender" : "receiver"},
         {border.silent == 0 ? fmt::format("all {}", border.nodes)
                             : fmt::format("{} of {}", border.nodes - border.silent, border.nodes),
          border.silent == 0 ? Style::kPlain : Style::kWarning},
         {std::to_string(border.packets), border.packets > 0 ? Style::kPlain : Style::kWarning},
         {border.packets > 0 ? fmt::format("{:.2f}", static_cast<double>(border.segments) /
                                                         static_cast<double>(border.packets))
                             : ""},
         {std::to_string(border.lost)},
         {std::to_string(border.duplicated)},
         {std::to_string(border.held)},
         {border.first && border.last
              ? fmt::format("{}, {}", signed_duration(*border.first), signed_duration(*border.last))
              : "none"}});
  }
  return report.heading(
             "Impairment evidence: packets inside the windows, wire packets per packet; first from "
             "the opening, last from the end") +
         table.render(report.width, report.color);
}

std::string render_queues(const RunReport& report) {
  if (report.queues.empty()) return "";
  struct Sum {
    std::size_t nodes = 0;
    std::uint64_t limit = 0, burst = 0, sent = 0, dropped = 0, discarded = 0;
    std::int64_t drain = 0;
  };
  std::map<std::tuple<std::string, std::string, std::string, std::string>, Sum> queues;
  for (const QueueRecord& one : report.queues) {
    const BorderName name = border_name(report, one.node, one.group, one.direction);
    Sum& sum = queues[{name.from, name.to, one.asked, one.lane + ", " + one.direction}];
    ++sum.nodes;
    sum.limit = std::max(sum.limit, one.limit_packets);
    if (one.rate_bps > 0) sum.burst = std::max(sum.burst, one.burst_bytes);
    sum.drain = std::max(sum.drain, one.drain_ns);
    sum.sent += one.sent_packets;
    sum.dropped += one.dropped_packets;
    sum.discarded += one.discarded_packets;
  }
  Table table({{"From"},
               {"To"},
               {"Impairment"},
               {"Lane"},
               {"Nodes", Align::kRight},
               {"Limit", Align::kRight},
               {"Burst", Align::kRight},
               {"Drains in", Align::kRight},
               {"Sent", Align::kRight},
               {"Overflowed", Align::kRight},
               {"Discarded", Align::kRight}});
  for (const auto& [key, sum] : queues) {
    const auto& [from, to, asked, lane] = key;
    table.add({{from},
               {to},
               {asked},
               {lane},
               {std::to_string(sum.nodes)},
               {std::to_string(sum.limit)},
               {std::to_string(sum.burst)},
               {format_duration(Nanos{sum.drain})},
               {std::to_string(sum.sent)},
               {std::to_string(sum.dropped), sum.dropped == 0 ? Style::kPlain : Style::kWarning},
               {std::to_string(sum.discarded)}});
  }
  return report.heading("Queues: largest limit in packets and burst in bytes, all nodes' packets") +
         table.render(report.width, report.color);
}

std::string render_processes(const RunReport& report) {
  if (report.processes.empty()) return "";
  Table table({{"Planned"},
               {"Node"},
               {"Step"},
               {"Target"},
               {"By"},
               {"Began"},
               {"Done"},
               {"Processes", Align::kRight},
               {"Result"}});
  for (const ProcessRecord& one : report.processes) {
    std::string result = one.error.empty() ? (one.done_mono_ns ? "done" : "not done") : one.error;
    if (!one.output.empty()) result += ": " + one.output;
    table.add({{report.instant(one.planned_mono_ns)},
               {one.node},
               {one.step},
               {one.target},
               {one.by_agent ? "agent" : "controller"},
               {instant_or_never(report, one.began_mono_ns)},
               {instant_or_never(report, one.done_mono_ns)},
               {one.by_agent ? std::to_string(one.processes) : ""},
               {result, one.error.empty() && one.done_mono_ns ? Style::kPlain : Style::kBad}});
  }
  return report.heading("Process steps") + table.render(report.width, report.color);
}

std::string render_capabilities(const RunReport& report) {
  std::map<std::string, std::vector<std::string>> nodes_by_text;
  std::map<std::string, std::set<std::string>> lanes;
  for (const QueueRecord& queue : report.queues) lanes[queue.node].insert(queue.lane);
  std::vector<std::string> agentless;
  for (const NodeRecord& node : report.nodes) {
    if (node.agentless()) agentless.push_back(node.name);
    const auto list = nlohmann::json::parse(node.capabilities, nullptr, false);
    if (!list.is_array() || list.empty()) continue;
    std::vector<std::string> present, missing;
    for (const auto& one : list) {
      if (!one.is_object()) continue;
      (one.value("present", false) ? present : missing).push_back(one.value("name", ""));
    }
    std::string text = fmt::format("has {}", fmt::join(present, ", "));
    if (!missing.empty()) text += fmt::format("; lacks {}", fmt::join(missing, ", "));
    if (!lanes[node.name].empty()) {
      text += fmt::format("; packets were held by {}", fmt::join(lanes[node.name], ", "));
    }
    nodes_by_text[text].push_back(node.name);
  }
  if (nodes_by_text.empty() && agentless.empty()) return "";
  std::string text = report.heading("What the nodes can do, and what was used");
  const auto put = [&](const std::vector<std::string>& nodes, const std::string& what) {
    for (const std::string& line :
         wrap(fmt::format("{}: {}", fmt::join(nodes, " "), what), report.width - 2)) {
      text += "  " + line + "\n";
    }
  };
  for (const auto& [what, nodes] : nodes_by_text) put(nodes, what);
  if (!agentless.empty()) put(agentless, "no agent; the other side does its part");
  return text;
}

}  // namespace zq
