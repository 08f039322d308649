// Placement constraints as Marathon understands them (Constraints.scala of 1.10).
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/error.h"

namespace zq::scheduler {

// Where something runs or could run. Region and zone are those of the agent's fault domain.
struct Place {
  std::string host;
  std::optional<std::string> region;
  std::optional<std::string> zone;
  std::map<std::string, std::string> attributes;

  // "hostname" and "@hostname", "@region", "@zone", else an attribute.
  [[nodiscard]] std::optional<std::string> field(const std::string& name) const;
};

struct Constraint {
  enum class Operator { kUnique, kCluster, kGroupBy, kIs, kLike, kUnlike, kMaxPer };
  std::string field;
  Operator op = Operator::kUnique;
  std::string value;  // empty where the operator takes none

  // A triple or pair of strings. kInput: what is wrong, as /v2/apps answers it.
  static Result<Constraint> parse(const nlohmann::json& json);
  [[nodiscard]] nlohmann::json to_json() const;
  // The offer satisfies it, given where the app's other instances are.
  [[nodiscard]] bool allows(const Place& offer, const std::vector<Place>& placed) const;

  bool operator==(const Constraint&) const = default;
};

// Without a constraint on @region or @zone only the home region is used (ResourceMatcher.scala).
[[nodiscard]] bool constrains_fault_domain(const std::vector<Constraint>& constraints);

}  // namespace zq::scheduler
