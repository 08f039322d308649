// A recipe applied to a cluster: the processes with every template filled in, ready to be started
// now and again later.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/time.h"
#include "controller/testbed/layout.h"
#include "controller/testbed/recipe.h"
#include "controller/testbed/spawn.h"

namespace zq::testbed {

// The environment variable PATH of everything that a testbed starts.
inline constexpr const char* kProgramPath = "PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin";

// One probe, seen from inside a network namespace.
struct ReadyCheck {
  std::string kind;
  std::vector<std::string> target;
  std::string contains;
  Nanos timeout{0};
  std::string netns;
};

struct Launch {
  std::string node;
  std::string name;
  SpawnRequest request;
  std::vector<std::pair<std::string, std::string>> files;  // written before every start
  std::optional<ReadyCheck> ready;

  [[nodiscard]] std::string pid_file(const Layout& layout) const;
};

// What a step runs on one node, but for the command, whose templates may need what earlier steps
// captured.
struct StepTarget {
  const Node* node = nullptr;
  const AppSpec* app = nullptr;
};

// Every process of the recipe, in the recipe's order.
Result<std::vector<Launch>> plan_launches(const Recipe& recipe, const TemplateContext& context);
// The agents, one per node.
std::vector<Launch> plan_agents(const Cluster& cluster, const std::string& agent_binary);
// Which nodes (and apps) a step runs on, in order.
Result<std::vector<StepTarget>> step_targets(const StepRecipe& step, const Cluster& cluster);
// What a step runs there.
Result<SpawnRequest> plan_step(const StepRecipe& step, const StepTarget& target,
                               TemplateContext context);
// All steps once with made-up captures, so that a mistake shows before anything is started.
Status check_steps(const Recipe& recipe, const TemplateContext& context);
// The recipe's [needs]; kInput with the package to install.
Status check_needs(const Recipe& recipe, const std::string& bin_dir = {});

nlohmann::json to_json(const Launch& launch);
Result<Launch> launch_from_json(const nlohmann::json& json);

}  // namespace zq::testbed
