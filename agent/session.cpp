#include "agent/session.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <sstream>

#include "agent/dataplane/monitor.h"
#include "agent/wire.h"

namespace zq {
namespace {

constexpr Nanos kTick = std::chrono::milliseconds(100);
constexpr Nanos kInspectEach = std::chrono::milliseconds(500);
constexpr Nanos kReleaseRetry = std::chrono::seconds(5);
constexpr std::string_view kDisarmed = "disarmed";

std::vector<std::string> sorted_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  std::sort(lines.begin(), lines.end());
  return lines;
}

// Lines that only one of the texts has: "- gone", "+ new".
std::vector<std::string> line_changes(const std::string& before, const std::string& after) {
  const auto old_lines = sorted_lines(before);
  const auto new_lines = sorted_lines(after);
  std::vector<std::string> gone;
  std::vector<std::string> appeared;
  std::set_difference(old_lines.begin(), old_lines.end(), new_lines.begin(), new_lines.end(),
                      std::back_inserter(gone));
  std::set_difference(new_lines.begin(), new_lines.end(), old_lines.begin(), old_lines.end(),
                      std::back_inserter(appeared));
  std::vector<std::string> changes;
  for (const auto& line : gone) changes.push_back("- " + line);
  for (const auto& line : appeared) changes.push_back("+ " + line);
  return changes;
}

}  // namespace

struct Session::Run {
  Run(ArmOrder order_in, zonequake::ArmRequest request_in, Gate gate_in)
      : order(std::move(order_in)), request(std::move(request_in)), gate(std::move(gate_in)) {}

  ArmOrder order;
  zonequake::ArmRequest request;  // to recognise a repetition
  zonequake::ArmReply reply;
  std::vector<Uplink> uplinks;
  std::string everything_before;  // dump_everything() just before the first change
  Gate gate;
  std::optional<FilterMonitor> monitor;
  std::unique_ptr<PathProber> prober;   // this and the monitor: none once the run is let go
  std::unique_ptr<LeaseKeeper> keeper;  // uses the gate
  std::vector<DropRule> rules;
  std::vector<std::string> violations;
  std::optional<MonoTime> healed_at;
  std::vector<WindowEvidence> evidence;  // as it was at the heal
  MonoTime inspect_at{};
  MonoTime release_at{};
};

Result<std::unique_ptr<Session>> Session::open(SessionOptions options,
                                               std::vector<std::string>& removed) {
  ZQ_TRY(removed, clean_leftovers(options.state_dir));
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
  ZQ_TRY(run_, make_run(std::move(order), request));
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
  ZQ_TRY(auto gate, Gate::attach(order.gate, options_.state_dir));
  auto run = std::make_unique<Run>(std::move(order), request, std::move(gate));
  ZQ_TRY(run->monitor, FilterMonitor::open(uplinks));
  ZQ_TRY(run->prober, PathProber::start(run->order.paths));
  ZQ_TRY(run->keeper, LeaseKeeper::start(run->gate, run->order.lease, run->order.orphan));
  run->reply.set_book_hash(run->order.book_hash);
  for (const auto& uplink : uplinks) *run->reply.add_uplinks() = to_wire(uplink);
  run->reply.set_dump(dump);
  run->everything_before = std::move(everything);
  run->uplinks = std::move(uplinks);
  return run;
}

Result<zonequake::LoadReply> Session::load(const zonequake::LoadRequest& request) {
  const std::lock_guard lock(mutex_);
  ZQ_TRY(Run* const run, held_by(request.run()));
  ZQ_TRY(const auto rules, read_rules(request, run->order.gate.groups));
  if (!run->violations.empty()) {
    return fail(ErrorCode::kRefused, "run {} is no longer valid on node {}: {}", run->order.run,
                options_.node, run->violations.front());
  }
  if (run->healed_at) {
    return fail(ErrorCode::kRefused, "run {} is healed on node {}: a new fault needs a new run",
                run->order.run, options_.node);
  }
  ZQ_CHECK(swap_programme(*run, rules));
  zonequake::LoadReply reply;
  reply.set_loaded_mono_ns(to_ns(mono_now()));
  spdlog::info("run {}: programme of {} rules loaded", run->order.run, rules.size());
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
  auto reply = to_wire(run->prober->measure());
  reply.set_at_mono_ns(to_ns(mono_now()));
  return reply;
}

Result<zonequake::EvidenceReply> Session::read_evidence(const zonequake::EvidenceRequest& request) {
  const std::lock_guard lock(mutex_);
  ZQ_TRY(Run* const run, held_by(request.run()));
  if (!run->healed_at) {
    ZQ_TRY(run->evidence, run->gate.evidence());
  }
  ZQ_TRY(const auto counters, run->gate.counters());
  ZQ_TRY(const auto lease, run->gate.lease());
  zonequake::EvidenceReply reply;
  for (const auto& counter : counters) *reply.add_counters() = to_wire(counter);
  for (const auto& window : run->evidence) *reply.add_windows() = to_wire(window);
  reply.set_lease_until_mono_ns(to_ns(lease.until));
  reply.set_lease_lapsed(lease.lapsed);
  return reply;
}

Result<zonequake::HealReply> Session::heal(const zonequake::HealRequest& request) {
  const std::lock_guard lock(mutex_);
  ZQ_CHECK(check_fence(request.run()));
  zonequake::HealReply reply;
  if (!run_) {  // no run, no fault
    reply.set_healed_mono_ns(to_ns(mono_now()));
    return reply;
  }
  ZQ_CHECK(heal(*run_));
  reply.set_healed_mono_ns(to_ns(*run_->healed_at));
  return reply;
}

Result<zonequake::DisarmReply> Session::disarm(const zonequake::DisarmRequest& request) {
  const std::lock_guard lock(mutex_);
  ZQ_CHECK(check_fence(request.run()));
  if (run_) ZQ_CHECK(let_go(std::string(kDisarmed)));
  zonequake::DisarmReply reply;
  const bool known = last_ && last_->run == request.run().run();
  ZQ_TRY(*reply.mutable_dump(), dump_network(known ? last_->uplinks : std::vector<Uplink>{}));
  if (known) reply.mutable_other_changes()->Add(last_changes_.begin(), last_changes_.end());
  return reply;
}

// ---- the node's safety

Status Session::swap_programme(Run& run, const std::vector<DropRule>& rules) {
  // Never a moment in which probes claim a cut that the kernel no longer makes.
  run.prober->set_programme({});
  if (auto loaded = run.gate.load(rules); !loaded) {
    run.prober->set_programme(run.rules);
    return loaded;
  }
  run.prober->set_programme(rules);
  run.rules = rules;
  return {};
}

Status Session::heal(Run& run) {
  if (run.healed_at) return {};
  run.prober->set_programme({});
  if (auto evidence = run.gate.evidence()) run.evidence = std::move(*evidence);
  run.keeper->stop();
  // Either of the two ends every fault.
  auto loaded = run.gate.load({});
  auto ended = run.gate.end_lease();
  if (!loaded && !ended) return loaded;
  run.healed_at = mono_now();
  run.rules.clear();
  spdlog::info("run {}: healed", run.order.run);
  return {};
}

Status Session::let_go(const std::string& why) {
  ZQ_CHECK(heal(*run_));
  run_->prober.reset();
  run_->monitor.reset();
  if (auto detached = run_->gate.detach(); !detached) {
    return tl::unexpected(std::move(detached).error().with_context(
        fmt::format("run {}: healed, but the gate cannot be removed", run_->order.run)));
  }
  if (const auto after = dump_everything()) {
    last_changes_ = line_changes(run_->everything_before, *after);
  }
  spdlog::info("run {}: let go: {}", run_->order.run, why);
  remember({run_->order.run, run_->order.epoch, run_->uplinks, why});
  run_.reset();
  return {};
}

void Session::release(const std::string& why) {
  const std::lock_guard lock(mutex_);
  if (!run_) return;
  if (auto released = let_go(why); !released) spdlog::error("{}", released.error().message);
}

void Session::watch(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  MonoTime last = mono_now();
  while (true) {
    wake_.wait_for(lock, stop, kTick, [] { return false; });
    if (stop.stop_requested()) return;
    const MonoTime now = mono_now();
    if (run_) look_after(*run_, now - last - kTick);
    last = now;
  }
}

void Session::look_after(Run& run, Nanos stalled) {
  const MonoTime now = mono_now();
  std::vector<std::string> found;
  if (auto failure = run.keeper->failure()) found.push_back(std::move(*failure));
  if (run.monitor && run.monitor->relevant_change().value_or(true)) run.inspect_at = now;
  if (run.monitor && now >= run.inspect_at) {
    run.inspect_at = now + kInspectEach;
    auto violations = run.gate.violations();
    if (!violations) violations = {std::move(violations).error().message};
    found.insert(found.end(), violations->begin(), violations->end());
  }
  for (const auto& violation : found) {
    if (std::find(run.violations.begin(), run.violations.end(), violation) !=
        run.violations.end()) {
      continue;
    }
    spdlog::error("run {}: violation: {}", run.order.run, violation);
    run.violations.push_back(violation);
  }
  if (!run.violations.empty()) {
    if (auto healed = heal(run); !healed) {
      spdlog::error("run {}: {}", run.order.run, healed.error().message);
    }
  }
  // Beats that came while this process stood still have not been read yet: they get a moment. The
  // lease is not renewed for it.
  if (stalled > run.order.orphan / 2) {
    run.release_at = now + std::min<Nanos>(run.order.orphan / 2, std::chrono::seconds(1));
  }
  if (now - run.keeper->last_beat() <= run.order.orphan || now < run.release_at) return;
  run.release_at = now + kReleaseRetry;
  if (auto released = let_go(
          fmt::format("no heartbeat of its controller for {}", format_duration(run.order.orphan)));
      !released) {
    spdlog::error("{}", released.error().message);
  }
}

}  // namespace zq
