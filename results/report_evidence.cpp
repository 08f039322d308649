// What the kernels and the probes say: windows, paths, and what is left on the nodes.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <tuple>

#include "results/dump_difference.h"
#include "results/fault_start.h"
#include "results/path_passes.h"
#include "results/report_sections.h"
#include "results/table.h"

namespace zq {

namespace {

constexpr std::size_t kDiffLinesShown = 20;

// All nodes of one group at one border, in one window.
struct Border {
  std::size_t nodes = 0;
  std::size_t silent = 0;  // nodes that dropped nothing
  std::uint64_t dropped = 0, passed = 0, exempt = 0;
  // Relative to the window's opening.
  std::optional<std::int64_t> last_passed, first_dropped, last_first_dropped;
};

void keep_least(std::optional<std::int64_t>& kept, std::int64_t value) {
  kept = kept ? std::min(*kept, value) : value;
}
void keep_most(std::optional<std::int64_t>& kept, std::int64_t value) {
  kept = kept ? std::max(*kept, value) : value;
}

void add(Border& border, const FaultEvidenceRecord& one) {
  ++border.nodes;
  border.dropped += one.dropped_packets;
  border.passed += one.passed_packets;
  border.exempt += one.exempt_packets;
  if (one.last_passed_ns != 0) {
    keep_most(border.last_passed, one.last_passed_ns - one.from_mono_ns);
  }
  if (one.first_dropped_ns == 0) {
    ++border.silent;
    return;
  }
  keep_least(border.first_dropped, one.first_dropped_ns - one.from_mono_ns);
  keep_most(border.last_first_dropped, one.first_dropped_ns - one.from_mono_ns);
}

std::string offset(const std::optional<std::int64_t>& ns) {
  return ns ? signed_duration(*ns) : "none";
}

std::string first_drops(const Border& border) {
  if (!border.first_dropped) return "none";
  if (*border.first_dropped == *border.last_first_dropped) return offset(border.first_dropped);
  return fmt::format("{} to {}", offset(border.first_dropped), offset(border.last_first_dropped));
}

// "all 3", "2 of 3": on how many nodes packets were dropped.
std::string dropping_nodes(const Border& border) {
  if (border.silent == 0) return fmt::format("all {}", border.nodes);
  return fmt::format("{} of {}", border.nodes - border.silent, border.nodes);
}

// How exactly the fault began, over all borders whose window opens at T.
std::string fault_start_line(const RunReport& report) {
  if (!report.run.fault_mono_ns) return "";
  const FaultStart start = fault_start(mono_from_ns(*report.run.fault_mono_ns), report.evidence);
  return start.nodes.empty() ? "" : "  " + start.to_string() + "\n";
}

// All paths between two groups in one stage.
struct Crossing {
  std::size_t paths = 0, untested = 0, wrong = 0;
  std::uint64_t sent = 0, received = 0;
  bool expected_cut = false;
};

// Whether probes crossed as the plan says.
bool as_expected(const PathRecord& path) {
  if (path.expected_cut) return path.received == 0 && path.received_in_window == 0;
  return path_passes(path);
}

void add(Crossing& crossing, const PathRecord& path) {
  // Senders do not know of cuts of a part of the traffic as windows of theirs.
  const std::uint64_t sent =
      path.expected_cut && path.sent_in_window > 0 ? path.sent_in_window : path.sent;
  ++crossing.paths;
  crossing.sent += sent;
  crossing.received += path.received;
  crossing.expected_cut = crossing.expected_cut || path.expected_cut;
  if (sent == 0 && path.received == 0) {
    ++crossing.untested;
  } else if (!as_expected(path)) {
    ++crossing.wrong;
  }
}

Table::Cell crossing_cell(const Crossing& crossing) {
  const std::string counts = fmt::format("{}/{}", crossing.received, crossing.sent);
  if (crossing.paths == 0) return {""};
  if (crossing.wrong > 0) {
    return {fmt::format("{} on {} of {} paths, {}", crossing.expected_cut ? "LEAK" : "LOST",
                        crossing.wrong, crossing.paths, counts),
            Style::kBad};
  }
  if (crossing.untested == crossing.paths) return {"untested", Style::kWarning};
  const std::string state = crossing.expected_cut ? "cut " : "open ";
  if (crossing.untested == 0) return {state + counts, Style::kGood};
  return {fmt::format("{}{}, {} of {} untested", state, counts, crossing.untested, crossing.paths),
          Style::kWarning};
}

std::string difference(const NodeRecord& node, bool color) {
  const std::vector<std::string> lines = dump_difference(node.dump_before, node.dump_after);
  if (lines.empty()) {
    return "    " + styled("the same lines in another order", Style::kWarning, color) + "\n";
  }
  std::string text;
  for (std::size_t i = 0; i < std::min(lines.size(), kDiffLinesShown); ++i) {
    const Style style = lines[i].starts_with('-') ? Style::kBad : Style::kWarning;
    text += fmt::format("    {}\n", styled(lines[i], style, color));
  }
  if (lines.size() > kDiffLinesShown) {
    text += fmt::format("    and {} more lines\n", lines.size() - kDiffLinesShown);
  }
  return text;
}

}  // namespace

std::map<std::uint32_t, std::string> RunReport::group_names() const {
  std::map<std::uint32_t, std::vector<std::string>> zones;
  std::map<std::string, std::set<std::uint32_t>> groups_in_zone;
  for (const NodeRecord& node : nodes) {
    std::vector<std::string>& list = zones[node.group];
    if (std::find(list.begin(), list.end(), node.zone) == list.end()) list.push_back(node.zone);
    groups_in_zone[node.zone].insert(node.group);
  }
  std::map<std::uint32_t, std::string> names;
  for (const auto& [group, list] : zones) {
    const bool own_zones = std::all_of(list.begin(), list.end(), [&](const std::string& zone) {
      return groups_in_zone[zone].size() == 1;
    });
    names[group] = own_zones ? fmt::format("{}", fmt::join(list, "+"))
                             : fmt::format("group {} ({})", group, fmt::join(list, "+"));
  }
  return names;
}

std::map<std::string, std::string> RunReport::group_of_node() const {
  const auto names = group_names();
  std::map<std::string, std::string> result;
  for (const NodeRecord& node : nodes) result[node.name] = names.at(node.group);
  return result;
}

std::pair<std::int64_t, std::string> window_name(const RunReport& report,
                                                 const FaultEvidenceRecord& one) {
  if (!report.run.fault_mono_ns || report.phases.empty()) {
    return {one.from_mono_ns, fmt::format("{} to {}", report.instant(one.from_mono_ns),
                                          report.instant(one.until_mono_ns))};
  }
  const auto nearest = [&](std::int64_t mono_ns, auto border) {
    const std::int64_t at = mono_ns - *report.run.fault_mono_ns;
    return std::min_element(report.phases.begin(), report.phases.end(),
                            [&](const PhaseRecord& a, const PhaseRecord& b) {
                              return std::abs(a.*border - at) < std::abs(b.*border - at);
                            });
  };
  const auto first = nearest(one.from_mono_ns, &PhaseRecord::planned_from_ns);
  const auto last = nearest(one.until_mono_ns, &PhaseRecord::planned_until_ns);
  std::string name = first->name;
  if (last > first) name += " to " + last->name;
  return {first - report.phases.begin(), std::move(name)};
}

BorderName border_name(const RunReport& report, const std::string& node, std::uint32_t group,
                       const std::string& direction) {
  const auto own_group = report.group_of_node();
  const auto names = report.group_names();
  const auto own = own_group.find(node);
  const auto peer = names.find(group);
  const std::string here = own == own_group.end() ? node : own->second;
  const std::string there = peer == names.end() ? fmt::format("group {}", group) : peer->second;
  return direction == "egress" ? BorderName{here, there} : BorderName{there, here};
}

std::string render_evidence(const RunReport& report) {
  using Align = Table::Align;
  using Window = std::pair<std::int64_t, std::string>;
  std::map<std::tuple<Window, std::string, std::string, std::string, std::string>, Border> borders;
  for (const FaultEvidenceRecord& one : report.evidence) {
    if (one.treatment == "impair") continue;
    const BorderName border = border_name(report, one.node, one.group, one.direction);
    add(borders[{window_name(report, one), border.from, border.to, one.direction,
                 one.asked.empty() ? one.treatment : one.asked}],
        one);
  }
  if (borders.empty()) return "";
  Table table({{"From"},
               {"To"},
               {"Window"},
               {"Fault"},
               {"Dropped at"},
               {"Nodes"},
               {"Dropped", Align::kRight},
               {"Passed", Align::kRight},
               {"Exempt", Align::kRight},
               {"Last pass"},
               {"First drop"}});
  for (const auto& [key, border] : borders) {
    const auto& [window, from, to, direction, fault] = key;
    const bool sender = direction == "egress";
    const Style missing = sender ? Style::kWarning : Style::kPlain;
    table.add({{from},
               {to},
               {window.second},
               {fault},
               {sender ? "sender" : "receiver"},
               {dropping_nodes(border), border.silent == 0 ? Style::kPlain : missing},
               {std::to_string(border.dropped), border.dropped > 0 ? Style::kPlain : missing},
               {std::to_string(border.passed), border.passed == 0 ? Style::kGood : Style::kBad},
               {std::to_string(border.exempt)},
               {offset(border.last_passed)},
               {first_drops(border)}});
  }
  return report.heading("Fault evidence: packets inside the windows; times from the opening") +
         table.render(report.width, report.color) + fault_start_line(report);
}

std::string render_paths(const RunReport& report) {
  if (report.paths.empty()) return "";
  const auto groups = report.group_of_node();
  const auto name = [&](const std::string& node) {
    const auto found = groups.find(node);
    return found == groups.end() ? node : found->second;
  };
  std::vector<std::string> stages;
  std::map<std::pair<std::string, std::string>, std::map<std::string, Crossing>> crossings;
  for (const PathRecord& path : report.paths) {
    if (std::find(stages.begin(), stages.end(), path.stage) == stages.end()) {
      stages.push_back(path.stage);
    }
    add(crossings[{name(path.from), name(path.to)}][path.stage], path);
  }
  std::vector<Table::Column> columns{{"From"}, {"To"}};
  for (const std::string& stage : stages) columns.push_back({stage});
  Table table(std::move(columns));
  for (auto& [pair, by_stage] : crossings) {
    std::vector<Table::Cell> row{{pair.first}, {pair.second}};
    for (const std::string& stage : stages) row.push_back(crossing_cell(by_stage[stage]));
    table.add(std::move(row));
  }
  return report.heading("Paths: probes received/sent") + table.render(report.width, report.color);
}

std::string render_dumps(const RunReport& report) {
  std::vector<std::string> missing;
  std::string differences;
  std::size_t equal = 0;
  std::size_t with_agent = 0;
  for (const NodeRecord& node : report.nodes) {
    if (node.agentless()) continue;
    ++with_agent;
    if (node.dump_before.empty() || node.dump_after.empty()) {
      missing.push_back(node.name);
    } else if (node.dump_before == node.dump_after) {
      ++equal;
    } else {
      differences +=
          fmt::format("  {}: {}\n", node.name, styled("differs", Style::kBad, report.color)) +
          difference(node, report.color);
    }
  }
  if (report.nodes.empty()) return "";
  std::string text = report.heading("What the nodes' networks looked like before and after");
  if (equal > 0) {
    text += fmt::format("  {} on {} of {} nodes\n", styled("identical", Style::kGood, report.color),
                        equal, with_agent);
  }
  text += differences;
  if (!missing.empty()) {
    text += fmt::format("  {} on: {}\n", styled("not taken", Style::kWarning, report.color),
                        fmt::join(missing, ", "));
  }
  return text;
}

}  // namespace zq
