#include "controller/cli/canary_command.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "controller/canary/canaries.h"
#include "controller/cli/exit_code.h"
#include "controller/cli/inputs.h"
#include "controller/cli/interrupt.h"

namespace zq {
namespace {

constexpr Nanos kLookAgain = std::chrono::seconds(1);
constexpr Nanos kTidyTime = std::chrono::seconds(10);

struct CanaryArguments {
  std::string cluster, app, wait = "120s";
  DeployOptions deploy;
  bool json = false;
};

struct Opened {
  Cluster cluster;
  std::optional<Testbed> testbed;
  std::unique_ptr<Canaries> canaries;
};

Result<std::unique_ptr<Opened>> open(const CanaryArguments& arguments) {
  auto opened = std::make_unique<Opened>();
  ZQ_TRY(opened->cluster, load_cluster(arguments.cluster));
  std::string dir;
  if (opened->cluster.testbed) {
    ZQ_TRY(Testbed testbed, Testbed::open(opened->cluster));
    dir = testbed.node_dir(opened->cluster.nodes.front().name);
    dir = dir.substr(0, dir.rfind('/')) + "/{name}";
    opened->testbed.emplace(std::move(testbed));
  }
  ZQ_TRY(opened->canaries,
         Canaries::make(opened->cluster, opened->testbed ? &*opened->testbed : nullptr,
                        arguments.app, dir, interrupt_token()));
  return opened;
}

std::string in_words(const CanaryState& state) {
  std::string text = fmt::format("{} ({}): ", state.app, state.system);
  if (state.counted)
    text += fmt::format("{} wanted, {} running", state.counted->wanted, state.counted->running);
  else
    text += "not deployed";
  text += fmt::format("; {} of {} answer", state.answering(), state.asked);
  for (const auto& [zone, count] : state.answers)
    text += fmt::format(", {} in zone {}", count, zone);
  if (!state.silent.empty())
    text += fmt::format("; agents that did not answer: {}", fmt::join(state.silent, ", "));
  return text;
}

nlohmann::json as_json(const CanaryState& state) {
  nlohmann::json document{{"app", state.app},
                          {"system", state.system},
                          {"asked", state.asked},
                          {"deployed", state.counted.has_value()},
                          {"answers", state.answering()},
                          {"answers_by_zone", state.answers},
                          {"silent_agents", state.silent}};
  if (state.counted) {
    document["wanted"] = state.counted->wanted;
    document["running"] = state.counted->running;
  }
  return document;
}

bool is_whole(const CanaryState& state) {
  return state.counted && state.counted->wanted == state.asked && state.answering() == state.asked;
}
bool is_gone(const CanaryState& state) { return !state.counted && state.answering() == 0; }

// Looks until all are as wanted or the time is over; prints what was seen last.
Result<int> wait_for(Canaries& canaries, const CanaryArguments& arguments,
                     const std::function<bool(const CanaryState&)>& wanted) {
  ZQ_TRY(const Nanos wait, parse_duration(arguments.wait));
  const MonoTime deadline = mono_now() + wait;
  while (true) {
    std::vector<CanaryState> states;
    for (const AppSpec& app : canaries.apps()) {
      ZQ_TRY(CanaryState state, canaries.look(app));
      states.push_back(std::move(state));
    }
    const bool done = std::ranges::all_of(states, wanted);
    if (done || mono_now() + kLookAgain > deadline) {
      nlohmann::json list = nlohmann::json::array();
      for (const CanaryState& state : states) {
        if (arguments.json)
          list.push_back(as_json(state));
        else
          fmt::print("{}\n", in_words(state));
      }
      if (arguments.json) fmt::print("{}\n", nlohmann::json{{"apps", list}}.dump(2));
      return done ? kExitPassed : kExitFailed;
    }
    if (interrupt_token().stop_requested())
      return fail(ErrorCode::kCancelled, "stopped by the user");
    std::this_thread::sleep_for(kLookAgain);
  }
}

Status check_path(const std::string& path) {
  const bool plain = std::ranges::all_of(path, [](unsigned char letter) {
    return std::isalnum(letter) != 0 ||
           std::string_view("/._-+").find(static_cast<char>(letter)) != std::string_view::npos;
  });
  if (plain && path.starts_with('/') && !path.ends_with('/')) return {};
  return fail(ErrorCode::kInput,
              "--agent-path: '{}' is no absolute path of letters, digits and ._-+ only", path);
}

Result<int> deploy(const CanaryArguments& arguments) {
  ZQ_CHECK(check_path(arguments.deploy.agent_path));
  ZQ_TRY(const auto opened, open(arguments));
  for (const AppSpec& app : opened->canaries->apps()) {
    ZQ_TRY(const std::string note, opened->canaries->scheduler(app).deploy(app, arguments.deploy));
    if (!note.empty()) fmt::print(stderr, "zonequake: {}: {}\n", app.name, note);
  }
  return wait_for(*opened->canaries, arguments, is_whole);
}

// Containers outlive their tasks by a moment.
Status tidy(Canaries& canaries) {
  const MonoTime deadline = mono_now() + kTidyTime;
  while (true) {
    ZQ_TRY(const bool gone, canaries.tidy());
    if (gone) return {};
    if (mono_now() > deadline) {
      fmt::print(stderr, "zonequake: the canaries' image stays where other containers use it\n");
      return {};
    }
    std::this_thread::sleep_for(kLookAgain);
  }
}

Result<int> remove(const CanaryArguments& arguments) {
  ZQ_TRY(const auto opened, open(arguments));
  for (const AppSpec& app : opened->canaries->apps()) {
    ZQ_TRY(const bool was_there, opened->canaries->scheduler(app).remove(app));
    if (!was_there && !arguments.json) fmt::print("{} was not deployed\n", app.name);
  }
  ZQ_TRY(const int code, wait_for(*opened->canaries, arguments, is_gone));
  if (code == kExitPassed) ZQ_CHECK(tidy(*opened->canaries));
  return code;
}

Result<int> status(CanaryArguments arguments) {
  arguments.wait = "0s";
  ZQ_TRY(const auto opened, open(arguments));
  return wait_for(*opened->canaries, arguments, is_whole);
}

}  // namespace

void add_canary_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<CanaryArguments>();
  CLI::App* canary = app.add_subcommand(
      "canary", "Canaries for the [[app]] tables of a cluster file, as its apps");
  canary->require_subcommand(1);
  canary->footer(
      "Canaries are what experiments about apps watch: small servers that say who and where they\n"
      "are. They run through the [[app]]'s own system, Marathon or Docker Swarm. All requests are\n"
      "made by the nodes' agents to the system's endpoint, with its credentials, as a run makes\n"
      "them: nothing else must be reachable from here. What is made carries the label\n"
      "zonequake=canary; an app of the same name without it is never changed or removed.");
  const auto runs = [arguments, &exit_code](CLI::App* command, auto work) {
    command->add_option("--cluster,-c", arguments->cluster, "Cluster file")->required();
    command->add_option("--app", arguments->app, "Only this [[app]] (default: all)");
    command->add_flag("--json", arguments->json, "As JSON");
    command->callback([arguments, &exit_code, work] {
      const auto code = work(*arguments);
      exit_code = code ? *code : report_error(code.error());
    });
  };

  CLI::App* make = canary->add_subcommand("deploy", "Deploy them, or change them as the file says");
  make->footer(
      "On Marathon as /GROUP/NAME (option `group` of the [[system]]) on the hosts' network, "
      "spread\n"
      "over zones by a constraint. On Swarm as a service NAME, spread by the node label `zone`, "
      "with\n"
      "the host's /usr mounted; its image is made on every node unless --image names one. The "
      "agent\n"
      "must be installed on every node at --agent-path.\n"
      "Exit code: 0 all answer, 1 not in time, 3 stopped, 64 bad input, 70 internal error.");
  make->add_option("--agent-path", arguments->deploy.agent_path, "zonequake-agent on the nodes")
      ->capture_default_str();
  make->add_option("--zone-field", arguments->deploy.zone_field,
                   "Marathon: @zone, an attribute of agents, or none")
      ->capture_default_str();
  make->add_option("--constraint", arguments->deploy.constraint,
                   "Marathon: FIELD:OPERATOR[:VALUE] instead of spreading, like @zone:MAX_PER:2");
  make->add_option("--image", arguments->deploy.image, "Swarm: an image that the nodes can get");
  make->add_option("--wait", arguments->wait, "How long they may take to answer")
      ->capture_default_str();
  runs(make, deploy);

  CLI::App* gone = canary->add_subcommand("remove", "Remove those that carry our label");
  gone->footer(
      "Exit code: 0 none answers, 1 not in time, 3 stopped, 64 bad input, 70 internal error.");
  gone->add_option("--wait", arguments->wait, "How long they may take to end")
      ->capture_default_str();
  runs(gone, remove);

  CLI::App* look = canary->add_subcommand("status", "What the scheduler says, and who answers");
  look->footer("Exit code: 0 all answer, 1 some do not, 64 bad input, 70 internal error.");
  runs(look, status);
}

}  // namespace zq
