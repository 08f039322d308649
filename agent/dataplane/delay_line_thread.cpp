#include "agent/dataplane/delay_line_thread.h"

#include <bpf/bpf.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <ctime>
#include <random>
#include <thread>

#include "agent/dataplane/delay_line_frame.h"

namespace zq {
namespace {

constexpr int kRealtimePriority = 10;
constexpr int kNiceInstead = -20;
constexpr int kReadBatch = 32;
constexpr std::int64_t kStampInterval = 5'000'000;  // ns; the stamp is valid for kLineLiveness
// Going to sleep for less takes longer than it lasts.
constexpr std::int64_t kShortestSleep = 3'000;  // ns

std::int64_t now_in_ns() { return to_ns(mono_now()); }

}  // namespace

Result<std::unique_ptr<LineLoop>> LineLoop::make(const DelayLine::Options& options) {
  if (options.uplinks.size() > kMaxLineUplinks) {
    return fail(ErrorCode::kInput, "a delay line serves at most {} uplinks, not {}",
                kMaxLineUplinks, options.uplinks.size());
  }
  ZQ_TRY(FramePool pool, FramePool::make(options.max_bytes));
  ZQ_TRY(Tap tap, Tap::make(options.device));
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return fail_errno(errno, "making an event descriptor");
  std::unique_ptr<LineLoop> loop(
      new LineLoop(std::move(tap), std::move(pool), std::move(wake), options.liveness_map_fd));
  for (const Uplink& uplink : options.uplinks) {
    ZQ_TRY(LineUplink opened, LineUplink::open(uplink, loop->pool_, loop->counters_));
    loop->uplinks_.push_back(std::move(opened));
  }
  return loop;
}

LineLoop::LineLoop(Tap tap, FramePool pool, UniqueFd wake, int liveness_map_fd)
    : tap_(std::move(tap)),
      pool_(std::move(pool)),
      wake_(std::move(wake)),
      liveness_map_fd_(liveness_map_fd),
      reader_(tap_.fd(), pool_),
      random_(std::random_device{}()),
      flow_release_ns_(kFlowPlaces) {
  for (LineDrawState& draw : draws_) draw.last = random_.next();
  classes_.push_back(std::make_unique<LineClasses>());
  wanted_ = classes_.back().get();
  served_ns_ = now_in_ns();
}

void LineLoop::prepare_thread() {
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
  ::prctl(PR_SET_NAME, "zq-delay-line");
  ::prctl(PR_SET_TIMERSLACK, 1);
  const sched_param priority{kRealtimePriority};
  realtime_ = ::sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &priority) == 0;
  if (!realtime_) (void)::setpriority(PRIO_PROCESS, 0, kNiceInstead);
}

void LineLoop::run() {
  prepare_thread();
  while (!stop_) serve_once();
  write_stamp(0);
  for (LineUplink& uplink : uplinks_) uplink.discard();
  running_ = false;
}

void LineLoop::request_stop() {
  stop_ = true;
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
}

void LineLoop::set_classes(std::unique_ptr<const LineClasses> classes) {
  classes_.push_back(std::move(classes));
  wanted_ = classes_.back().get();
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
  while (running_ && used_ != classes_.back().get()) {
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  classes_.erase(classes_.begin(), classes_.end() - 1);
}

bool LineLoop::serving() const {
  return running_ && !stop_ && !gone_ && now_in_ns() - served_ns_ < kLineLiveness.count();
}

void LineLoop::serve_once() {
  current_ = wanted_;
  used_ = current_;
  const bool more = readable_ && read_frames();
  const std::int64_t now = now_in_ns();
  for (LineUplink& uplink : uplinks_) uplink.send_due(now);
  stamp(now);
  wait(more ? now : std::min(next_event_ns(), now + kStampInterval));
}

std::int64_t LineLoop::next_event_ns() const {
  std::int64_t next = LineUplink::kNever;
  for (const LineUplink& uplink : uplinks_) next = std::min(next, uplink.next_event_ns());
  return next;
}

// True when there may be more to read.
bool LineLoop::read_frames() {
  const std::int64_t next_event = next_event_ns();
  for (int i = 0; i < kReadBatch; ++i) {
    const LineReader::Outcome outcome = reader_.read();
    if (outcome == LineReader::Outcome::kNothing) {
      readable_ = false;
      return false;
    }
    if (outcome == LineReader::Outcome::kGone) {
      gone_ = true;
      readable_ = false;
      return false;
    }
    const std::int64_t now = now_in_ns();
    if (outcome == LineReader::Outcome::kLost) {
      counters_.send_errors.add(1);
    } else {
      accept_frame(now);
    }
    if (now >= next_event) return true;
  }
  return true;
}

void LineLoop::accept_frame(std::int64_t now_ns) {
  const auto steered = take_steering_tag(reader_.head(), reader_.size());
  if (!steered) return;  // the kernel's own, or somebody plays with our device
  if (steered->uplink_slot >= uplinks_.size()) {
    counters_.send_errors.add(1);
    return;
  }
  HeldFrame frame;
  frame.size = static_cast<std::uint32_t>(reader_.size() - kSteeringTagSize);
  frame.chunk = reader_.keep();
  if (frame.chunk == FramePool::kNone) {
    counters_.overflowed.add(1);
    return;
  }
  frame.class_id = steered->class_id;
  frame.number = frames_++;
  frame.release_ns = now_ns;
  if (const auto& delay = current_->by_id[frame.class_id]) {
    frame.release_ns += draw_delay(*delay, draws_[frame.class_id], random_);
  }
  std::int64_t& last_of_flow = flow_release_ns_[steered->flow % kFlowPlaces];
  frame.release_ns = std::max(frame.release_ns, last_of_flow);
  last_of_flow = frame.release_ns;
  counters_.held_packets.add(1);
  counters_.classes[frame.class_id].held_packets.add(1);
  uplinks_[steered->uplink_slot].hold(frame);
}

void LineLoop::stamp(std::int64_t now_ns) {
  served_ns_.store(now_ns, std::memory_order_relaxed);
  if (gone_ || now_ns - stamped_ns_ < kStampInterval) return;
  stamped_ns_ = now_ns;
  write_stamp(now_ns + kLineLiveness.count());
}

void LineLoop::write_stamp(std::int64_t until_ns) const {
  if (liveness_map_fd_ < 0) return;
  const std::uint32_t key = 0;
  const auto value = static_cast<std::uint64_t>(until_ns);
  (void)::bpf_map_update_elem(liveness_map_fd_, &key, &value, BPF_ANY);
}

void LineLoop::wait(std::int64_t until_ns) {
  const std::int64_t left = until_ns - now_in_ns();
  if (left < kShortestSleep) {
    readable_ = !gone_;  // trying costs less than asking
    return;
  }
  const timespec timeout{left / 1'000'000'000, left % 1'000'000'000};
  pollfd descriptors[] = {{wake_.get(), POLLIN, 0}, {gone_ ? -1 : tap_.fd(), POLLIN, 0}};
  if (::ppoll(descriptors, 2, &timeout, nullptr) <= 0) return;
  if (descriptors[0].revents != 0) {
    std::uint64_t count = 0;
    (void)!::read(wake_.get(), &count, sizeof count);
  }
  readable_ = !gone_ && descriptors[1].revents != 0;
}

}  // namespace zq
