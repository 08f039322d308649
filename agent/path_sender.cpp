#include "agent/path_sender.h"

#include <sys/prctl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <ctime>

#include "agent/orders.h"

namespace zq {
namespace {

// Echoes per second, of each agent and of all: enough for a 99th percentile after a few seconds.
constexpr double kEchoRate = 200;
constexpr double kNodeEchoRate = 20'000;
constexpr std::size_t kRttsKept = 16'384;      // per target, between two measurements
constexpr std::uint64_t kLongestBurst = 1024;  // others wait for its end
constexpr Nanos kShortestTick = std::chrono::milliseconds(1);
constexpr Nanos kLongestTick = std::chrono::milliseconds(50);
// A thread that was held up for longer does not make up for it: the backlog would be a burst that
// says nothing about the time that it missed.
constexpr double kBacklogSeconds = 0.1;

// Whether the gate drops every probe that is sent now, and those that are late by the margin too.
// What only some packets meet is left out: whether a probe is among them is the gate's to say.
bool in_window(const std::vector<GateRule::Segment>& segments, MonoTime now) {
  for (const GateRule::Segment& segment : segments) {
    const bool starts_in_time = segment.from <= now + kWindowMargin && now < segment.until;
    if (segment.treatment == Treatment::kImpair) {
      if (starts_in_time) return false;  // comes first, and may let the probe through
      continue;
    }
    if (!segment.scope.everything() || !segment.in_force(now)) continue;
    if (now >= segment.until - kWindowMargin) continue;
    if (segment.period == Nanos{0}) return true;
    if ((now - segment.from) % segment.period < segment.on - kWindowMargin) return true;
  }
  return false;
}

void sleep_until(MonoTime time) {
  const std::int64_t ns = to_ns(time);
  const timespec at{ns / 1'000'000'000, ns % 1'000'000'000};
  while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr) == EINTR) {
  }
}

std::uint64_t echo_each(const PathProberConfig& config) {
  const auto targets = static_cast<double>(std::max<std::size_t>(1, config.targets.size()));
  const double echoes = std::min(kEchoRate, kNodeEchoRate / targets);
  return static_cast<std::uint64_t>(std::max<long>(1, std::lround(config.rate / echoes)));
}

}  // namespace

Result<std::unique_ptr<PathSender>> PathSender::start(const PathProberConfig& config,
                                                      const std::vector<PathSocket>& sockets) {
  std::vector<Target> targets;
  for (const auto& where : config.targets) {
    const auto kind = where.agentless ? PathSocket::Kind::kEcho : PathSocket::Kind::kUdp;
    const auto socket = std::find_if(sockets.begin(), sockets.end(), [&](const PathSocket& s) {
      return s.kind == kind && s.own.is_v4() == where.address.is_v4();
    });
    if (socket == sockets.end()) {
      return fail(ErrorCode::kRefused,
                  "path target {} ({}): this node has no address of that family to send from",
                  where.node, where.address.to_string());
    }
    Target target;
    target.where = where;
    target.address = socket_address(where.address, where.agentless ? 0 : config.port);
    target.socket = static_cast<std::size_t>(socket - sockets.begin());
    target.counts.node = where.node;
    target.counts.address = where.address;
    target.counts.agentless = where.agentless;
    targets.push_back(std::move(target));
  }
  return std::unique_ptr<PathSender>(new PathSender(config, std::move(targets), sockets));
}

PathSender::PathSender(const PathProberConfig& config, std::vector<Target> targets,
                       const std::vector<PathSocket>& sockets)
    : run_(short_hash(config.run)),
      node_(config.node),
      rate_(config.rate * static_cast<double>(targets.size())),
      echo_each_(echo_each(config)),
      sockets_(sockets),
      targets_(std::move(targets)) {
  // Echoes of different targets are spread over time too.
  for (std::size_t i = 0; i < targets_.size(); ++i) targets_[i].sequence = i;
  if (rate_ > 0) {
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }
}

PathSender::~PathSender() = default;

// The mutex alone may be taken again and again by a thread that gives it up for moments only.
// Whoever waits for it holds entry_, at which that thread has to queue.
std::unique_lock<std::mutex> PathSender::enter() {
  const std::lock_guard queue(entry_);
  return std::unique_lock(mutex_);
}

void PathSender::set_programme(const std::vector<GateRule>& rules) {
  const auto lock = enter();
  for (auto& target : targets_) {
    target.segments.clear();
    for (const auto& rule : rules) {
      if (rule.direction == FlowDirection::kEgress && rule.group == target.where.group) {
        target.segments = rule.segments;
      }
    }
  }
}

void PathSender::take_echo(const PathPacket& echo, const IpAddress& from, std::int64_t at_ns) {
  const auto lock = enter();
  if (echo.target >= targets_.size()) return;
  Target& target = targets_[echo.target];
  const std::int64_t rtt_ns = at_ns - echo.sent_ns - std::max<std::int64_t>(0, echo.held_ns);
  if (target.where.address != from || echo.node != node_ || rtt_ns < 0) return;
  if (target.echoes->take(echo.sequence) == SequenceWindow::Arrival::kAgain) return;
  if (target.rtts_ns.size() < kRttsKept) {
    target.rtts_ns.push_back(rtt_ns);
  } else {
    target.rtts_ns[target.counts.echoed % kRttsKept] = rtt_ns;
  }
  ++target.counts.echoed;
  if (echo.in_window) ++target.counts.echoed_in_window;
  if (echo.stage == stage_) target.stage.add(rtt_ns);
}

void PathSender::begin_stage(std::uint32_t number) {
  const auto lock = enter();
  stage_ = number;
  for (auto& target : targets_) target.stage.clear();
}

std::vector<PathCounts::Sent> PathSender::measure() {
  const auto lock = enter();
  std::vector<PathCounts::Sent> result;
  for (auto& target : targets_) {
    PathCounts::Sent counts = target.counts;
    counts.stage_rtt = target.stage.figures();
    auto& rtts = target.rtts_ns;
    if (!rtts.empty()) {
      const auto middle = rtts.begin() + static_cast<std::ptrdiff_t>(rtts.size() / 2);
      std::nth_element(rtts.begin(), middle, rtts.end());
      counts.rtt_p50_ns = *middle;
      const auto [least, most] = std::minmax_element(rtts.begin(), rtts.end());
      counts.rtt_min_ns = *least;
      counts.rtt_max_ns = *most;
      rtts.clear();
    }
    result.push_back(std::move(counts));
  }
  return result;
}

void PathSender::run(const std::stop_token& stop) {
  (void)::prctl(PR_SET_TIMERSLACK, 10'000UL, 0UL, 0UL, 0UL);
  const Nanos tick = std::clamp(from_seconds(1 / rate_), kShortestTick, kLongestTick);
  const auto backlog = static_cast<std::uint64_t>(std::max(1.0, rate_ * kBacklogSeconds));
  const MonoTime start = mono_now();
  std::uint64_t accounted = 0;
  for (MonoTime next = start + tick; !stop.stop_requested(); next += tick) {
    sleep_until(next);
    const MonoTime now = mono_now();
    if (now - next > tick) next = now;
    const auto wanted = static_cast<std::uint64_t>(to_seconds(now - start) * rate_);
    if (wanted <= accounted) continue;
    std::uint64_t due = std::min(wanted - accounted, backlog);
    accounted = wanted;
    while (due > 0 && !stop.stop_requested()) {
      const std::uint64_t burst = std::min(due, kLongestBurst);
      due -= burst;
      const auto lock = enter();
      for (std::uint64_t i = 0; i < burst; ++i) send_next();
    }
  }
}

// One system call for each: in a batch the last probe would be as old as it takes to send the
// others.
void PathSender::send_next() {
  const std::size_t index = next_target_;
  next_target_ = (next_target_ + 1) % targets_.size();
  Target& target = targets_[index];
  const PathSocket& socket = sockets_[target.socket];
  const MonoTime now = mono_now();
  PathPacket packet;
  packet.want_echo = target.sequence % echo_each_ == 0;
  packet.in_window = in_window(target.segments, now);
  packet.target = static_cast<std::uint16_t>(index);
  packet.run = run_;
  packet.sequence = target.sequence++;
  packet.sent_ns = to_ns(now);
  packet.stage = stage_;
  packet.address = target.where.address;
  packet.node = node_;
  std::array<std::uint8_t, kPathPacketMax> bytes{};
  std::size_t size = encode_path_packet(packet, bytes);
  std::array<std::uint8_t, kEchoHeaderSize + kPathPacketMax> request{};
  const std::uint8_t* out = bytes.data();
  if (target.where.agentless) {
    size = encode_echo_request(target.where.address, static_cast<std::uint16_t>(run_),
                               static_cast<std::uint16_t>(packet.sequence),
                               std::span(bytes).first(size), request);
    out = request.data();
  }
  ssize_t sent = 0;
  do {
    sent =
        ::sendto(socket.fd.get(), out, size, MSG_DONTWAIT,
                 reinterpret_cast<const sockaddr*>(&target.address.storage), target.address.length);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) {
    ++target.counts.send_errors;
    return;
  }
  ++target.counts.sent;
  if (packet.in_window) ++target.counts.sent_in_window;
}

}  // namespace zq
