#include "controller/run/onlooker.h"

#include <unistd.h>

#include <charconv>
#include <mutex>
#include <set>
#include <thread>

#include "controller/check/ports.h"
#include "controller/fleet/fleet.h"
#include "controller/plan/plan.h"
#include "controller/run/agent_requests.h"

namespace zq {
namespace {

constexpr Nanos kDescribe = std::chrono::seconds(5);
constexpr Nanos kArm = std::chrono::seconds(30);
constexpr Nanos kCommand = std::chrono::seconds(10);
constexpr Nanos kBeats = std::chrono::milliseconds(250);
constexpr Nanos kGlance = std::chrono::milliseconds(100);
constexpr Nanos kSettle = std::chrono::seconds(2);  // what came first may have come half
constexpr Nanos kThroughput = std::chrono::seconds(3);
constexpr Nanos kThroughputAnswer = std::chrono::seconds(20);
constexpr std::uint32_t kPortEvery = 2000, kPortTimeout = 2000;  // milliseconds
constexpr std::uint32_t kProtocol = 1;
constexpr const char* kPortProbe = "check/tcp/";
constexpr const char* kClockProbe = "check/clock";

bool coordinates_others(const Node& node) {
  return node.has_role("master") || node.has_role("coordinator") || node.has_role("scheduler");
}

class Onlooker {
 public:
  Onlooker(const Cluster& cluster, const Testbed* testbed, const OnlookOptions& options)
      : cluster_(cluster), options_(options) {
    std::vector<AgentEndpoint> endpoints;
    for (const Node& node : cluster.nodes) {
      endpoints.push_back({.node = node.name, .address = agent_address(node, testbed)});
    }
    fleet_ = std::make_unique<Fleet>(std::move(endpoints));
    const auto now = wall_now_ns();
    run_.set_run(fmt::format("check-{}-{}-{}", cluster.name, ::getpid(), now));
    run_.set_epoch(static_cast<std::uint64_t>(now));
    if (testbed != nullptr && !cluster.nodes.empty()) {
      dir_ = testbed->node_dir(cluster.nodes.front().name);
      dir_ = dir_.substr(0, dir_.rfind('/')) + "/{name}";
    }
  }
  Onlooker(const Onlooker&) = delete;
  Onlooker& operator=(const Onlooker&) = delete;
  ~Onlooker() {
    fleet_->stop_observing();
    disarm();
    fleet_->stop_heartbeats();
  }

  Result<Facts> look() {
    ZQ_TRY(hub_, SignalHub::make(cluster_, Experiment{}, run_.run(), dir_));
    ZQ_CHECK(describe());
    watch();
    ZQ_CHECK(wait_for_systems());
    if (options_.paths > Nanos{0} || options_.throughput) {
      if (arm()) {
        ZQ_CHECK(measure_paths());
        if (options_.throughput) measure_throughput();
      }
      disarm();
    }
    const std::lock_guard lock(mutex_);
    hub_->add_facts(facts_);
    for (const auto& [key, port] : ports_) facts_.ports.push_back(port);
    for (const PortToTry& asked : asked_ports_) {
      if (ports_.contains({asked.from, asked.to, asked.port})) continue;
      if (facts_.unchecked.contains(asked.from)) continue;
      facts_.missing.push_back(fmt::format("{} did not try port {} of {}",
                                           cluster_.nodes[asked.from].name, asked.port,
                                           cluster_.nodes[asked.to].name));
    }
    return std::move(facts_);
  }

 private:
  Status describe() {
    zonequake::DescribeRequest request;
    request.set_protocol(kProtocol);
    for (const Node& node : cluster_.nodes) {
      for (const bool v4 : {true, false}) {
        if (const auto address = node.host(v4)) request.add_peers(to_wire(*address));
      }
    }
    const auto replies = fleet_->describe(request, kDescribe);
    for (std::size_t i = 0; i < replies.size(); ++i) {
      const auto id = static_cast<NodeId>(i);
      const Node& node = cluster_.nodes[i];
      if (!node.has_agent()) {
        facts_.unchecked[id] = "it has no agent";
      } else if (!replies[i]) {
        facts_.unchecked[id] = replies[i].error().message;
      } else if (replies[i]->node() != node.name) {
        facts_.unchecked[id] = fmt::format("the agent at {} says that it is {}",
                                           fleet_->endpoints()[i].address, replies[i]->node());
      } else if (!replies[i]->holder().empty()) {
        return fail(ErrorCode::kRefused,
                    "{} is held by run {}; wait until it is over and check again", node.name,
                    replies[i]->holder());
      }
    }
    if (facts_.unchecked.size() == cluster_.nodes.size()) {
      return fail(ErrorCode::kUnavailable, "no agent of the cluster answers: {}",
                  facts_.unchecked.begin()->second);
    }
    return {};
  }

  void watch() {
    fleet_->start_heartbeats(run_, kBeats);
    hub_->seed(mono_now());
    auto sets = hub_->probe_sets(run_, false);
    asked_ports_ = ports_to_try(cluster_);
    for (const PortToTry& asked : asked_ports_) {
      const Node& to = cluster_.nodes[asked.to];
      const auto address = to.host(true) ? to.host(true) : to.host(false);
      if (!address) continue;
      zonequake::Probe& probe = *sets[asked.from].add_probes();
      probe.set_id(fmt::format("{}{}/{}", kPortProbe, asked.to, asked.port));
      probe.set_interval_ms(kPortEvery);
      probe.set_timeout_ms(kPortTimeout);
      probe.mutable_tcp()->set_host(address->to_string());
      probe.mutable_tcp()->set_port(asked.port);
    }
    for (std::size_t i = 0; i < sets.size(); ++i) {
      if (!fleet_->has_agent(i)) continue;
      zonequake::Probe& clock = *sets[i].add_probes();
      clock.set_id(kClockProbe);
      clock.set_interval_ms(kPortEvery);
      clock.set_timeout_ms(kPortTimeout);
      clock.mutable_exec()->add_argv("/bin/date");
      clock.mutable_exec()->add_argv("+%s.%N");
    }
    fleet_->start_observing(std::move(sets), [this](std::size_t index, const auto& batch) {
      const auto clock = fleet_->clock(index);
      take(static_cast<NodeId>(index), batch, clock);
      hub_->on_batch(static_cast<NodeId>(index), batch, clock.value_or(ClockEstimate{}).offset);
    });
  }

  // From gRPC's threads.
  void take(NodeId node, const zonequake::ObservationBatch& batch,
            const std::optional<ClockEstimate>& clock) {
    const std::lock_guard lock(mutex_);
    for (const zonequake::Observation& seen : batch.observations()) {
      if (seen.probe() == kClockProbe && clock) {
        const double told = std::strtod(seen.body().c_str(), nullptr);
        const MonoTime at = mono_from_ns(seen.at_mono_ns()) - clock->offset;
        const double ours = static_cast<double>(wall_now_ns()) / 1e9 - to_seconds(mono_now() - at);
        if (seen.status() == 0 && told > 0) facts_.clock_offset_s[node] = told - ours;
      }
      if (!seen.probe().starts_with(kPortProbe)) continue;
      const std::string rest = seen.probe().substr(std::string(kPortProbe).size());
      PortFacts port;
      port.from = node;
      const char* const end = rest.data() + rest.size();
      const auto to = std::from_chars(rest.data(), end, port.to);
      std::from_chars(to.ptr + 1, end, port.port);
      port.connects = seen.outcome() == zonequake::Observation::ANSWER;
      port.refused = seen.outcome() == zonequake::Observation::REFUSED;
      port.error = seen.error().empty() ? "no answer" : seen.error();
      ports_[{port.from, port.to, port.port}] = port;
    }
  }

  Status pause(Nanos length) const {
    for (const MonoTime until = mono_now() + length; mono_now() < until;) {
      if (options_.stop.stop_requested()) {
        return fail(ErrorCode::kCancelled, "stopped; nothing was changed");
      }
      std::this_thread::sleep_for(std::min(kGlance, until - mono_now()));
    }
    return {};
  }

  // Until all have told, and what they told stands.
  Status wait_for_systems() {
    const MonoTime deadline = mono_now() + options_.patience;
    while (mono_now() < deadline) {
      ZQ_CHECK(pause(kGlance));
      Facts told;
      hub_->add_facts(told);
      std::size_t tried = 0;
      {
        const std::lock_guard lock(mutex_);
        tried = ports_.size();
      }
      if (hub_->ready() && told.missing.empty() && tried >= expected_ports()) break;
    }
    for (const std::string& system : hub_->not_ready()) {
      facts_.missing.push_back(
          fmt::format("{} did not tell its version and timers; is it running, and is its endpoint "
                      "right in the cluster file?",
                      system));
    }
    return pause(kSettle);
  }

  std::size_t expected_ports() const {
    return static_cast<std::size_t>(std::count_if(
        asked_ports_.begin(), asked_ports_.end(),
        [this](const PortToTry& one) { return !facts_.unchecked.contains(one.from); }));
  }

  // A plan without a fault: each zone a group, its programme empty.
  Plan bare_plan() const {
    Plan plan;
    std::map<std::string, GroupId> groups;
    for (const Zone& zone : cluster_.zones) {
      groups.emplace(zone.name, static_cast<GroupId>(groups.size()));
    }
    plan.groups.resize(groups.size());
    std::map<GroupId, NodeId> first;  // with an agent
    for (std::size_t i = 0; i < cluster_.nodes.size(); ++i) {
      const Node& node = cluster_.nodes[i];
      const auto id = static_cast<NodeId>(i);
      const GroupId group = groups.at(node.zone);
      plan.groups[group].push_back(id);
      if (!facts_.unchecked.contains(id)) first.emplace(group, id);
      for (const IpPrefix& prefix : node.addresses) plan.address_book.push_back({prefix, group});
    }
    std::sort(plan.address_book.begin(), plan.address_book.end(),
              [](const auto& a, const auto& b) { return a.prefix < b.prefix; });
    for (std::size_t i = 0; i < cluster_.nodes.size(); ++i) {
      NodeProgramme programme;
      programme.node = static_cast<NodeId>(i);
      programme.group = groups.at(cluster_.nodes[i].zone);
      programme.has_agent = !facts_.unchecked.contains(programme.node);
      if (programme.has_agent) programme.path_targets = targets(programme.node, first);
      plan.programmes.push_back(std::move(programme));
    }
    return plan;
  }

  // Masters, schedulers and coordinators look at each other, and one node of each zone at one of
  // each other zone.
  std::vector<NodeId> targets(NodeId from, const std::map<GroupId, NodeId>& first) const {
    std::set<NodeId> targets;
    if (coordinates_others(cluster_.nodes[from])) {
      for (std::size_t i = 0; i < cluster_.nodes.size(); ++i) {
        if (coordinates_others(cluster_.nodes[i])) targets.insert(static_cast<NodeId>(i));
      }
    }
    const bool represents = std::any_of(first.begin(), first.end(),
                                        [&](const auto& entry) { return entry.second == from; });
    if (represents) {
      for (const auto& [group, node] : first) targets.insert(node);
    }
    targets.erase(from);
    return {targets.begin(), targets.end()};
  }

  bool arm() {
    plan_ = bare_plan();
    armed_ = true;
    const auto replies = fleet_->arm(
        arm_requests(cluster_, plan_, run_,
                     {.probe_rate = options_.probe_rate, .probe_port = options_.probe_port}),
        kArm);
    bool any = false;
    for (std::size_t i = 0; i < replies.size(); ++i) {
      if (facts_.unchecked.contains(static_cast<NodeId>(i))) continue;
      if (replies[i]) {
        any = true;
      } else {
        facts_.missing.push_back("paths were not measured: " + replies[i].error().message);
      }
    }
    return any;
  }

  void disarm() {
    if (!std::exchange(armed_, false)) return;
    zonequake::DisarmRequest request;
    *request.mutable_run() = run_;
    // What cannot be reached disarms itself when the heartbeats end.
    for (const auto& reply : fleet_->disarm(request, kCommand)) {
      if (!reply) continue;
    }
  }

  Status measure_paths() {
    ZQ_CHECK(pause(std::chrono::seconds(1)));  // the first probes may wait for neighbours
    zonequake::PathsRequest request;
    *request.mutable_run() = run_;
    request.set_begin_stage(true);
    request.set_stage(1);
    const auto before = fleet_->measure_paths(request, kCommand);
    ZQ_CHECK(pause(options_.paths));
    request.set_begin_stage(false);
    const auto after = fleet_->measure_paths(request, kCommand);
    for (std::size_t i = 0; i < after.size(); ++i) {
      if (!before[i] || !after[i]) continue;
      for (const zonequake::PathSent& now : after[i]->sent()) {
        const auto then = std::find_if(
            before[i]->sent().begin(), before[i]->sent().end(), [&](const auto& other) {
              return other.node() == now.node() && other.address() == now.address();
            });
        if (then == before[i]->sent().end()) continue;
        add_path(static_cast<NodeId>(i), *then, now);
      }
    }
    return {};
  }

  void add_path(NodeId from, const zonequake::PathSent& then, const zonequake::PathSent& now) {
    const Node* const to = cluster_.find_node(now.node());
    if (to == nullptr) return;
    PathFacts path;
    path.from = from;
    path.to = static_cast<NodeId>(to - cluster_.nodes.data());
    for (const bool v4 : {true, false}) {
      const auto address = to->host(v4);
      if (address && to_wire(*address) == now.address()) path.address = address->to_string();
    }
    path.sent = now.sent() - then.sent();
    path.received = std::min(path.sent, now.echoed() - then.echoed());
    if (now.stage_rtt().count() > 0) {
      path.rtt_p50_ms = static_cast<double>(now.stage_rtt().p50_ns()) / 1e6;
      path.rtt_p99_ms = static_cast<double>(now.stage_rtt().p99_ns()) / 1e6;
    }
    facts_.paths.push_back(std::move(path));
  }

  // One pair of zones after the other, so that none takes another's share.
  void measure_throughput() {
    std::map<std::string, NodeId> first;
    for (std::size_t i = 0; i < cluster_.nodes.size(); ++i) {
      if (!facts_.unchecked.contains(static_cast<NodeId>(i))) {
        first.emplace(cluster_.nodes[i].zone, static_cast<NodeId>(i));
      }
    }
    for (const auto& [zone, from] : first) {
      for (const auto& [other, to] : first) {
        if (zone == other || options_.stop.stop_requested()) continue;
        const Node& target = cluster_.nodes[to];
        const auto address = target.host(true) ? target.host(true) : target.host(false);
        if (!address) continue;
        zonequake::ThroughputRequest request;
        *request.mutable_run() = run_;
        request.set_address(to_wire(*address));
        request.set_milliseconds(static_cast<std::uint32_t>(
            std::chrono::duration_cast<std::chrono::milliseconds>(kThroughput).count()));
        const auto replies =
            fleet_->measure_throughput({{from, request}}, kThroughput + kThroughputAnswer);
        if (replies.empty() || !replies.front() || replies.front()->took_ns() <= 0) {
          facts_.missing.push_back(fmt::format("the throughput of {} -> {} could not be measured",
                                               cluster_.nodes[from].name, target.name));
          continue;
        }
        PathFacts path;
        path.from = from;
        path.to = to;
        path.address = address->to_string();
        path.throughput_mbps = static_cast<double>(replies.front()->bytes()) * 8e3 /
                               static_cast<double>(replies.front()->took_ns());
        facts_.paths.push_back(std::move(path));
      }
    }
  }

  const Cluster& cluster_;
  const OnlookOptions& options_;
  std::string dir_;
  zonequake::RunRef run_;
  std::unique_ptr<SignalHub> hub_;
  std::unique_ptr<Fleet> fleet_;  // after hub_: its streams end before the hub does
  Plan plan_;
  bool armed_ = false;

  std::mutex mutex_;  // of what observations fill
  Facts facts_;
  std::map<std::tuple<NodeId, NodeId, std::uint16_t>, PortFacts> ports_;
  std::vector<PortToTry> asked_ports_;
};

}  // namespace

Result<Facts> gather_facts(const Cluster& cluster, const Testbed* testbed,
                           const OnlookOptions& options) {
  Onlooker onlooker(cluster, testbed, options);
  return onlooker.look();
}

}  // namespace zq
