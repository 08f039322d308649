#include "agent/path_sender.h"

#include <sys/prctl.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <ctime>

#include "agent/orders.h"

namespace zq {
namespace {

constexpr double kEchoRate = 50;           // per target and second
constexpr std::size_t kRttsKept = 16'384;  // per target, between two measurements
constexpr std::size_t kBatch = 64;
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

}  // namespace

// Probes of one socket that are sent with one system call.
struct PathSender::Batch {
  std::array<std::array<std::uint8_t, kPathPacketMax>, kBatch> bytes{};
  std::array<iovec, kBatch> vectors{};
  std::array<mmsghdr, kBatch> messages{};
  std::array<std::size_t, kBatch> target{};
  std::array<bool, kBatch> in_window{};
  std::size_t count = 0;
};

Result<std::unique_ptr<PathSender>> PathSender::start(const PathProberConfig& config,
                                                      const std::vector<PathSocket>& sockets) {
  std::vector<Target> targets;
  for (const auto& where : config.targets) {
    const auto socket = std::find_if(sockets.begin(), sockets.end(), [&](const PathSocket& s) {
      return s.own.is_v4() == where.address.is_v4();
    });
    if (socket == sockets.end()) {
      return fail(ErrorCode::kRefused,
                  "path target {} ({}): this node has no address of that family to send from",
                  where.node, where.address.to_string());
    }
    Target target;
    target.where = where;
    target.address = socket_address(where.address, config.port);
    target.socket = static_cast<std::size_t>(socket - sockets.begin());
    target.counts.node = where.node;
    target.counts.address = where.address;
    targets.push_back(std::move(target));
  }
  std::vector<int> descriptors;
  descriptors.reserve(sockets.size());
  for (const auto& socket : sockets) descriptors.push_back(socket.fd.get());
  return std::unique_ptr<PathSender>(
      new PathSender(config, std::move(targets), std::move(descriptors)));
}

PathSender::PathSender(const PathProberConfig& config, std::vector<Target> targets,
                       std::vector<int> sockets)
    : run_(short_hash(config.run)),
      node_(config.node),
      rate_(config.rate * static_cast<double>(targets.size())),
      echo_each_(
          static_cast<std::uint64_t>(std::max<long>(1, std::lround(config.rate / kEchoRate)))),
      sockets_(std::move(sockets)),
      targets_(std::move(targets)),
      batches_(sockets_.size()) {
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

void PathSender::take_echo(const PathPacket& echo, const IpAddress& from, std::int64_t now_ns) {
  const auto lock = enter();
  if (echo.target >= targets_.size()) return;
  Target& target = targets_[echo.target];
  if (target.where.address != from || echo.node != node_ || now_ns < echo.sent_ns) return;
  if (target.rtts_ns.size() < kRttsKept) {
    target.rtts_ns.push_back(now_ns - echo.sent_ns);
  } else {
    target.rtts_ns[target.counts.echoed % kRttsKept] = now_ns - echo.sent_ns;
  }
  ++target.counts.echoed;
}

std::vector<PathCounts::Sent> PathSender::measure() {
  const auto lock = enter();
  std::vector<PathCounts::Sent> result;
  for (auto& target : targets_) {
    PathCounts::Sent counts = target.counts;
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
      send_burst(burst);
    }
  }
}

void PathSender::send_burst(std::uint64_t count) {
  for (; count > 0; --count) {
    const std::size_t index = next_target_;
    next_target_ = (next_target_ + 1) % targets_.size();
    Target& target = targets_[index];
    Batch& batch = batches_[target.socket];
    const std::size_t slot = batch.count++;
    const MonoTime now = mono_now();
    PathPacket packet;
    packet.want_echo = target.sequence % echo_each_ == 0;
    packet.in_window = in_window(target.segments, now);
    packet.target = static_cast<std::uint16_t>(index);
    packet.run = run_;
    packet.sequence = target.sequence++;
    packet.sent_ns = to_ns(now);
    packet.address = target.where.address;
    packet.node = node_;
    const std::size_t size = encode_path_packet(packet, batch.bytes[slot]);
    batch.vectors[slot] = {batch.bytes[slot].data(), size};
    msghdr header{};
    header.msg_name = &target.address.storage;
    header.msg_namelen = target.address.length;
    header.msg_iov = &batch.vectors[slot];
    header.msg_iovlen = 1;
    batch.messages[slot] = {header, 0};
    batch.target[slot] = index;
    batch.in_window[slot] = packet.in_window;
    if (batch.count == kBatch) flush(sockets_[target.socket], batch);
  }
  for (std::size_t i = 0; i < batches_.size(); ++i) flush(sockets_[i], batches_[i]);
}

void PathSender::flush(int socket, Batch& batch) {
  std::size_t done = 0;
  while (done < batch.count) {
    const int sent = ::sendmmsg(socket, &batch.messages[done],
                                static_cast<unsigned>(batch.count - done), MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) {  // the first message is at fault: it is counted and left out
      ++targets_[batch.target[done]].counts.send_errors;
      ++done;
      continue;
    }
    for (const std::size_t end = done + static_cast<std::size_t>(sent); done < end; ++done) {
      auto& counts = targets_[batch.target[done]].counts;
      ++counts.sent;
      if (batch.in_window[done]) ++counts.sent_in_window;
    }
  }
  batch.count = 0;
}

}  // namespace zq
