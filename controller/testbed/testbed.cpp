#include "controller/testbed/testbed.h"

#include <signal.h>

#include <algorithm>
#include <set>

#include "controller/testbed/address_plan.h"
#include "controller/testbed/cgroups.h"
#include "controller/testbed/environment.h"
#include "controller/testbed/files.h"
#include "controller/testbed/layout.h"
#include "controller/testbed/network.h"
#include "controller/testbed/program.h"
#include "controller/testbed/readiness.h"
#include "controller/testbed/recipe.h"
#include "controller/testbed/spawn.h"
#include "controller/testbed/state.h"
#include "controller/testbed/steps.h"
#include "controller/testbed/teardown.h"

extern char** environ;

namespace zq {
namespace {

using testbed::Launch;
using testbed::Layout;
using testbed::Started;
using testbed::State;
using testbed::StateLock;

constexpr auto kDeathPatience = std::chrono::seconds(10);

void tell(const TestbedOptions& options, const std::string& line) {
  if (options.progress) options.progress(line);
}

// Everything that can be known before anything is touched.
struct Plan {
  testbed::Recipe recipe;
  std::vector<testbed::ZoneAddresses> addresses;
  State state;
};

Status check_agent_binary(const std::string& path) {
  if (path.starts_with('/') && testbed::path_exists(path)) return {};
  return fail(ErrorCode::kInput, "the agent's program '{}' does not exist; build zonequake-agent",
              path);
}

Result<Plan> make_plan(const Cluster& cluster, const testbed::TemplateContext& context) {
  if (!cluster.testbed) {
    return fail(ErrorCode::kInput,
                "{} has no [testbed] with a recipe, so it cannot be built on this machine",
                cluster.path);
  }
  ZQ_CHECK(testbed::check_names(cluster));
  ZQ_CHECK(check_agent_binary(context.agent_binary));
  for (const Node& node : cluster.nodes) {
    if (node.agent.empty() || !node.has_agent()) continue;
    return fail(ErrorCode::kInput,
                "{}: node {} has an agent of its own, {}; in a testbed every node gets one: remove "
                "'agent', or say \"none\"",
                node.position.to_string(), node.name, node.agent);
  }
  Plan plan;
  ZQ_TRY(plan.addresses, testbed::plan_addresses(cluster));
  ZQ_TRY(plan.recipe, testbed::load_recipe(cluster.testbed->recipe));
  ZQ_CHECK(testbed::check_needs(plan.recipe, context.bin_dir));
  ZQ_CHECK(testbed::check_steps(plan.recipe, context));
  plan.state.cluster = cluster.name;
  plan.state.netns = testbed::netns_names(Layout{cluster.name}, plan.addresses);
  ZQ_TRY(const auto environment, testbed::plan_environment(cluster, plan.addresses));
  if (environment) {
    plan.state.environment =
        testbed::plan_environment_process(*environment, Layout{cluster.name}, context.agent_binary);
  }
  plan.state.agents = testbed::plan_agents(cluster, context.agent_binary);
  ZQ_TRY(plan.state.launches, testbed::plan_launches(plan.recipe, context));
  return plan;
}

// A testbed that was up when the machine went down has a state but no namespaces.
bool is_up(const State& state) {
  return state.complete && !state.netns.empty() && testbed::netns_exists(state.netns.front());
}

Result<Started> start(const Launch& launch, const Layout& layout) {
  for (const auto& [path, content] : launch.files) ZQ_CHECK(testbed::write_file(path, content));
  auto child = testbed::spawn(launch.request);
  if (!child) {
    return tl::unexpected(std::move(child).error().with_context(
        fmt::format("starting {} on {}", launch.name, launch.node)));
  }
  ZQ_CHECK(testbed::write_identity(launch.pid_file(layout), child->identity()));
  return Started{&launch, child->identity()};
}

class Builder {
 public:
  Builder(Plan& plan, const testbed::TemplateContext& context, const TestbedOptions& options)
      : plan_(plan), context_(context), options_(options), layout_{context.cluster->name} {}

  Status build() {
    const MonoTime begin = mono_now();
    ZQ_CHECK(make_directories());
    ZQ_CHECK(
        testbed::build_network(layout_, plan_.addresses, plan_.recipe.sysctls, options_.progress));
    tell(options_, fmt::format("network: {} nodes in {} zones", context_.cluster->nodes.size(),
                               plan_.addresses.size()));
    ZQ_CHECK(start_environment());
    ZQ_CHECK(start_all(plan_.state.agents));
    ZQ_CHECK(start_all(plan_.state.launches));
    ZQ_CHECK(testbed::run_steps(plan_.recipe, context_, options_.stop, options_.progress));
    if (options_.stop.stop_requested()) return fail(ErrorCode::kCancelled, "stopped");
    plan_.state.complete = true;
    ZQ_CHECK(testbed::save_state(plan_.state));
    tell(options_, fmt::format("the testbed {} is up after {}", layout_.cluster,
                               format_duration(mono_now() - begin)));
    return {};
  }

 private:
  Status make_directories() {
    ZQ_CHECK(testbed::make_directories(layout_.steps_dir()));
    ZQ_CHECK(testbed::make_directories(layout_.data_dir() + "/.shared"));
    if (plan_.state.environment) {
      ZQ_CHECK(testbed::make_directories(layout_.node_dir(testbed::kCoreNode)));
    }
    for (const Node& node : context_.cluster->nodes) {
      ZQ_CHECK(testbed::make_directories(layout_.node_dir(node.name)));
      ZQ_CHECK(testbed::make_directories(layout_.node_data_dir(node.name)));
    }
    return {};
  }

  // Before anything that talks over the network.
  Status start_environment() {
    if (!plan_.state.environment) return {};
    ZQ_CHECK(start_all({*plan_.state.environment}));
    for (const TestbedLink& link : context_.cluster->testbed->links) {
      tell(options_, "environment: " + describe_link(link.a, link.b, link.impairment));
    }
    return {};
  }

  Status start_all(const std::vector<Launch>& launches) {
    if (launches.empty()) return {};
    const MonoTime begin = mono_now();
    std::vector<Started> started;
    std::set<std::string> names;
    for (const Launch& launch : launches) {
      if (options_.stop.stop_requested()) return fail(ErrorCode::kCancelled, "stopped");
      ZQ_TRY(Started one, start(launch, layout_));
      started.push_back(one);
      names.insert(launch.name);
    }
    ZQ_CHECK(testbed::wait_ready(started, layout_, options_.stop));
    tell(options_, fmt::format("{}: {} ready in {}", fmt::join(names, ", "), started.size(),
                               format_duration(mono_now() - begin)));
    return {};
  }

  Plan& plan_;
  const testbed::TemplateContext& context_;
  const TestbedOptions& options_;
  const Layout layout_;
};

Status check_namespaces_free(const State& state) {
  for (const std::string& name : state.netns) {
    if (!testbed::netns_exists(name)) continue;
    testbed::remove_if_empty(Layout{state.cluster}.run_dir());
    return fail(ErrorCode::kExists,
                "the network namespace {} exists and is not ours; remove it or rename the cluster",
                name);
  }
  return {};
}

// Makes sure that nothing of the name is there, and writes down what will be made.
Result<StateLock> claim(const Plan& plan, const TestbedOptions& options) {
  const State& state = plan.state;
  const Layout layout{state.cluster};
  for (;;) {
    ZQ_TRY(StateLock lock, StateLock::take(state.cluster, true));
    ZQ_TRY(const State earlier, testbed::load_state(state.cluster));
    if (is_up(earlier)) {
      return fail(ErrorCode::kExists,
                  "the testbed {} is up already; take it down first: zonequake testbed down --name "
                  "{}",
                  state.cluster, state.cluster);
    }
    if (testbed::list_directory(layout.run_dir()).empty() &&
        !testbed::path_exists(layout.data_dir())) {
      ZQ_CHECK(check_namespaces_free(state));
      ZQ_CHECK(testbed::save_state(state));
      return lock;
    }
    tell(options, "removing what is left of an interrupted testbed");
    ZQ_CHECK(testbed::tear_down(earlier));  // and with it the directory that is locked
  }
}

}  // namespace

struct Testbed::Impl {
  Layout layout;
  State state;

  // kInput for a name that the testbed does not have.
  Result<std::vector<std::string>> cgroups_of(const std::vector<std::string>& nodes) const {
    std::vector<std::string> cgroups;
    for (const std::string& node : nodes) {
      ZQ_CHECK(check_node(node));
      cgroups.push_back(layout.node_cgroup(node));
    }
    return cgroups;
  }
  [[nodiscard]] ProcessInfo info_of(const Launch& launch) const {
    ProcessInfo info{launch.node, launch.name, 0, false};
    if (const auto identity = testbed::read_identity(launch.pid_file(layout))) {
      info.pid = identity->pid;
      info.alive = testbed::is_alive(*identity);
    }
    return info;
  }
  Status check_node(const std::string& node) const {
    // Not every node has an agent, but each has a namespace.
    if (std::ranges::find(state.netns, layout.node_netns(node)) != state.netns.end()) return {};
    return fail(ErrorCode::kInput, "the testbed {} has no node '{}'", layout.cluster, node);
  }
};

Testbed::Testbed(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Testbed::Testbed(Testbed&&) noexcept = default;
Testbed& Testbed::operator=(Testbed&&) noexcept = default;
Testbed::~Testbed() = default;

Result<Testbed> Testbed::up(const Cluster& cluster, const TestbedOptions& options) {
  testbed::TemplateContext context;
  context.cluster = &cluster;
  context.agent_binary = options.agent_binary;
  context.bin_dir = options.bin_dir;
  ZQ_TRY(Plan plan, make_plan(cluster, context));
  ZQ_TRY(const StateLock lock, claim(plan, options));
  Status built = Builder(plan, context, options).build();
  if (!built) {
    tell(options, fmt::format("taking the testbed {} down again", cluster.name));
    const Status removed = testbed::tear_down(plan.state);
    if (!removed) built.error().message += "; and " + removed.error().message;
    return tl::unexpected(std::move(built).error());
  }
  return Testbed(std::make_unique<Impl>(Impl{Layout{cluster.name}, std::move(plan.state)}));
}

Result<Testbed> Testbed::open(const Cluster& cluster) {
  ZQ_TRY(State state, testbed::load_state(cluster.name));
  if (!is_up(state)) {
    return fail(ErrorCode::kNotFound,
                "the testbed {} is not wholly up; remove it: zonequake testbed down --name {}",
                cluster.name, cluster.name);
  }
  return Testbed(std::make_unique<Impl>(Impl{Layout{cluster.name}, std::move(state)}));
}

Result<std::vector<std::string>> Testbed::names() {
  std::set<std::string> names;
  for (const char* root : {testbed::kRunRoot, testbed::kDataRoot}) {
    const auto found = testbed::list_directory(root);
    names.insert(found.begin(), found.end());
  }
  return std::vector<std::string>(names.begin(), names.end());
}

std::string Testbed::agent_endpoint(const std::string& node) const {
  return "unix:" + node_dir(node) + "/agent.sock";
}
std::string Testbed::node_dir(const std::string& node) const {
  return impl_->layout.node_dir(node);
}
std::string Testbed::netns(const std::string& node) const { return impl_->layout.node_netns(node); }

Status Testbed::kill(const std::vector<std::string>& nodes) {
  ZQ_TRY(const auto cgroups, impl_->cgroups_of(nodes));
  ZQ_CHECK(testbed::kill_cgroups(cgroups, kDeathPatience));
  for (const Launch& launch : impl_->state.launches) {
    if (std::ranges::find(nodes, launch.node) == nodes.end()) continue;
    const auto identity = testbed::read_identity(launch.pid_file(impl_->layout));
    if (identity) ZQ_CHECK(testbed::await_death(*identity, kDeathPatience));
  }
  return {};
}

Status Testbed::restart(const std::vector<std::string>& nodes) {
  for (const std::string& node : nodes) ZQ_CHECK(impl_->check_node(node));
  ZQ_TRY(const StateLock lock, StateLock::take(impl_->layout.cluster, false));
  for (const Launch& launch : impl_->state.launches) {
    if (std::ranges::find(nodes, launch.node) == nodes.end()) continue;
    const auto identity = testbed::read_identity(launch.pid_file(impl_->layout));
    if (identity && testbed::is_alive(*identity)) continue;
    if (auto started = start(launch, impl_->layout); !started) {
      return tl::unexpected(std::move(started).error());
    }
  }
  return {};
}

Result<std::vector<Testbed::ProcessInfo>> Testbed::status() const {
  std::vector<ProcessInfo> infos;
  if (impl_->state.environment) infos.push_back(impl_->info_of(*impl_->state.environment));
  for (const auto* launches : {&impl_->state.agents, &impl_->state.launches}) {
    for (const Launch& launch : *launches) infos.push_back(impl_->info_of(launch));
  }
  return infos;
}

Result<std::vector<std::string>> Testbed::environment() const {
  std::vector<std::string> lines;
  if (!impl_->state.environment) return lines;
  ZQ_TRY(const WanConfig config, testbed::environment_of(*impl_->state.environment));
  for (const WanLink& link : config.links) {
    lines.push_back(describe_link(link.a, link.b, link.impairment));
  }
  return lines;
}

Status Testbed::check_environment(const Cluster& cluster) const {
  ZQ_TRY(const auto addresses, testbed::plan_addresses(cluster));
  ZQ_TRY(const auto stated, testbed::plan_environment(cluster, addresses));
  std::optional<WanConfig> built;
  if (impl_->state.environment) {
    ZQ_TRY(built, testbed::environment_of(*impl_->state.environment));
  }
  if (stated != built) {
    return fail(ErrorCode::kRefused,
                "the testbed {0} was built with other links than {1} has; take it down and up "
                "again: zonequake testbed down --name {0}, then zonequake testbed up --cluster {1}",
                cluster.name, cluster.path);
  }
  return environment_alive();
}

Status Testbed::environment_alive() const {
  const auto& environment = impl_->state.environment;
  if (!environment || impl_->info_of(*environment).alive) return {};
  const std::string& log = environment->request.output;
  return fail(ErrorCode::kUnavailable,
              "the environment of the testbed {0} has ended, so that nothing is between its zones "
              "any more; {1} says: {2}; take the testbed down and up again: zonequake testbed "
              "down --name {0}",
              impl_->layout.cluster, log, testbed::tail_of(log));
}

Result<int> Testbed::exec(const std::string& node, const std::vector<std::string>& argv) const {
  ZQ_CHECK(impl_->check_node(node));
  if (argv.empty()) return fail(ErrorCode::kInput, "no command to run on {}", node);
  testbed::SpawnRequest request;
  // PATH is searched by env, which is where one expects it.
  request.argv = {"/usr/bin/env", "ZQ_NODE=" + node, "ZQ_DIR=" + node_dir(node)};
  request.argv.insert(request.argv.end(), argv.begin(), argv.end());
  for (char** entry = environ; *entry != nullptr; ++entry) request.env.emplace_back(*entry);
  request.netns = netns(node);
  request.cgroup = impl_->layout.exec_cgroup();
  // The terminal sends its signals to both; they are for the command.
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  struct sigaction old_interrupt {};
  struct sigaction old_quit {};
  ::sigaction(SIGINT, &ignore, &old_interrupt);
  ::sigaction(SIGQUIT, &ignore, &old_quit);
  auto code = [&]() -> Result<int> {
    ZQ_TRY(testbed::Child child, testbed::spawn(request));
    ZQ_TRY(const auto ended, child.wait_until(MonoTime::max()));
    return ended.value_or(0);
  }();
  ::sigaction(SIGINT, &old_interrupt, nullptr);
  ::sigaction(SIGQUIT, &old_quit, nullptr);
  return code;
}

Status Testbed::down() { return down_by_name(impl_->layout.cluster); }

Status Testbed::down_by_name(const std::string& name) {
  ZQ_CHECK(testbed::check_name("testbed", name, Position{}));
  const auto lock = StateLock::take(name, false);
  if (!lock && lock.error().code == ErrorCode::kNotFound) return testbed::remove_remains(name);
  if (!lock) return tl::unexpected(lock.error());
  ZQ_TRY(const State state, testbed::load_state(name));
  return testbed::tear_down(state);
}

}  // namespace zq
