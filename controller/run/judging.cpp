#include "controller/run/judging.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

namespace zq {
namespace {

// The plan's selections as stored: {"selections": {"cut": ["b1", "b2"]}}.
Status read_selections(const RunRecord& record, const std::vector<NodeRecord>& nodes,
                       JudgeContext& context) {
  if (record.plan_json.empty()) return {};
  const auto plan = nlohmann::json::parse(record.plan_json, nullptr, false);
  if (plan.is_discarded()) {
    return fail(ErrorCode::kInternal, "run {}: its stored plan is not JSON", record.id);
  }
  const auto selections = plan.find("selections");
  if (selections == plan.end()) return {};
  for (const auto& [name, members] : selections->items()) {
    std::set<std::string> zones;
    for (const auto& member : members) {
      const std::string node = member.get<std::string>();
      context.selected_nodes[name].push_back(node);
      const auto known = std::find_if(nodes.begin(), nodes.end(),
                                      [&](const NodeRecord& n) { return n.name == node; });
      if (known != nodes.end()) zones.insert(known->zone);
    }
    context.selected_zones[name].assign(zones.begin(), zones.end());
  }
  return {};
}

std::string predicted(const Expectation& expectation) {
  switch (expectation.temporal) {
    case Temporal::kAlways:
      return "always " + expectation.condition.text();
    case Temporal::kNever:
      return "never " + expectation.condition.text();
    case Temporal::kEventually:
      break;
  }
  return fmt::format("{} within {}", expectation.condition.text(),
                     expectation.within ? expectation.within->text() : "the phase");
}

}  // namespace

Judged summarise(std::vector<Verdict> verdicts) {
  Judged judged;
  std::vector<std::string> refuted, open;
  for (const Verdict& verdict : verdicts) {
    if (verdict.kind == VerdictKind::kRefuted) refuted.push_back(verdict.expectation);
    if (verdict.kind == VerdictKind::kInconclusive) open.push_back(verdict.expectation);
  }
  judged.verdicts = std::move(verdicts);
  if (!refuted.empty()) {
    judged.verdict = RunVerdict::kFailed;
    judged.reason = fmt::format("refuted: {}", fmt::join(refuted, ", "));
  } else if (!open.empty()) {
    judged.verdict = RunVerdict::kInconclusive;
    judged.reason = fmt::format("inconclusive: {}", fmt::join(open, ", "));
  } else {
    judged.verdict = RunVerdict::kPassed;
  }
  return judged;
}

std::vector<KnownDeviation> deviations_of(const RunRecord& record, const Experiment& experiment,
                                          std::span<const Deviation> deviations) {
  std::vector<KnownDeviation> known;
  const auto cluster = parse_cluster(record.cluster_text, record.cluster_path);
  if (!cluster) return known;
  const std::string name = std::filesystem::path(record.experiment_path).stem().string();
  for (const Deviation& deviation : deviations) {
    const auto& names = deviation.experiments;
    if (std::find(names.begin(), names.end(), name) == names.end()) continue;
    const bool affected = std::any_of(
        cluster->systems.begin(), cluster->systems.end(), [&](const SystemSpec& system) {
          const auto version = record.versions.find(system.name);
          return system.kind == deviation.system && version != record.versions.end() &&
                 deviation.versions.contains(version->second);
        });
    const auto expected =
        std::find_if(experiment.expectations.begin(), experiment.expectations.end(),
                     [&](const Expectation& one) { return one.id == deviation.expectation; });
    if (!affected || expected == experiment.expectations.end()) continue;
    KnownDeviation found{
        .id = deviation.id, .expectation = deviation.expectation, .instead = deviation.instead};
    if (found.instead.during.empty()) found.instead.during = expected->during;
    known.push_back(std::move(found));
  }
  return known;
}

Result<Judged> judge_recorded(Store& store, RunId run, const Experiment& experiment,
                              std::span<const Deviation> deviations) {
  ZQ_TRY(const RunRecord record, store.run(run));
  ZQ_TRY(const std::vector<NodeRecord> nodes, store.nodes(run));
  ZQ_TRY(const std::vector<PhaseRecord> phases, store.phases(run));
  ZQ_TRY(const std::vector<Series> series, store.series(run));

  JudgeContext context;
  context.variables = record.variables;
  context.uncertainty = Nanos{record.uncertainty_ns};
  for (const PhaseRecord& phase : phases) {
    if (!phase.from_mono_ns || !phase.until_mono_ns) continue;
    context.phases.push_back({.name = phase.name,
                              .from = mono_from_ns(*phase.from_mono_ns),
                              .until = mono_from_ns(*phase.until_mono_ns)});
  }
  ZQ_CHECK(read_selections(record, nodes, context));
  context.known_deviations = deviations_of(record, experiment, deviations);
  Judged judged = summarise(judge_all(experiment, context, series));

  ZQ_TRY(const std::vector<EventRecord> events, store.events(run));
  for (const EventRecord& event : events) {
    if (event.kind != kInconclusiveEvent || judged.verdict != RunVerdict::kPassed) continue;
    judged.verdict = RunVerdict::kInconclusive;
    judged.reason = event.text;
  }

  std::vector<VerdictRecord> records;
  for (std::size_t i = 0; i < judged.verdicts.size(); ++i) {
    const Verdict& verdict = judged.verdicts[i];
    const Expectation& expectation = experiment.expectations[i];
    records.push_back(
        {.expectation = verdict.expectation,
         .page = expectation.page,
         .predicted = predicted(expectation),
         .verdict = std::string(to_string(verdict.kind)),
         .unit = verdict.unit,
         .evidence = verdict.evidence,
         .measured = verdict.measured,
         .bound = verdict.bound,
         .margin = verdict.margin,
         .at_mono_ns = verdict.at ? std::optional(to_ns(*verdict.at)) : std::nullopt});
  }
  ZQ_CHECK(store.put_verdicts(run, records));
  return judged;
}

}  // namespace zq
