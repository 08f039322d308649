// The zonequake-agent command.
#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>
#include <sched.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <string>
#include <vector>

#include "agent/base/netns.h"
#include "agent/dataplane/clock.h"
#include "agent/describe.h"
#include "agent/guardian.h"
#include "agent/probe/canary.h"
#include "agent/process_journal.h"
#include "agent/serve.h"
#include "agent/wan.h"

namespace {

using namespace zq;

constexpr int kUsage = 64;
constexpr int kInternal = 70;

int finish(const Status& status) {
  if (status) return 0;
  fmt::print(stderr, "zonequake-agent: {}\n", status.error().message);
  const bool theirs =
      status.error().code == ErrorCode::kInput || status.error().code == ErrorCode::kRefused;
  return theirs ? kUsage : kInternal;
}

// Before any thread starts: all of them will be inside.
Status enter_netns(const std::string& netns) {
  if (netns.empty()) return {};
  auto fd = open_netns(netns);
  if (!fd) return fail(ErrorCode::kInput, "--netns: {}", fd.error().message);
  if (::setns(fd->get(), CLONE_NEWNET) != 0) return fail_errno(errno, "entering " + netns);
  return {};
}

void start_log(const std::string& level) {
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("agent", std::make_shared<spdlog::sinks::stderr_sink_mt>()));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
  spdlog::set_level(spdlog::level::from_str(level));
  spdlog::flush_on(spdlog::level::trace);
}

Status run_serve(const ServeOptions& options, const std::string& netns, const std::string& level) {
  ZQ_CHECK(check_kernel_clock());
  start_log(level);
  ZQ_CHECK(check_listen(options.listen));
  ZQ_CHECK(enter_netns(netns));
  return serve(options);
}

Status run_clean(const std::string& state_dir, const std::string& netns) {
  ZQ_CHECK(enter_netns(netns));
  ZQ_TRY(const auto lock, lock_state_dir(state_dir));
  ZQ_TRY(auto removed, clean_leftovers(state_dir));
  ZQ_TRY(const auto undone, settle_process_journal(state_dir));
  removed.insert(removed.end(), undone.begin(), undone.end());
  for (const auto& line : removed) fmt::print("{}\n", line);
  return {};
}

Status run_environment(const WanOptions& options, const std::string& netns) {
  ZQ_CHECK(check_kernel_clock());
  start_log("info");
  ZQ_CHECK(enter_netns(netns));
  return run_wan(options);
}

Status run_describe(const std::vector<std::string>& texts, const std::string& netns, bool json) {
  ZQ_CHECK(enter_netns(netns));
  std::vector<IpAddress> peers;
  for (const auto& text : texts) {
    ZQ_TRY(const IpAddress peer, IpAddress::parse(text));
    peers.push_back(peer);
  }
  ZQ_TRY(const auto node, describe_node(peers));
  if (json) {
    std::string text;
    if (!google::protobuf::util::MessageToJsonString(to_wire(node), &text).ok()) {
      return fail(ErrorCode::kInternal, "the description cannot be written as JSON");
    }
    fmt::print("{}\n", text);
    return {};
  }
  fmt::print("version  {}\nkernel   {}\nboot     {}\n", ZQ_VERSION, node.kernel, node.boot_id);
  const auto clock = check_kernel_clock();
  fmt::print("clock    {}\n", clock ? "the kernel's" : clock.error().message);
  for (const auto& uplink : node.uplinks) fmt::print("uplink   {}\n", uplink.device);
  for (const auto& line : node.ahead) fmt::print("ahead    {}\n", line);
  for (const auto& capability : node.capabilities) {
    fmt::print("{:<8} {}: {}\n", capability.present ? "can" : "cannot", capability.name,
               capability.text);
  }
  for (const auto& line : node.missing) fmt::print("missing  {}\n", line);
  if (node.missing.empty()) fmt::print("missing  nothing\n");
  return {};
}

void add_canary(CLI::App& app, CanaryOptions& canary, int& exit_code) {
  auto* const command = app.add_subcommand(
      "canary", "An app that answers who and where it is on GET /whoami, until SIGTERM");
  command->add_option("--app", canary.app, "Name of the app; default $ZQ_APP, else canary");
  command->add_option("--instance", canary.instance, "Default $ZQ_INSTANCE, else HOST-PID");
  command->add_option("--bind", canary.bind, "Address to listen on")->capture_default_str();
  command->add_option("--port-first", canary.port_first, "First port to try")
      ->capture_default_str();
  command->add_option("--port-last", canary.port_last, "Last port to try")->capture_default_str();
  command->add_option("--zone", canary.zone, "Repeated in the answer; default $ZQ_ZONE");
  command->callback([&canary, &exit_code] { exit_code = run_canary(canary); });
}

int run(int argc, char** argv) {
  int exit_code = 0;
  ServeOptions options;
  std::string netns;
  std::string level = "info";
  std::vector<std::string> peers;
  bool json = false;
  CanaryOptions canary;

  CLI::App app(
      "The part of zonequake that runs on every node: drops packets as it is told, for as "
      "long as its lease holds, and observes.",
      "zonequake-agent");
  app.set_version_flag("--version", "zonequake-agent " ZQ_VERSION);
  app.require_subcommand(1);

  auto* const serve = app.add_subcommand("serve", "Serves a controller until SIGTERM");
  serve->add_option("--node", options.node, "The node's name in the cluster file")
      ->required()
      ->check([](const std::string& name) {
        return name.empty() || name.size() > 128 ? "must have 1 to 128 bytes" : "";
      });
  serve
      ->add_option("--listen", options.listen,
                   "unix:/path, or HOST:PORT (loopback only: there is no mutual TLS yet)")
      ->required();
  serve->add_option("--state-dir", options.state_dir, "Journal of what was changed in the kernel")
      ->required();
  serve->add_option("--netns", netns, "Network namespace: a name under /run/netns, or a path");
  serve->add_option("--log-level", level, "What is told on stderr")
      ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error", "off"}))
      ->capture_default_str();
  serve->callback([&] { exit_code = finish(run_serve(options, netns, level)); });

  auto* const clean =
      app.add_subcommand("clean", "Removes what an agent that died has left, and prints it");
  clean->add_option("--state-dir", options.state_dir, "The agent's journal")->required();
  clean->add_option("--netns", netns, "Network namespace: a name under /run/netns, or a path");
  clean->callback([&] { exit_code = finish(run_clean(options.state_dir, netns)); });

  auto* const describe = app.add_subcommand("describe", "Prints what this node can do");
  describe->add_option("--peer", peers, "Addresses of other nodes: prints the uplinks to them");
  describe->add_option("--netns", netns, "Network namespace: a name under /run/netns, or a path");
  describe->add_flag("--json", json, "As JSON, like the answer to a controller");
  describe->callback([&] { exit_code = finish(run_describe(peers, netns, json)); });

  std::string life;
  auto* const guard = app.add_subcommand("guard")->group("");  // run by the agent itself
  guard->add_option("--state-dir", options.state_dir)->required();
  guard->add_option("--life", life)->required();
  guard->callback([&] { exit_code = finish(run_guardian(options.state_dir, life)); });

  add_canary(app, canary, exit_code);

  WanOptions wan;
  auto* const environment = app.add_subcommand(
      "wan",
      "Impairs what passes between the zones of a testbed, until SIGTERM; 'zonequake testbed "
      "up' starts it");
  environment->add_option("--config", wan.config, "The links, as testbed up writes them")
      ->required();
  environment->add_option("--state-dir", wan.state_dir, "Journal of what was changed in the kernel")
      ->required();
  environment->add_option("--netns", netns,
                          "Network namespace: a name under /run/netns, or a path");
  environment->callback([&] { exit_code = finish(run_environment(wan, netns)); });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  return exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "zonequake-agent: internal error: {}\n", error.what());
    return kInternal;
  }
}
