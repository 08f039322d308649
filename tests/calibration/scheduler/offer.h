// An offer of the v1 scheduler API, and what of it an app can take.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/base/error.h"
#include "tests/calibration/scheduler/app.h"
#include "tests/calibration/scheduler/constraint.h"
#include "tests/calibration/scheduler/instance.h"

namespace zq::scheduler {

// Unreserved, unrevocable resources of role "*".
struct Resources {
  double cpus = 0;
  double mem = 0;
  double disk = 0;
  double gpus = 0;
  std::vector<std::pair<int, int>> ports;  // inclusive
};

struct Offer {
  std::string id;
  std::string agent_id;
  std::string role;  // of allocation_info; empty where the master sends none
  Place place;
  Resources left;
};

// kInput when it is no offer.
Result<Offer> parse_offer(const nlohmann::json& json);

// Why an offer does not fit, in the order in which Marathon's /v2/queue lists them
// (OfferMatchResult's funnel: an offer counts for the first reason it is refused for).
enum class Refusal {
  kRole,
  kConstraint,
  kReservation,
  kMaintenance,
  kCpus,
  kMemory,
  kDisk,
  kGpus,
  kPorts,
  kScarce,
};
inline constexpr int kRefusals = 10;
[[nodiscard]] std::string_view name_of(Refusal refusal);  // "UnfulfilledConstraint"

struct MatchRules {
  bool ignore_capacity = false;
  bool ignore_constraints = false;
  bool ignore_home_region = false;
};

// What the app needs is in the offer: nothing. `home_region` is the masters'; without one every
// region is home.
[[nodiscard]] std::optional<Refusal> refuses(const Offer& offer, const App& app,
                                             const std::vector<Place>& placed,
                                             const std::optional<std::string>& home_region,
                                             const MatchRules& rules);

// Takes the app's share out of the offer for `instance`, whose ports are filled in, and gives the
// TaskInfo of its task. Ports come from `entropy`, so that one that was just freed is not taken
// again at once.
nlohmann::json take(Offer& offer, const App& app, Instance& instance, std::uint32_t entropy,
                    const MatchRules& rules);

}  // namespace zq::scheduler
