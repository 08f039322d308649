#include "agent/session.h"

#include <spdlog/spdlog.h>

#include "agent/dataplane/addresses.h"
#include "agent/process_wire.h"
#include "agent/session_run.h"
#include "agent/wire.h"

namespace zq {
namespace {

constexpr std::string_view kDisarmed = "disarmed";
// What takes longer, like a unit that does not want to stop, is asked for again.
constexpr Nanos kProcessPatience = std::chrono::seconds(8);

// What the queues held at the heal comes out after it.
Status add_held(std::vector<WindowEvidence>& evidence, const Gate& gate) {
  ZQ_TRY(const auto now, gate.evidence());
  for (std::size_t i = 0; i < std::min(evidence.size(), now.size()); ++i) {
    evidence[i].held_dropped_packets = now[i].held_dropped_packets;
    evidence[i].held_passed_packets = now[i].held_passed_packets;
    evidence[i].last_held_ns = now[i].last_held_ns;
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Session>> Session::open(SessionOptions options,
                                               std::vector<std::string>& removed) {
  ZQ_TRY(removed, clean_leftovers(options.state_dir));
  if (const auto undone = settle_process_journal(options.state_dir)) {
    removed.insert(removed.end(), undone->begin(), undone->end());
  } else {
    spdlog::error("left by an earlier life: {}", undone.error().message);
  }
  std::unique_ptr<Session> session(new Session(std::move(options)));
  session->last_ = load_run_record(session->options_.state_dir);
  if (session->last_ && session->last_->ended.empty()) {
    session->last_->ended = "the agent ended without letting it go, and was started again";
    session->remember(*session->last_);
  }
  session->watcher_ =
      std::jthread([self = session.get()](const std::stop_token& stop) { self->watch(stop); });
  return session;
}

Session::Session(SessionOptions options) : options_(std::move(options)) {}

Session::~Session() {
  watcher_ = {};
  release("the agent ends");
}

// ---- who may do what

Status Session::check_epoch(const zonequake::RunRef& ref, std::uint64_t newest) const {
  if (ref.epoch() >= newest) return {};
  return fail(ErrorCode::kRefused,
              "run {}: epoch {} is outdated on node {}, epoch {} has taken over", ref.run(),
              ref.epoch(), options_.node, newest);
}

Status Session::check_fence(const zonequake::RunRef& ref) {
  if (ref.run().empty()) return fail(ErrorCode::kInput, "run: the request names no run");
  if (!run_) return last_ && last_->run == ref.run() ? check_epoch(ref, last_->epoch) : Status{};
  if (run_->order.run != ref.run()) {
    return fail(ErrorCode::kRefused,
                "node {} is held by run {} (epoch {}); wait until it has ended, or disarm it",
                options_.node, run_->order.run, run_->order.epoch);
  }
  ZQ_CHECK(check_epoch(ref, run_->order.epoch));
  if (ref.epoch() > run_->order.epoch) {
    spdlog::info("run {}: epoch {} takes over from {}", ref.run(), ref.epoch(), run_->order.epoch);
    run_->order.epoch = ref.epoch();
    remember({run_->order.run, run_->order.epoch, run_->uplinks, ""});
  }
  return {};
}

Result<Session::Run*> Session::held_by(const zonequake::RunRef& ref) {
  ZQ_CHECK(check_fence(ref));
  if (run_) return run_.get();
  if (last_ && last_->run == ref.run()) {
    return fail(ErrorCode::kRefused, "node {} no longer holds run {}: {}", options_.node, ref.run(),
                last_->ended);
  }
  return fail(ErrorCode::kRefused, "node {} does not hold run {}: arm it first", options_.node,
              ref.run());
}

Status Session::may_observe(const zonequake::RunRef& run) {
  const std::lock_guard lock(mutex_);
  return check_fence(run);
}

std::string Session::holder() {
  const std::lock_guard lock(mutex_);
  return run_ ? run_->order.run : "";
}

void Session::remember(RunRecord record) {
  if (auto saved = save_run_record(options_.state_dir, record); !saved) {
    spdlog::warn("remembering run {}: {}", record.run, saved.error().message);
  }
  last_ = std::move(record);
}

// ---- commands

Result<zonequake::ArmReply> Session::arm(const zonequake::ArmRequest& request,
                                         const std::optional<GateExemption>& control) {
  ZQ_TRY(auto order, read_arm(request, options_.node));
  if (control) order.gate.exempt.push_back(*control);
  const std::lock_guard turn(turn_);
  {
    const std::lock_guard lock(mutex_);
    ZQ_CHECK(check_fence(request.run()));
    if (run_) {
      ZQ_CHECK(check_repeated(request));
      return run_->reply;
    }
    if (last_ && last_->run == order.run && last_->epoch == order.epoch &&
        last_->ended != kDisarmed) {
      return fail(ErrorCode::kRefused, "run {} has already ended on node {}: {}; start a new run",
                  order.run, options_.node, last_->ended);
    }
  }
  // Takes seconds with a large book. Having the turn is enough: no other call can arm meanwhile.
  ZQ_TRY(auto removed, clean_leftovers(options_.state_dir));
  ZQ_TRY(const auto undone, settle_process_journal(options_.state_dir));
  removed.insert(removed.end(), undone.begin(), undone.end());
  for (const auto& line : removed) spdlog::warn("left by an earlier run, removed: {}", line);
  ZQ_TRY(auto run, make_run(std::move(order), request));
  const std::lock_guard lock(mutex_);
  run_ = std::move(run);
  last_changes_.clear();
  remember({run_->order.run, run_->order.epoch, run_->uplinks, ""});
  spdlog::info("run {}: armed, {} addresses in {} groups, {} uplinks", run_->order.run,
               run_->order.gate.book.size(), run_->order.gate.groups, run_->uplinks.size());
  return run_->reply;
}

Status Session::check_repeated(const zonequake::ArmRequest& request) const {
  zonequake::ArmRequest known = run_->request;
  *known.mutable_run() = request.run();  // the epoch may be a newer one
  if (known.SerializeAsString() == request.SerializeAsString()) return {};
  return fail(ErrorCode::kRefused,
              "run {} is armed on node {} with another address book or other settings: disarm it "
              "first",
              request.run().run(), options_.node);
}

Result<std::unique_ptr<Session::Run>> Session::make_run(ArmOrder order,
                                                        const zonequake::ArmRequest& request) {
  ZQ_TRY(auto uplinks, resolve_uplinks(order.peers));
  ZQ_TRY(auto dump, dump_network(uplinks));
  ZQ_TRY(auto everything, dump_everything());
  order.gate.uplinks = uplinks;
  ZQ_TRY(const auto unlisted, unlisted_addresses(order.gate));
  ZQ_TRY(auto gate, Gate::attach(order.gate, options_.state_dir));
  auto run = std::make_unique<Run>(std::move(order), request, std::move(gate), options_.state_dir);
  ZQ_TRY(run->monitor, FilterMonitor::open(uplinks));
  ZQ_TRY(run->prober, PathProber::start(run->order.paths));
  const auto& paths = run->order.paths;
  ZQ_TRY(run->throughput, Throughput::start(paths.run, paths.own, paths.port));
  ZQ_TRY(run->keeper, LeaseKeeper::start(run->gate, run->order.lease, run->order.orphan));
  run->reply.set_book_hash(run->order.book_hash);
  for (const auto& uplink : uplinks) *run->reply.add_uplinks() = to_wire(uplink);
  run->reply.set_dump(dump);
  run->reply.mutable_unlisted()->Add(unlisted.begin(), unlisted.end());
  run->everything_before = std::move(everything);
  run->uplinks = std::move(uplinks);
  return run;
}

Status Session::check_open(const Run& run) const {
  if (!run.violations.empty()) {
    return fail(ErrorCode::kRefused, "run {} is no longer valid on node {}: {}", run.order.run,
                options_.node, run.violations.front());
  }
  if (run.healed_at) {
    return fail(ErrorCode::kRefused, "run {} is healed on node {}: a new fault needs a new run",
                run.order.run, options_.node);
  }
  return {};
}

Result<zonequake::LoadReply> Session::load(const zonequake::LoadRequest& request) {
  const std::lock_guard lock(mutex_);
  ZQ_TRY(Run* const run, held_by(request.run()));
  ZQ_TRY(auto programme, read_programme(request, run->order.gate.groups));
  ZQ_TRY(const auto actions, read_process_actions(request.processes()));
  ZQ_CHECK(check_open(*run));
  ZQ_CHECK(run->processes->schedule(actions));
  const std::size_t rules = programme.rules.size();
  if (auto swapped = swap_programme(*run, std::move(programme)); !swapped) {
    (void)run->processes->schedule({});
    return tl::unexpected(std::move(swapped).error());
  }
  zonequake::LoadReply reply;
  reply.set_loaded_mono_ns(to_ns(mono_now()));
  spdlog::info("run {}: programme of {} rules loaded", run->order.run, rules);
  return reply;
}

Result<zonequake::BeatReply> Session::beat(const zonequake::Beat& beat, MonoTime received) {
  const std::lock_guard lock(mutex_);
  ZQ_CHECK(check_fence(beat.run()));
  zonequake::BeatReply reply;
  reply.set_sequence(beat.sequence());
  reply.set_controller_mono_ns(beat.controller_mono_ns());
  reply.set_received_mono_ns(to_ns(received));
  // Before it arms, a controller exchanges clocks; a run that has been let go must hear of it.
  if (!run_ && !(last_ && last_->run == beat.run().run())) return reply;
  ZQ_TRY(Run* const run, held_by(beat.run()));
  run->keeper->beat(received);
  reply.set_lease_held(run->keeper->held());
  for (const auto& violation : run->violations) reply.add_violations(violation);
  return reply;
}

Result<zonequake::PathsReply> Session::measure_paths(const zonequake::PathsRequest& request) {
  const std::lock_guard lock(mutex_);
  ZQ_TRY(Run* const run, held_by(request.run()));
  if (!run->prober) {
    return fail(ErrorCode::kRefused, "run {} is being let go on node {}", run->order.run,
                options_.node);
  }
  if (request.begin_stage()) run->prober->begin_stage(request.stage());
  auto reply = to_wire(run->prober->measure());
  reply.set_at_mono_ns(to_ns(mono_now()));
  return reply;
}

Result<zonequake::ThroughputReply> Session::measure_throughput(
    const zonequake::ThroughputRequest& request) {
  ZQ_TRY(const IpAddress peer, read_address(request.address(), "throughput"));
  std::shared_ptr<Throughput> throughput;
  {
    const std::lock_guard lock(mutex_);
    ZQ_TRY(Run* const run, held_by(request.run()));
    throughput = run->throughput;
  }
  ZQ_TRY(const Goodput goodput,
         throughput->measure(peer, std::chrono::milliseconds(request.milliseconds())));
  zonequake::ThroughputReply reply;
  reply.set_bytes(goodput.bytes);
  reply.set_took_ns(goodput.took.count());
  return reply;
}

Result<zonequake::ProcessReply> Session::control_processes(
    const zonequake::ProcessRequest& request) {
  ZQ_TRY(const auto actions, read_process_actions(request.actions()));
  std::shared_ptr<ProcessControl> processes;
  {
    const std::lock_guard lock(mutex_);
    ZQ_TRY(Run* const run, held_by(request.run()));
    if (!actions.empty()) ZQ_CHECK(check_open(*run));
    processes = run->processes;
  }
  if (!actions.empty()) ZQ_CHECK(processes->act(actions, kProcessPatience));
  return to_wire(processes->results());
}

Result<zonequake::EvidenceReply> Session::read_evidence(const zonequake::EvidenceRequest& request) {
  const std::lock_guard lock(mutex_);
  ZQ_TRY(Run* const run, held_by(request.run()));
  if (!run->healed_at) run->evidence = run->gate.evidence();
  ZQ_TRY(auto evidence, run->evidence);
  if (run->healed_at) ZQ_CHECK(add_held(evidence, run->gate));
  ZQ_TRY(const auto counters, run->gate.counters());
  ZQ_TRY(const auto lease, run->gate.lease());
  zonequake::EvidenceReply reply;
  for (const auto& counter : counters) *reply.add_counters() = to_wire(counter);
  for (const auto& window : evidence) *reply.add_windows() = to_wire(window);
  ZQ_TRY(const auto queues, run->gate.queues());
  for (const auto& queue : queues) *reply.add_queues() = to_wire(queue);
  reply.set_lease_until_mono_ns(to_ns(lease.until));
  reply.set_lease_lapsed(lease.lapsed);
  return reply;
}

Result<zonequake::HealReply> Session::heal(const zonequake::HealRequest& request) {
  const std::lock_guard turn(turn_);
  const std::lock_guard lock(mutex_);
  ZQ_CHECK(check_fence(request.run()));
  zonequake::HealReply reply;
  if (!run_) {  // no run, no fault
    reply.set_healed_mono_ns(to_ns(mono_now()));
    reply.set_drained_mono_ns(reply.healed_mono_ns());
    return reply;
  }
  ZQ_CHECK(heal(*run_));
  reply.set_healed_mono_ns(to_ns(*run_->healed_at));
  reply.set_drained_mono_ns(to_ns(*run_->healed_at + run_->gate.longest_drain()));
  return reply;
}

Result<zonequake::DisarmReply> Session::disarm(const zonequake::DisarmRequest& request) {
  const std::lock_guard turn(turn_);
  const std::lock_guard lock(mutex_);
  ZQ_CHECK(check_fence(request.run()));
  if (run_) ZQ_CHECK(let_go(std::string(kDisarmed)));
  zonequake::DisarmReply reply;
  const bool known = last_ && last_->run == request.run().run();
  ZQ_TRY(*reply.mutable_dump(), dump_network(known ? last_->uplinks : std::vector<Uplink>{}));
  if (known) reply.mutable_other_changes()->Add(last_changes_.begin(), last_changes_.end());
  return reply;
}

}  // namespace zq
