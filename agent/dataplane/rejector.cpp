#include "agent/dataplane/rejector.h"

#include <bpf/libbpf.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>

#include "agent/base/time.h"
#include "agent/base/unique_fd.h"
#include "agent/dataplane/bpf/gate_shared.h"

namespace zq {
namespace {

constexpr double kBurst = 1'000;  // answers at once

struct CloseRing {
  void operator()(ring_buffer* ring) const { ring_buffer__free(ring); }
};

// Raw sockets take whole IP packets. Those to a peer are marked, so that the gate lets them out.
Result<UniqueFd> open_raw(int family, std::uint32_t mark) {
  UniqueFd fd(::socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW));
  if (!fd) {
    return fail_errno(errno, "opening a raw socket for the answers of reject (needs CAP_NET_RAW)");
  }
  if (mark != 0 && ::setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark) != 0) {
    return fail_errno(errno, "marking the answers of reject (needs CAP_NET_ADMIN)");
  }
  return fd;
}

class TokenBucket {
 public:
  bool take() {
    const MonoTime now = mono_now();
    tokens_ = std::min(kBurst, tokens_ + to_seconds(now - filled_) * kMaxAnswersPerSecond);
    filled_ = now;
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }

 private:
  double tokens_ = kBurst;
  MonoTime filled_ = mono_now();
};

}  // namespace

class Rejector::Impl {
 public:
  // By direction; the mark is for what goes out to a peer.
  Status open() {
    for (const int direction : {ZQ_EGRESS, ZQ_INGRESS}) {
      const std::uint32_t mark = direction == ZQ_INGRESS ? ZQ_REPLY_MARK : 0;
      ZQ_TRY(v4_[static_cast<std::size_t>(direction)], open_raw(AF_INET, mark));
      // A node without IPv6 rejects no IPv6 packets either.
      auto v6 = open_raw(AF_INET6, mark);
      if (v6) v6_[static_cast<std::size_t>(direction)] = std::move(*v6);
    }
    stop_ = UniqueFd(::eventfd(0, EFD_CLOEXEC));
    if (!stop_) return fail_errno(errno, "making an event descriptor");
    return {};
  }

  Status start(int ring_fd) {
    ring_.reset(ring_buffer__new(
        ring_fd,
        [](void* self, void* data, std::size_t size) {
          if (size >= sizeof(zq_rejected)) {
            static_cast<Impl*>(self)->take(*static_cast<const zq_rejected*>(data));
          }
          return 0;
        },
        this, nullptr));
    if (!ring_) return fail_errno(errno, "reading the gate's ring buffer");
    thread_ = std::thread([this] { run(); });
    return {};
  }

  Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    if (!thread_.joinable()) return;
    const std::uint64_t one = 1;
    (void)!::write(stop_.get(), &one, sizeof one);
    thread_.join();
  }

  [[nodiscard]] Stats stats() const {
    return {.answered = answered_, .silent = silent_, .excess = excess_, .failed = failed_};
  }

 private:
  void run() {
    std::array<pollfd, 2> waits{pollfd{ring_buffer__epoll_fd(ring_.get()), POLLIN, 0},
                                {stop_.get(), POLLIN, 0}};
    while ((waits[1].revents & POLLIN) == 0) {
      if (::poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) return;
      (void)ring_buffer__consume(ring_.get());
    }
  }

  void take(const zq_rejected& event) {
    const std::size_t length = std::min<std::size_t>(event.length, sizeof event.bytes);
    const auto answer = reject_answer(std::span(event.bytes).first(length));
    if (!answer) {
      ++silent_;
    } else if (!bucket_.take()) {
      ++excess_;
    } else if (send(event, *answer)) {
      ++answered_;
    } else {
      ++failed_;
    }
  }

  bool send(const zq_rejected& event, const std::vector<std::uint8_t>& answer) {
    const std::size_t direction = event.direction == ZQ_INGRESS ? ZQ_INGRESS : ZQ_EGRESS;
    sockaddr_storage storage{};
    const bool v4 = answer[0] >> 4 == 4;
    if (v4) {
      auto* to = reinterpret_cast<sockaddr_in*>(&storage);
      to->sin_family = AF_INET;
      std::memcpy(&to->sin_addr, answer.data() + 16, sizeof to->sin_addr);
    } else {
      auto* to = reinterpret_cast<sockaddr_in6*>(&storage);
      to->sin6_family = AF_INET6;
      std::memcpy(&to->sin6_addr, answer.data() + 24, sizeof to->sin6_addr);
      if (IN6_IS_ADDR_LINKLOCAL(&to->sin6_addr)) to->sin6_scope_id = event.ifindex;
    }
    const int fd = v4 ? v4_[direction].get() : v6_[direction].get();
    const socklen_t size = v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    return ::sendto(fd, answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&storage),
                    size) >= 0;
  }

  std::array<UniqueFd, ZQ_DIRECTIONS> v4_, v6_;
  UniqueFd stop_;
  TokenBucket bucket_;
  std::atomic<std::uint64_t> answered_{0}, silent_{0}, excess_{0}, failed_{0};
  std::unique_ptr<ring_buffer, CloseRing> ring_;
  std::thread thread_;
};

Rejector::Rejector(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Rejector::~Rejector() = default;

Result<std::unique_ptr<Rejector>> Rejector::start(int ring_fd) {
  auto impl = std::make_unique<Impl>();
  ZQ_CHECK(impl->open());
  ZQ_CHECK(impl->start(ring_fd));
  return std::unique_ptr<Rejector>(new Rejector(std::move(impl)));
}

Rejector::Stats Rejector::stats() const { return impl_->stats(); }

}  // namespace zq
