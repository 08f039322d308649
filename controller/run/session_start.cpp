#include <unistd.h>

#include <algorithm>

#include "agent/base/capability.h"
#include "controller/run/session.h"
#include "controller/testbed/layout.h"

namespace zq {
namespace {

constexpr Nanos kCommandTimeout = std::chrono::seconds(10);
// The kernel checks the gate's programs before it takes them: 0.1 s, many times that where a
// machine is emulated or busy.
constexpr Nanos kArmTimeout = std::chrono::seconds(30);
constexpr Nanos kTimersTimeout = std::chrono::seconds(60);
constexpr Nanos kBeatInterval = std::chrono::milliseconds(250);
constexpr Nanos kFirstProbes = std::chrono::seconds(1);  // broken paths are not waited for
constexpr std::uint32_t kProtocol = 1;
// Of a phase with faults: paths need time to be measured inside it.
constexpr Nanos kShortest = std::chrono::seconds(2);

std::string joined(const std::vector<std::string>& parts, const char* separator) {
  return fmt::format("{}", fmt::join(parts, separator));
}

// What a testbed's processes are to their agents: cgroups of the node. Agents that cannot act on
// cgroups leave them to the testbed.
FindTargets targets_of_testbed(const Cluster& cluster, const Testbed& testbed,
                               const std::vector<std::set<std::string>>& capabilities) {
  std::map<std::string, std::set<std::string>> processes;  // by node
  if (const auto all = testbed.status()) {
    for (const auto& one : *all) {
      if (one.name != kTestbedAgent) processes[one.node].insert(one.name);
    }
  }
  return [&cluster, &capabilities, processes](NodeId node, const std::string& system) {
    const std::string& name = cluster.nodes[node].name;
    if (!capabilities[node].contains(capability::kFreezer) || !processes.contains(name)) {
      return std::vector<ProcessTarget>{};
    }
    const std::string cgroup = testbed::Layout{cluster.name}.node_cgroup(name);
    const auto spec =
        system.empty() ? Result<const SystemSpec*>(nullptr) : find_system_by(cluster, system);
    const auto found = processes.find(name);
    if (spec && *spec != nullptr) {
      for (const std::string& process : {(*spec)->name, (*spec)->kind}) {
        if (!found->second.contains(process)) continue;
        return std::vector<ProcessTarget>{
            {.unit = {}, .cgroup = fmt::format("{}/{}", cgroup, process), .process = process}};
      }
    }
    return std::vector<ProcessTarget>{{.unit = {}, .cgroup = cgroup, .process = {}}};
  };
}

// Systems whose leader the experiment's selections ask for.
std::set<std::string> systems_to_lead(const Experiment& experiment) {
  std::set<std::string> systems;
  const auto add = [&](const Selector& selector) {
    if (!selector.is_dynamic()) return;
    for (const std::string& system : selector.referenced_systems()) systems.insert(system);
  };
  for (const NamedSelector& entry : experiment.select) add(entry.selector);
  for (const Phase& phase : experiment.phases) {
    for (const Fault& fault : phase.faults) {
      add(fault.a);
      add(fault.b);
    }
  }
  return systems;
}

}  // namespace

RunSession::RunSession(const Experiment& experiment, const Cluster& cluster, Testbed* testbed,
                       Store& store, const RunOptions& options, RunListener& listener,
                       std::stop_token stop)
    : experiment_(experiment),
      cluster_(cluster),
      testbed_(testbed),
      store_(store),
      options_(options),
      listener_(listener),
      stop_(std::move(stop)),
      node_index_(cluster) {}

Status RunSession::begin() {
  ZQ_TRY(const ProcessIdentity self, own_identity());
  record_.title = experiment_.title;
  record_.caveat = experiment_.caveat;
  record_.experiment_path = experiment_.path;
  record_.experiment_text = experiment_.text;
  record_.cluster_name = cluster_.name;
  record_.cluster_path = cluster_.path;
  record_.cluster_text = cluster_.text;
  record_.labels = options_.labels;
  record_.started_wall_ns = wall_now_ns();
  record_.started_mono_ns = to_ns(mono_now());
  record_.controller_pid = self.pid;
  record_.controller_start_ticks = self.start_ticks;
  record_.boot_id = self.boot_id;

  // Unique over controllers and restarts, so that an agent can tell whose run it holds.
  run_.set_run(fmt::format("{}-{}-{}", cluster_.name, self.pid, record_.started_wall_ns));
  run_.set_epoch(static_cast<std::uint64_t>(record_.started_wall_ns));
  // In a testbed every node has a directory of its own name; elsewhere "{dir}" has no meaning.
  std::string dir;
  if (testbed_ != nullptr && !cluster_.nodes.empty()) {
    dir = testbed_->node_dir(cluster_.nodes.front().name);
    dir = dir.substr(0, dir.rfind('/')) + "/{name}";
  }
  ZQ_TRY(hub_, SignalHub::make(cluster_, experiment_, run_.run(), dir, options_.arm.probe_port));

  std::vector<AgentEndpoint> endpoints;
  for (const Node& node : cluster_.nodes) {
    endpoints.push_back({.node = node.name, .address = agent_address(node, testbed_)});
  }
  fleet_ = std::make_unique<Fleet>(std::move(endpoints));
  ZQ_TRY(record_.id, store_.begin_run(record_));
  listener_.run_started(record_.id);
  return {};
}

Status RunSession::describe_fleet() {
  listener_.step(fmt::format("asking {} agents what they are", cluster_.nodes.size()));
  zonequake::DescribeRequest request;
  request.set_protocol(kProtocol);
  for (const Node& node : cluster_.nodes) {
    for (const bool v4 : {true, false}) {
      if (const auto address = node.host(v4)) request.add_peers(to_wire(*address));
    }
  }
  const auto replies = fleet_->describe(request, kCommandTimeout);
  std::vector<std::string> problems;
  std::set<std::string> agent_versions;
  for (std::size_t i = 0; i < replies.size(); ++i) {
    const Node& node = cluster_.nodes[i];
    NodeRecord& record = nodes_.emplace_back();
    record.name = node.name;
    record.zone = node.zone;
    record.region = node.region;
    record.roles = joined(node.roles, ",");
    std::vector<std::string> addresses;
    for (const IpPrefix& prefix : node.addresses) addresses.push_back(prefix.to_string());
    record.addresses = joined(addresses, ",");
    capabilities_.emplace_back();
    if (!node.has_agent()) {
      record.agent_version = kNoAgent;
      continue;
    }
    if (!replies[i]) {
      problems.push_back(replies[i].error().message);
      continue;
    }
    capabilities_.back() = capability_names(*replies[i]);
    record.capabilities = capabilities_text(*replies[i]);
    const zonequake::DescribeReply& reply = *replies[i];
    record.kernel = reply.kernel();
    record.agent_version = reply.version();
    record.boot_id = reply.boot_id();
    agent_versions.insert(reply.version());
    if (reply.protocol() != kProtocol) {
      problems.push_back(
          fmt::format("{}: its agent {} speaks protocol {}, this controller {}; "
                      "install the same version on both",
                      node.name, reply.version(), reply.protocol(), kProtocol));
    }
    if (reply.node() != node.name) {
      problems.push_back(fmt::format("the agent at {} says that it is {}, not {}",
                                     fleet_->endpoints()[i].address, reply.node(), node.name));
    }
    if (!reply.holder().empty()) {
      problems.push_back(fmt::format("{} is held by run {}; wait for it or end its controller",
                                     node.name, reply.holder()));
    }
    for (const std::string& ahead : reply.ahead()) {
      problems.push_back(
          fmt::format("{}: {} stands ahead of the gate and could blind it; remove it "
                      "for the time of the run",
                      node.name, ahead));
    }
    for (const std::string& missing : reply.missing()) {
      problems.push_back(fmt::format("{}: {}", node.name, missing));
    }
  }
  record_.versions["agent"] = fmt::format("{}", fmt::join(agent_versions, " "));
  ZQ_CHECK(store_.put_nodes(record_.id, nodes_));
  if (!problems.empty()) return fail(ErrorCode::kUnavailable, "{}", joined(problems, "; "));
  return {};
}

Status RunSession::learn_timers() {
  fleet_->start_heartbeats(run_, kBeatInterval);
  hub_->seed(mono_now());
  fleet_->start_observing(hub_->probe_sets(run_, false),
                          [this](std::size_t index, const zonequake::ObservationBatch& batch) {
                            const auto clock = fleet_->clock(index).value_or(ClockEstimate{});
                            hub_->on_batch(static_cast<NodeId>(index), batch, clock.offset);
                          });
  if (!cluster_.systems.empty()) listener_.step("reading the systems' timers and versions");
  const std::set<std::string> to_lead = systems_to_lead(experiment_);
  const auto leaderless = [&] {
    return std::find_if(to_lead.begin(), to_lead.end(),
                        [&](const std::string& system) { return !hub_->leader(system); });
  };
  const MonoTime deadline = mono_now() + kTimersTimeout;
  while (!hub_->ready() || uncertainty() == Nanos::max() || leaderless() != to_lead.end()) {
    if (mono_now() > deadline) {
      const auto missing = hub_->not_ready();
      if (missing.empty() && leaderless() != to_lead.end()) {
        return fail(ErrorCode::kUnavailable,
                    "{} had no leader that a majority agrees on within {}; nothing was impaired",
                    *leaderless(), format_duration(kTimersTimeout));
      }
      if (missing.empty()) {
        return fail(ErrorCode::kUnavailable, "an agent never answered a heartbeat within {}",
                    format_duration(kTimersTimeout));
      }
      return fail(ErrorCode::kUnavailable,
                  "{} did not tell its version and timers within {}; is it running and is its "
                  "endpoint right in the cluster file?",
                  joined(missing, ", "), format_duration(kTimersTimeout));
    }
    ZQ_CHECK(watch(mono_now() + std::chrono::milliseconds(100), "", mono_now(), Nanos{0}));
  }
  for (const auto& [system, version] : hub_->versions()) record_.versions[system] = version;
  record_.variables = hub_->variables();
  for (const auto& [name, derivation] : hub_->derivations()) {
    event("timer", "",
          fmt::format("{} = {}: {}", name, format_duration(from_seconds(record_.variables[name])),
                      derivation));
  }
  return {};
}

Status RunSession::plan_and_check() {
  const LiveCluster live = live_cluster();
  // Agents that say nothing of what they can do are not held to it.
  const bool told = std::any_of(capabilities_.begin(), capabilities_.end(),
                                [](const auto& names) { return !names.empty(); });
  ZQ_TRY(plan_,
         make_plan({.cluster = cluster_,
                    .experiment = experiment_,
                    .variables = record_.variables,
                    .live = &live,
                    .capabilities = told ? capabilities_ : std::vector<std::set<std::string>>{}}));
  for (const PlannedPhase& planned : plan_.phases) {
    const Phase* phase = experiment_.find_phase(planned.name);
    if (phase->faults.empty() || planned.until - planned.from >= kShortest) continue;
    return fail(ErrorCode::kInput,
                "{}: phase '{}' lasts {}, too short to prove its faults; let it last at least {}",
                phase->position.to_string(), planned.name,
                format_duration(planned.until - planned.from), format_duration(kShortest));
  }
  ZQ_CHECK(schedule_steps());
  record_.plan_json = plan_to_json(plan_, cluster_);
  for (const NodeProgramme& programme : plan_.programmes) {
    nodes_[programme.node].group = programme.group;
  }
  ZQ_CHECK(store_.update_run(record_));
  std::vector<PhaseRecord> phases;
  for (const PlannedPhase& phase : plan_.phases) {
    phases.push_back({.name = phase.name,
                      .planned_from_ns = phase.from.count(),
                      .planned_until_ns = phase.until.count(),
                      .from_mono_ns = {},
                      .until_mono_ns = {}});
  }
  ZQ_CHECK(store_.put_phases(record_.id, phases));
  listener_.planned(plan_);
  return {};
}

Status RunSession::schedule_steps() {
  ZQ_TRY(ProcessSchedule schedule,
         schedule_processes(cluster_, plan_, testbed_ != nullptr,
                            testbed_ != nullptr
                                ? targets_of_testbed(cluster_, *testbed_, capabilities_)
                                : targets_of_systems(cluster_)));
  agent_steps_ = std::move(schedule.agents);
  steps_ = std::make_unique<ProcessSteps>(
      cluster_, testbed_, std::move(schedule.controller), [this](const ProcessRecord& record) {
        if (Status put = store_.put_process(record_.id, record); !put) {
          listener_.trouble("a process step could not be stored: " + put.error().message);
        }
        if (!record.done_mono_ns) return;
        event("process", record.node,
              fmt::format("{}: {}", record.step, record.error.empty() ? "done" : record.error));
      });
  return {};
}

Status RunSession::arm() {
  listener_.step(
      fmt::format("arming {} nodes in {} groups", cluster_.nodes.size(), plan_.groups.size()));
  // From here on a node may be armed even if its answer never comes.
  armed_ = true;
  const auto requests = arm_requests(cluster_, plan_, run_, options_.arm);
  const auto replies = fleet_->arm(requests, kArmTimeout);
  std::vector<std::string> problems;
  std::optional<std::string> book_hash;
  for (std::size_t i = 0; i < replies.size(); ++i) {
    if (!fleet_->has_agent(i)) continue;
    if (!replies[i]) {
      problems.push_back(replies[i].error().message);
      continue;
    }
    nodes_[i].dump_before = replies[i]->dump();
    for (const std::string& unlisted : replies[i]->unlisted()) {
      problems.push_back(cluster_.nodes[i].name + ": " + unlisted);
    }
    if (book_hash.value_or(replies[i]->book_hash()) != replies[i]->book_hash()) {
      problems.push_back(cluster_.nodes[i].name + ": holds another address book than the others");
    }
    book_hash = replies[i]->book_hash();
  }
  // Loading the gate may have kept an agent from answering heartbeats.
  patient_until_ = mono_now() + std::chrono::seconds(2);
  ZQ_CHECK(store_.put_nodes(record_.id, nodes_));
  if (!problems.empty()) return fail(ErrorCode::kUnavailable, "{}", joined(problems, "; "));
  event("fault", "", fmt::format("all nodes armed; address book {}", book_hash.value_or("empty")));
  return {};
}

Status RunSession::wait_for_steady_state() {
  const SteadyState& steady = experiment_.steady;
  if (steady.holds.empty()) return {};
  listener_.step("waiting for the steady state");
  const MonoTime started = mono_now();
  std::optional<MonoTime> since;
  while (true) {
    const MonoTime now = mono_now();
    const std::vector<Series> series = hub_->series();
    const JudgeContext context = live_context();
    std::string missing;
    for (const Expression& condition : steady.holds) {
      ZQ_TRY(const std::optional<bool> holds, evaluate_condition(condition, context, series, now));
      if (holds.value_or(false)) continue;
      missing = fmt::format("'{}' is {}", condition.text(), holds ? "false" : "unknown");
      break;
    }
    if (!missing.empty()) since.reset();
    if (missing.empty() && !since) since = now;
    if (since && now - *since >= steady.hold_for) return {};
    if (now - started > steady.timeout) {
      return fail(ErrorCode::kUnavailable,
                  "the cluster was not in its steady state within {}: {}; nothing was impaired",
                  format_duration(steady.timeout),
                  missing.empty() ? "it did not hold long enough" : missing);
    }
    ZQ_CHECK(watch(now + std::chrono::milliseconds(100), "", started, Nanos{0}));
  }
}

Status RunSession::baseline() {
  const PlannedPhase& phase = plan_.phases.front();
  const Nanos length = phase.until - phase.from;
  listener_.phase(phase.name, length);
  event("phase", "", phase.name);
  const MonoTime from = mono_now();
  const MonoTime until = from + length;
  const std::vector<PlannedPath> paths = planned_paths(cluster_, plan_);
  while (!all_flow(paths, poll_paths()) && mono_now() < from + kFirstProbes) {
    last_poll_ = {};  // a path on which the first probe is on its way is not cut
    ZQ_CHECK(watch(mono_now() + std::chrono::milliseconds(50), phase.name, from, length));
  }
  const PathSnapshot before = begin_stage(from + kCommandTimeout);
  ZQ_CHECK(watch(std::max(until - options_.lead, from + std::chrono::seconds(2)), phase.name, from,
                 length));
  const PathSnapshot after = poll_paths(mono_now() + kCommandTimeout);
  reference_ = after.since(before);
  take_stage(stage_of("before"), before, after);
  record_phase(phase, from, mono_now());
  if (!findings_.invalid.empty()) {
    const std::string problems = joined(std::exchange(findings_.invalid, {}), "; ");
    return fail(ErrorCode::kUnavailable, "the paths are not whole before the fault: {}", problems);
  }
  return {};
}

}  // namespace zq
