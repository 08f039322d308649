#include "controller/testbed/program.h"

#include <unistd.h>

#include <map>
#include <nlohmann/json.hpp>

#include "controller/testbed/programs.h"

namespace zq::testbed {
namespace {

Result<std::vector<std::string>> expand_all(const std::vector<TemplateText>& texts,
                                            const TemplateContext& context) {
  std::vector<std::string> out;
  for (const TemplateText& text : texts) {
    ZQ_TRY(std::string value, expand(text, context));
    out.push_back(std::move(value));
  }
  return out;
}

Result<std::vector<std::pair<std::string, std::string>>> expand_pairs(
    const TemplatePairs& pairs, const TemplateContext& context) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [name, value] : pairs) {
    ZQ_TRY(std::string expanded_name, expand(name, context));
    ZQ_TRY(std::string expanded_value, expand(value, context));
    out.emplace_back(std::move(expanded_name), std::move(expanded_value));
  }
  return out;
}

Result<std::vector<std::string>> environment(const TemplatePairs& pairs, const std::string& home,
                                             const TemplateContext& context) {
  std::vector<std::string> env{kProgramPath, "HOME=" + home, "LC_ALL=C.UTF-8"};
  ZQ_TRY(const auto more, expand_pairs(pairs, context));
  for (const auto& [name, value] : more) env.push_back(fmt::format("{}={}", name, value));
  return env;
}

// The command behind what gives it namespaces of its own, and behind its set-up in them.
std::vector<std::string> wrap(const ProcessRecipe& process, const std::string& node,
                              const std::vector<std::string>& setup,
                              std::vector<std::string> command) {
  std::vector<std::string> argv;
  if (process.own_mounts || process.own_hostname) argv.emplace_back("/usr/bin/unshare");
  if (process.own_mounts) {
    argv.insert(argv.end(), {"--mount", "--propagation", "private"});
  }
  if (process.own_hostname) argv.emplace_back("--uts");
  if (process.own_pids) {
    argv.insert(argv.end(), {"--pid", "--fork", "--kill-child", "--mount-proc"});
  }
  if (!setup.empty() || process.own_hostname) {
    std::string script = "set -e\n";
    if (process.own_hostname) script += "hostname " + node + "\n";
    for (const std::string& line : setup) script += line + "\n";
    argv.insert(argv.end(), {"/bin/sh", "-c", script + "exec \"$@\"", process.name});
  }
  argv.insert(argv.end(), command.begin(), command.end());
  return argv;
}

Result<ReadyCheck> plan_ready(const ReadyRecipe& ready, const TemplateContext& context,
                              const std::string& netns) {
  ReadyCheck check;
  check.kind = ready.kind;
  check.timeout = ready.timeout;
  check.netns = netns;
  ZQ_TRY(check.target, expand_all(ready.target, context));
  if (ready.contains) {
    ZQ_TRY(check.contains, expand(*ready.contains, context));
  }
  return check;
}

Result<Launch> plan_launch(const ProcessRecipe& process, const Node& node,
                           const TemplateContext& outer) {
  const TemplateContext context = outer.for_node(node);
  const Layout layout{context.cluster->name};
  Launch launch;
  launch.node = node.name;
  launch.name = process.name;
  ZQ_TRY(const auto setup, expand_all(process.setup, context));
  ZQ_TRY(auto command, expand_all(process.command, context));
  launch.request.argv = wrap(process, node.name, setup, std::move(command));
  const std::string dir = layout.node_dir(node.name);
  ZQ_TRY(launch.request.env, environment(process.env, dir, context));
  launch.request.netns = layout.node_netns(node.name);
  launch.request.cgroup = layout.node_cgroup(node.name) + "/" + process.name;
  launch.request.directory = dir;
  launch.request.output = launch.request.errors = dir + "/" + process.name + ".log";
  ZQ_TRY(launch.files, expand_pairs(process.files, context));
  if (process.ready) {
    ZQ_TRY(launch.ready, plan_ready(*process.ready, context, launch.request.netns));
  }
  return launch;
}

}  // namespace

std::string Launch::pid_file(const Layout& layout) const {
  return layout.node_dir(node) + "/" + name + ".pid";
}

Result<std::vector<Launch>> plan_launches(const Recipe& recipe, const TemplateContext& context) {
  std::vector<Launch> launches;
  for (const ProcessRecipe& process : recipe.processes) {
    ZQ_TRY(const NodeSet nodes, process.on.resolve(*context.cluster, {}, nullptr));
    for (const NodeId id : nodes) {
      ZQ_TRY(Launch launch, plan_launch(process, context.cluster->nodes[id], context));
      launches.push_back(std::move(launch));
    }
  }
  return launches;
}

std::vector<Launch> plan_agents(const Cluster& cluster, const std::string& agent_binary) {
  const Layout layout{cluster.name};
  std::vector<Launch> launches;
  for (const Node& node : cluster.nodes) {
    const std::string dir = layout.node_dir(node.name);
    if (!node.has_agent()) continue;
    const std::string socket = dir + "/agent.sock";
    Launch launch;
    launch.node = node.name;
    launch.name = "agent";
    // It stays in our network namespace and enters the node's itself.
    launch.request.argv = {
        agent_binary,     "serve",       "--node",       node.name, "--listen",
        "unix:" + socket, "--state-dir", dir + "/agent", "--netns", layout.node_netns(node.name)};
    launch.request.env = {kProgramPath, "HOME=" + dir, "LC_ALL=C.UTF-8"};
    launch.request.cgroup = layout.agent_cgroup(node.name);
    launch.request.directory = dir;
    launch.request.output = launch.request.errors = dir + "/agent.log";
    launch.ready = ReadyCheck{"unix", {socket}, "", std::chrono::seconds(30), ""};
    launches.push_back(std::move(launch));
  }
  return launches;
}

Result<std::vector<StepTarget>> step_targets(const StepRecipe& step, const Cluster& cluster) {
  ZQ_TRY(NodeSet nodes, step.on.resolve(cluster, {}, nullptr));
  if (nodes.empty() && step.pick == StepRecipe::Pick::kFirst) {
    return fail(ErrorCode::kInput, "{}: step '{}' needs a node, but '{}' selects none in {}",
                step.position.to_string(), step.name, step.on.text(), cluster.path);
  }
  if (step.pick == StepRecipe::Pick::kFirst) nodes = {*nodes.begin()};
  if (step.pick == StepRecipe::Pick::kRest && !nodes.empty()) nodes.erase(nodes.begin());
  std::vector<StepTarget> targets;
  for (const NodeId id : nodes) {
    if (!step.per_app) targets.push_back({&cluster.nodes[id], nullptr});
    for (const AppSpec& app : cluster.apps) {
      if (step.per_app) targets.push_back({&cluster.nodes[id], &app});
    }
  }
  return targets;
}

Result<SpawnRequest> plan_step(const StepRecipe& step, const StepTarget& target,
                               TemplateContext context) {
  const Layout layout{context.cluster->name};
  context.node = target.node;
  context.app = target.app;
  SpawnRequest request;
  ZQ_TRY(request.argv, expand_all(step.command, context));
  ZQ_TRY(request.env, environment(step.env, layout.steps_dir(), context));
  request.netns = layout.node_netns(target.node->name);
  request.cgroup = layout.steps_cgroup();
  request.directory = layout.steps_dir();
  return request;
}

Status check_steps(const Recipe& recipe, const TemplateContext& context) {
  std::map<std::string, std::string> captured;
  TemplateContext with_captures = context;
  with_captures.vars = &captured;
  for (const StepRecipe& step : recipe.steps) {
    ZQ_TRY(const auto targets, step_targets(step, *context.cluster));
    for (const StepTarget& target : targets) {
      ZQ_TRY(const SpawnRequest ignored, plan_step(step, target, with_captures));
    }
    if (!step.capture.empty()) captured[step.capture] = "(captured)";
  }
  return {};
}

Status check_needs(const Recipe& recipe, const std::string& bin_dir) {
  std::string missing;
  std::string packages;
  for (const auto& [file, package] : recipe.needs) {
    if (file.starts_with('/')) {
      if (::access(file.c_str(), R_OK) == 0) continue;
      missing += (missing.empty() ? "" : ", ") + file;
      packages += " " + package;
    } else if (!find_program(file, bin_dir)) {
      return fail(ErrorCode::kInput, "the testbed's recipe needs {} ({}), which is {}", file,
                  package, where_it_is_not(bin_dir));
    }
  }
  if (missing.empty()) return {};
  return fail(ErrorCode::kInput, "the testbed's recipe needs {}; install it: apt-get install{}",
              missing, packages);
}

nlohmann::json to_json(const Launch& launch) {
  const SpawnRequest& request = launch.request;
  return {{"node", launch.node},
          {"name", launch.name},
          {"argv", request.argv},
          {"env", request.env},
          {"netns", request.netns},
          {"cgroup", request.cgroup},
          {"directory", request.directory},
          {"output", request.output},
          {"files", launch.files}};
}

Result<Launch> launch_from_json(const nlohmann::json& json) {
  try {
    Launch launch;
    json.at("node").get_to(launch.node);
    json.at("name").get_to(launch.name);
    json.at("argv").get_to(launch.request.argv);
    json.at("env").get_to(launch.request.env);
    json.at("netns").get_to(launch.request.netns);
    json.at("cgroup").get_to(launch.request.cgroup);
    json.at("directory").get_to(launch.request.directory);
    json.at("output").get_to(launch.request.output);
    launch.request.errors = launch.request.output;
    json.at("files").get_to(launch.files);
    return launch;
  } catch (const nlohmann::json::exception& error) {
    return fail(ErrorCode::kInternal, "not a process of a testbed's state: {}", error.what());
  }
}

}  // namespace zq::testbed
