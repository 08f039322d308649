// What the checks of capacity predict, for expectations to compare with.
#include <fmt/ranges.h>

#include <algorithm>

#include "controller/check/placement_model.h"
#include "controller/run/session.h"

namespace zq {
namespace {

constexpr const char* kPredicted = "predicted_waiting";

bool asks(const Experiment& experiment) {
  return std::any_of(experiment.expectations.begin(), experiment.expectations.end(),
                     [](const Expectation& expectation) {
                       const auto names = expectation.condition.variables();
                       return std::find(names.begin(), names.end(), kPredicted) != names.end();
                     });
}

// "web", or a path that ends in it.
bool is_app(const std::string& told, const std::string& name) {
  return told == name || told.ends_with("/" + name);
}

}  // namespace

Status RunSession::predict_waiting() {
  if (!asks(experiment_)) return {};
  Facts facts;
  hub_->add_facts(facts);
  const std::set<std::string> zones(plan_.blast.zones_cut.begin(), plan_.blast.zones_cut.end());
  const Prediction prediction = predict_loss(cluster_, facts, zones);
  std::vector<std::string> unknown = facts.missing;
  unknown.insert(unknown.end(), prediction.unknown.begin(), prediction.unknown.end());
  if (!unknown.empty()) {
    return fail(ErrorCode::kUnavailable,
                "how many instances will wait cannot be predicted: {}; nothing was impaired",
                fmt::join(unknown, "; "));
  }
  // Only what is watched can be compared; all else takes its room all the same.
  unsigned waiting = 0;
  for (const auto& [key, app] : prediction.apps) {
    for (const AppSpec& watched : cluster_.apps) {
      if (watched.system == key.first && is_app(key.second, watched.name)) waiting += app.waiting;
    }
  }
  record_.variables[kPredicted] = waiting;
  event("timer", "",
        fmt::format("{} = {}: of the instances in {}, by first-fit-decreasing into what is unused "
                    "elsewhere",
                    kPredicted, waiting, fmt::join(zones, ", ")));
  return store_.update_run(record_);
}

}  // namespace zq
