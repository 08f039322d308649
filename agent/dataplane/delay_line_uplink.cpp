#include "agent/dataplane/delay_line_uplink.h"

#include <linux/if_packet.h>

#include <algorithm>
#include <cerrno>
#include <tuple>

#include "agent/base/time.h"
#include "agent/dataplane/bpf/gate_shared.h"
#include "agent/dataplane/delay_line_frame.h"

namespace zq {
namespace {

// Between two looks at the TAP no more is sent than takes some hundred microseconds, since the time
// of arrival is the time of reading.
constexpr std::size_t kBatchFrames = 32;
constexpr std::size_t kBatchBytes = std::size_t{256} << 10;
constexpr std::size_t kPartsPerFrame = kMaxFrameSize / FramePool::kChunkSize + 1;
// What a full uplink may hold of ours before we wait.
constexpr int kSendBuffer = 32 << 20;
constexpr std::int64_t kRetryPause = 200'000;  // ns
// A refusal may mean that memory is short or that the uplink's qdisc is full; the latter loses
// packets without a delay line, too.
constexpr std::uint16_t kMaxAttempts = 5;

bool later(const HeldFrame& a, const HeldFrame& b) {
  return std::tie(a.release_ns, a.number) > std::tie(b.release_ns, b.number);
}

template <class Value>
Status set_option(int fd, int level, int option, const Value& value, const char* what) {
  if (::setsockopt(fd, level, option, &value, sizeof value) == 0) return {};
  return fail_errno(errno, what);
}

}  // namespace

Result<LineUplink> LineUplink::open(const Uplink& uplink, FramePool& pool, LineCounters& counters) {
  // Protocol 0: nothing is received.
  UniqueFd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno(errno, "opening a packet socket");
  ZQ_CHECK(set_option(fd.get(), SOL_PACKET, PACKET_VNET_HDR, int{1},
                      "asking a packet socket for offloaded packets"));
  ZQ_CHECK(set_option(fd.get(), SOL_SOCKET, SO_MARK, std::uint32_t{ZQ_LINE_MARK},
                      "marking a packet socket"));
  ZQ_CHECK(set_option(fd.get(), SOL_SOCKET, SO_SNDBUFFORCE, kSendBuffer,
                      "setting a packet socket's buffer"));
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_ifindex = static_cast<int>(uplink.index);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return fail_errno(errno, fmt::format("binding a packet socket to {}", uplink.device));
  }
  return LineUplink(std::move(fd), pool, counters);
}

LineUplink::LineUplink(UniqueFd socket, FramePool& pool, LineCounters& counters)
    : socket_(std::move(socket)), pool_(&pool), counters_(&counters) {
  waiting_.reserve(pool.chunks());  // address space; touched as it is needed
  due_.reserve(kBatchFrames);
  messages_.resize(kBatchFrames);
  parts_.resize(kBatchFrames * kPartsPerFrame);
}

void LineUplink::hold(const HeldFrame& frame) {
  waiting_.push_back(frame);
  std::ranges::push_heap(waiting_, later);
}

std::int64_t LineUplink::next_event_ns() const {
  if (!due_.empty()) return retry_ns_;
  return waiting_.empty() ? kNever : waiting_.front().release_ns;
}

void LineUplink::collect(std::int64_t now_ns) {
  std::size_t bytes = 0;
  for (const HeldFrame& frame : due_) bytes += frame.size;
  while (due_.size() < kBatchFrames && bytes < kBatchBytes && !waiting_.empty() &&
         waiting_.front().release_ns <= now_ns) {
    std::ranges::pop_heap(waiting_, later);
    due_.push_back(waiting_.back());
    waiting_.pop_back();
    bytes += due_.back().size;
  }
}

void LineUplink::describe_messages() {
  iovec* part = parts_.data();
  for (std::size_t i = 0; i < due_.size(); ++i) {
    msghdr& message = messages_[i].msg_hdr;
    message = {};
    message.msg_iov = part;
    std::size_t left = due_[i].size;
    std::size_t offset = kSteeringTagSize;
    for (FramePool::Chunk chunk = due_[i].chunk; left > 0; chunk = pool_->next(chunk)) {
      const std::size_t size = std::min(left, FramePool::kChunkSize - offset);
      *part++ = {pool_->data(chunk) + offset, size};
      left -= size;
      offset = 0;
    }
    message.msg_iovlen = static_cast<std::size_t>(part - message.msg_iov);
  }
}

void LineUplink::send_due(std::int64_t now_ns) {
  if (now_ns < retry_ns_) return;
  collect(now_ns);
  while (!due_.empty() && now_ns >= retry_ns_) {
    describe_messages();
    const int sent = ::sendmmsg(socket_.get(), messages_.data(), static_cast<unsigned>(due_.size()),
                                MSG_DONTWAIT);
    if (sent > 0) {
      finish(static_cast<std::size_t>(sent), true);
    } else {
      handle(errno, now_ns);
    }
  }
}

void LineUplink::handle(int error, std::int64_t now_ns) {
  if (error == EINTR) return;
  const bool full = error == EAGAIN;  // our own share: nothing is lost, it only takes its time
  const bool refused = error == ENOBUFS || error == ENOMEM;
  if (full || (refused && ++due_.front().attempts < kMaxAttempts)) {
    counters_->send_retries.add(1);
    retry_ns_ = now_ns + kRetryPause;
    return;
  }
  finish(1, false);
}

void LineUplink::finish(std::size_t frames, bool sent) {
  const std::int64_t now_ns = to_ns(mono_now());
  const auto end = due_.begin() + static_cast<std::ptrdiff_t>(frames);
  for (auto frame = due_.begin(); frame != end; ++frame) {
    if (sent) {
      const std::uint64_t bytes = frame->size - kVnetHeaderSize;
      counters_->forwarded_packets.add(1);
      counters_->forwarded_bytes.add(bytes);
      LineCounters::Class& of_class = counters_->classes[frame->class_id];
      of_class.forwarded_packets.add(1);
      of_class.forwarded_bytes.add(bytes);
      const auto lateness = static_cast<std::uint64_t>(now_ns - frame->release_ns);
      if (lateness > counters_->worst_lateness_ns.get()) {
        counters_->worst_lateness_ns.set(lateness);
      }
    } else {
      counters_->send_errors.add(1);
    }
    release(*frame);
  }
  due_.erase(due_.begin(), end);
}

void LineUplink::release(const HeldFrame& frame) {
  counters_->held_packets.subtract(1);
  counters_->classes[frame.class_id].held_packets.subtract(1);
  for (FramePool::Chunk chunk = frame.chunk; chunk != FramePool::kNone;) {
    const FramePool::Chunk next = pool_->next(chunk);
    pool_->give(chunk);
    chunk = next;
  }
}

void LineUplink::discard() {
  for (const auto* frames : {&due_, &waiting_}) {
    for (const HeldFrame& frame : *frames) {
      counters_->discarded.add(1);
      release(frame);
    }
  }
  due_.clear();
  waiting_.clear();
}

}  // namespace zq
