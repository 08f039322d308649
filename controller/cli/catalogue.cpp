#include "controller/cli/catalogue.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <tuple>

#include "controller/cli/inputs.h"
#include "controller/cli/offline_plan.h"
#include "experiments/fault_parse.h"

namespace zq {
namespace {

namespace fs = std::filesystem;

std::string topology_of(const std::string& caveat) { return caveat.substr(0, caveat.find('-')); }

// Lines without the "FILE:LINE:COLUMN: " that stands in front of each.
std::vector<std::string> reasons(const std::string& message, const std::string& path) {
  std::vector<std::string> result;
  std::size_t at = 0;
  while (at < message.size()) {
    const std::size_t end = std::min(message.find('\n', at), message.size());
    std::string line = message.substr(at, end - at);
    at = end + 1;
    if (line.starts_with(path + ":")) {
      const std::size_t text = line.find(": ", path.size());
      if (text != std::string::npos) line = line.substr(text + 2);
    }
    if (std::find(result.begin(), result.end(), line) == result.end()) result.push_back(line);
  }
  return result;
}

Status measure(CatalogueEntry& entry, std::map<std::string, double> timers) {
  for (const Phase& phase : entry.experiment.phases) {
    for (const std::string& name : phase.lasts.variables()) {
      if (timers.emplace(name, kAssumedTimer).second) entry.assumed_timers.push_back(name);
    }
    ZQ_TRY(const double seconds, evaluate_number(phase.lasts, timers));
    entry.lasts += from_seconds(seconds);
  }
  return {};
}

void try_on(CatalogueEntry& entry, const Cluster& cluster,
            const std::map<std::string, double>& timers) {
  if (const Status fits = check_against(entry.experiment, cluster); !fits) {
    entry.why_not = reasons(fits.error().message, entry.experiment.path);
    return;
  }
  auto planned = plan_for_any_leader(entry.experiment, cluster, timers);
  if (!planned) {
    entry.why_not = reasons(planned.error().message, entry.experiment.path);
    return;
  }
  entry.blast = std::move(planned->plan.blast);
}

}  // namespace

Result<std::vector<CatalogueEntry>> read_catalogue(const std::map<std::string, double>& timers,
                                                   const Cluster* cluster) {
  const fs::path folder = fs::path(data_dir()) / "catalogue";
  std::error_code error;
  std::vector<CatalogueEntry> entries;
  for (const auto& file : fs::directory_iterator(folder, error)) {
    if (file.path().extension() != ".toml") continue;
    CatalogueEntry entry;
    ZQ_TRY(entry.experiment, load_experiment(file.path().string()));
    entry.name = file.path().stem().string();
    entry.topology = topology_of(entry.experiment.caveat);
    ZQ_CHECK(measure(entry, timers));
    if (cluster != nullptr) try_on(entry, *cluster, timers);
    entries.push_back(std::move(entry));
  }
  if (entries.empty()) {
    return fail(ErrorCode::kInput,
                "there is no catalogue in {}; $ZONEQUAKE_DATA names the folder that holds it",
                folder.string());
  }
  std::sort(entries.begin(), entries.end(), [](const CatalogueEntry& a, const CatalogueEntry& b) {
    return std::tie(a.topology, a.experiment.caveat, a.name) <
           std::tie(b.topology, b.experiment.caveat, b.name);
  });
  return entries;
}

std::string describe_deeds(const Experiment& experiment) {
  std::set<FaultKind> kinds;
  for (const Phase& phase : experiment.phases) {
    for (const Fault& fault : phase.faults) kinds.insert(fault.kind);
  }
  std::vector<std::string> deeds;
  const bool cuts = kinds.contains(FaultKind::kPartition) || kinds.contains(FaultKind::kOneWay);
  if (cuts) {
    const unsigned zones = experiment.limits.max_zones_cut.value_or(0);
    deeds.push_back(zones == 0 ? std::string("cuts")
                               : fmt::format("cuts up to {} zone{}", zones, zones == 1 ? "" : "s"));
  }
  for (const FaultKind kind : kinds) {
    if (kind == FaultKind::kPartition || kind == FaultKind::kOneWay) continue;
    deeds.push_back(kind == FaultKind::kImpair ? "impairs links"
                                               : fmt::format("{}s", to_string(kind)));
  }
  if (experiment.limits.quorum_loss) deeds.emplace_back("takes a quorum away");
  return deeds.empty() ? "nothing" : fmt::format("{}", fmt::join(deeds, ", "));
}

}  // namespace zq
