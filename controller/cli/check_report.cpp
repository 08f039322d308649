#include "controller/cli/check_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace zq {
namespace {

using nlohmann::json;

const char* color_of(CheckStatus status) {
  switch (status) {
    case CheckStatus::kPassed:
      return "\x1b[32m";
    case CheckStatus::kFailed:
      return "\x1b[31m";
    case CheckStatus::kCannotTell:
      return "\x1b[33m";
    default:
      return "\x1b[2m";
  }
}

std::string status_text(CheckStatus status, bool color) {
  const std::string text = fmt::format("{:<14}", to_string(status));
  return color ? color_of(status) + text + "\x1b[0m" : text;
}

std::string details(const CheckResult& result, bool color) {
  std::string text =
      fmt::format("{}  {}  {}\n", result.id, status_text(result.status, color), result.title);
  if (result.status == CheckStatus::kNotApplicable) {
    for (const std::string& line : result.seen) text += fmt::format("      {}\n", line);
    return text;
  }
  text += fmt::format("      \"{}\"\n", result.recommendation);
  for (const std::string& line : result.seen) {
    const bool wrong =
        std::find(result.wrong.begin(), result.wrong.end(), line) != result.wrong.end();
    text += fmt::format("      {} {}\n", wrong ? "!" : "-", line);
  }
  for (const std::string& line : result.unknown) text += fmt::format("      ? {}\n", line);
  if (!result.to_do.empty()) text += fmt::format("      to do: {}\n", result.to_do);
  return text;
}

std::string summary(const CheckReport& report) {
  std::map<CheckStatus, unsigned> counts;
  for (const CheckResult& result : report.checks) ++counts[result.status];
  return fmt::format("{} passed, {} failed, {} cannot be told, {} not applicable\n",
                     counts[CheckStatus::kPassed], counts[CheckStatus::kFailed],
                     counts[CheckStatus::kCannotTell], counts[CheckStatus::kNotApplicable]);
}

json prediction_json(const ZonePrediction& loss) {
  json apps = json::array();
  for (const auto& [key, app] : loss.prediction.apps) {
    apps.push_back({{"system", key.first},
                    {"app", key.second},
                    {"lost", app.lost},
                    {"moved", app.moved},
                    {"predicted_waiting", app.waiting},
                    {"left", app.left},
                    {"why", app.why}});
  }
  return {{"zone", loss.zone},
          {"predicted_waiting", loss.prediction.waiting()},
          {"unknown", loss.prediction.unknown},
          {"apps", std::move(apps)}};
}

template <class T>
json or_null(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

}  // namespace

std::string render_checks(const CheckReport& report, const Cluster& cluster, const Facts& facts,
                          bool table, bool color) {
  std::string text = fmt::format("{}: {} ({})\n", cluster.name, to_string(report.topology),
                                 describe(report.topology));
  if (table) {
    text += "\n";
    for (const CheckResult& result : report.checks) {
      text +=
          fmt::format("  {}  {}  {}\n", result.id, status_text(result.status, color), result.title);
    }
    text += "\n";
  }
  for (const std::string& warning : report.warnings) text += fmt::format("warning: {}\n", warning);
  for (const CheckResult& result : report.checks) text += details(result, color);
  for (const auto& [node, why] : facts.unchecked) {
    text += fmt::format("not checked: {}: {}\n", cluster.nodes[node].name, why);
  }
  return text + summary(report);
}

std::string checks_json(const CheckReport& report, const Cluster& cluster, const Facts& facts) {
  json checks = json::array();
  for (const CheckResult& result : report.checks) {
    std::vector<std::string> topologies;
    for (const Topology topology : result.topologies) topologies.push_back(to_string(topology));
    checks.push_back({{"id", result.id},
                      {"title", result.title},
                      {"recommendation", result.recommendation},
                      {"topologies", topologies},
                      {"status", to_string(result.status)},
                      {"seen", result.seen},
                      {"wrong", result.wrong},
                      {"unknown", result.unknown},
                      {"to_do", result.to_do}});
  }
  json losses = json::array(), paths = json::array(), unchecked = json::array();
  for (const ZonePrediction& loss : report.losses) losses.push_back(prediction_json(loss));
  for (const PathFacts& path : facts.paths) {
    paths.push_back({{"from", cluster.nodes[path.from].name},
                     {"to", cluster.nodes[path.to].name},
                     {"address", path.address},
                     {"sent", path.sent},
                     {"answered", path.received},
                     {"rtt_p50_ms", or_null(path.rtt_p50_ms)},
                     {"rtt_p99_ms", or_null(path.rtt_p99_ms)},
                     {"throughput_mbps", or_null(path.throughput_mbps)}});
  }
  for (const auto& [node, why] : facts.unchecked) {
    unchecked.push_back({{"node", cluster.nodes[node].name}, {"why", why}});
  }
  const json document = {
      {"cluster", cluster.name},           {"topology", to_string(report.topology)},
      {"warnings", report.warnings},       {"checks", std::move(checks)},
      {"losses", std::move(losses)},       {"paths", std::move(paths)},
      {"unchecked", std::move(unchecked)}, {"missing", facts.missing}};
  return document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace zq
