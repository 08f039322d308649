#include "agent/wan.h"

#include <fmt/ranges.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <set>

#include "agent/base/unique_fd.h"
#include "agent/dataplane/gate.h"
#include "agent/lease_keeper.h"
#include "agent/serve.h"
#include "agent/wan/config.h"

namespace zq {
namespace {

constexpr Nanos kLease = std::chrono::seconds(3);
constexpr Nanos kForever = std::chrono::hours(24 * 365 * 50);
constexpr auto kInspectEach = std::chrono::milliseconds(500);

// Blocks the signals that end the process, for all threads to come, and lets them be read.
Result<UniqueFd> take_stop_signals() {
  sigset_t stopping;
  ::sigemptyset(&stopping);
  ::sigaddset(&stopping, SIGTERM);
  ::sigaddset(&stopping, SIGINT);
  if (const int error = ::pthread_sigmask(SIG_BLOCK, &stopping, nullptr); error != 0) {
    return fail_errno(error, "blocking signals");
  }
  UniqueFd fd(::signalfd(-1, &stopping, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return fail_errno(errno, "making a signal descriptor");
  return fd;
}

// True once it is time to end; waits a little for it.
bool told_to_stop(const UniqueFd& signals) {
  pollfd polled{signals.get(), POLLIN, 0};
  return ::poll(&polled, 1, static_cast<int>(kInspectEach.count())) > 0;
}

Result<WanConfig> read_config(const std::string& path) {
  std::ifstream file(path);
  if (!file) return fail_errno(errno, "--config " + path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  auto config = parse_wan_config(text);
  if (!config) return tl::unexpected(std::move(config).error().with_context("--config " + path));
  return config;
}

// A link's two directions are groups 2n (from a to b) and 2n + 1 of the gate.
Result<GateConfig> gate_config(const WanConfig& config) {
  GateConfig gate;
  const auto zones = static_cast<std::uint32_t>(config.zones.size());
  gate.groups = static_cast<std::uint32_t>(2 * config.links.size());
  gate.transit.zones = zones;
  gate.transit.groups.assign(std::size_t{zones} * zones, kNoGroup);
  std::set<std::uint32_t> linked;
  for (std::uint32_t i = 0; i < config.links.size(); ++i) {
    for (const WanLink::Pair& pair : config.links[i].pairs) {
      gate.transit.groups[pair.a * zones + pair.b] = 2 * i;
      gate.transit.groups[pair.b * zones + pair.a] = 2 * i + 1;
      linked.insert({pair.a, pair.b});
    }
  }
  for (std::uint32_t i = 0; i < zones; ++i) {
    const WanZone& zone = config.zones[i];
    for (const IpPrefix& address : zone.addresses) gate.book.push_back({address, i});
    if (!linked.contains(i)) continue;
    const unsigned index = ::if_nametoindex(zone.device.c_str());
    if (index == 0) return fail_errno(errno, fmt::format("device {}", zone.device));
    gate.uplinks.push_back({zone.device, index});
  }
  return gate;
}

// Impaired where packets leave the router, on their way into a zone.
GateProgramme gate_programme(const WanConfig& config) {
  GateProgramme programme;
  const MonoTime now = mono_now();
  for (std::uint32_t i = 0; i < config.links.size(); ++i) {
    programme.impairments.push_back(config.links[i].impairment);
    for (const std::uint32_t group : {2 * i, 2 * i + 1}) {
      GateRule::Segment segment;
      segment.from = now;
      segment.until = now + kForever;
      segment.treatment = Treatment::kImpair;
      segment.impairment = i;
      programme.rules.push_back({FlowDirection::kEgress, group, {segment}});
    }
  }
  return programme;
}

// In the order of their making: what comes later uses what is before it.
struct Environment {
  Gate gate;
  std::unique_ptr<LeaseKeeper> keeper;

  static Result<Environment> make(const WanConfig& config, const std::string& state_dir) {
    ZQ_TRY(const GateConfig for_gate, gate_config(config));
    ZQ_TRY(Gate gate, Gate::attach(for_gate, state_dir));
    ZQ_CHECK(gate.load(gate_programme(config)));
    return Environment{std::move(gate), nullptr};
  }
  // Once the environment is where it stays.
  Status start() {
    ZQ_TRY(keeper, LeaseKeeper::start(gate, kLease, kForever));
    return {};
  }
  // Why it is no longer what was asked for.
  Result<std::vector<std::string>> violations() {
    ZQ_TRY(auto found, gate.violations());
    if (auto failure = keeper->failure()) found.push_back(std::move(*failure));
    return found;
  }
  Status end() {
    keeper.reset();
    ZQ_CHECK(gate.end_lease());
    return gate.detach();
  }
};

Status keep_up(Environment& environment, const UniqueFd& signals) {
  while (!told_to_stop(signals)) {
    ZQ_TRY(const auto found, environment.violations());
    if (found.empty()) continue;
    return fail(ErrorCode::kUnavailable, "the environment cannot be kept up: {}",
                fmt::join(found, "; "));
  }
  return {};
}

}  // namespace

Status run_wan(const WanOptions& options) {
  ZQ_TRY(const WanConfig config, read_config(options.config));
  ZQ_TRY(const UniqueFd lock, lock_state_dir(options.state_dir));
  const std::string ready = options.state_dir + "/ready";
  ::unlink(ready.c_str());
  ZQ_TRY(const auto removed, clean_leftovers(options.state_dir));
  for (const auto& line : removed) spdlog::warn("left by an earlier life, removed: {}", line);
  ZQ_TRY(const UniqueFd signals, take_stop_signals());
  ZQ_TRY(Environment environment, Environment::make(config, options.state_dir));
  ZQ_CHECK(environment.start());
  for (const WanLink& link : config.links) {
    spdlog::info("in force: {}", describe_link(link.a, link.b, link.impairment));
  }
  std::ofstream(ready) << ::getpid() << '\n';

  Status kept = keep_up(environment, signals);
  ::unlink(ready.c_str());
  if (auto ended = environment.end(); !ended) {
    if (kept) return ended;
    spdlog::error("{}", ended.error().message);
  }
  spdlog::info("ended");
  return kept;
}

}  // namespace zq
