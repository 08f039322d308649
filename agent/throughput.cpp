#include "agent/throughput.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <list>

#include "agent/base/netns.h"
#include "agent/orders.h"
#include "agent/path_socket.h"
#include "agent/probe/bulk.h"

namespace zq {
namespace {

constexpr std::size_t kMaxConnections = 64;
constexpr Nanos kConnectPatience = std::chrono::seconds(10);
constexpr Nanos kReplyPatience = std::chrono::seconds(10);
constexpr std::size_t kChunk = 256 << 10;
constexpr int kTurns = 16;
// What is handed over at once leaves as one unit of up to 64 KiB, which is half a second of
// 1 Mbit/s: the sender keeps its units small beside what it has sent.
constexpr std::size_t kLeastUnit = 4 << 10;
constexpr std::size_t kUnitsSent = 256;
constexpr int kUnsent = 128 << 10;

// Bytes, ns.
using Reply = std::array<std::uint8_t, 16>;

void put(std::uint8_t* at, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) at[i] = static_cast<std::uint8_t>(value >> (56 - 8 * i));
}
std::uint64_t get(const std::uint8_t* at) {
  std::uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | at[i];
  return value;
}

int milliseconds_until(MonoTime deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - mono_now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 3'600'000));
}

// What has arrived on one connection.
class Arrivals {
 public:
  explicit Arrivals(UniqueFd fd) : fd_(std::move(fd)) {}
  [[nodiscard]] int fd() const { return fd_.get(); }
  // When the time is over whether or not something arrives.
  [[nodiscard]] MonoTime until() const {
    return reported_ || !begun_ || endless_ ? MonoTime::max() : until_;
  }

  // False: the connection is done with.
  bool take(std::uint64_t run) {
    // Data without end must leave the others their turn.
    for (int turn = 0; turn < kTurns || !endless_; ++turn) {
      const ssize_t got = begun_ ? ::recv(fd_.get(), nullptr, kChunk, MSG_TRUNC | MSG_DONTWAIT)
                                 : ::recv(fd_.get(), request_.data() + have_,
                                          request_.size() - have_, MSG_DONTWAIT);
      if (got < 0) return errno == EAGAIN || errno == EINTR;
      if (got == 0) {
        if (!endless_) report();
        return false;
      }
      if (endless_) continue;
      if (begun_) {
        count(static_cast<std::uint64_t>(got));
      } else if (!begin(static_cast<std::size_t>(got), run)) {
        return false;
      }
    }
    return true;
  }
  void look_at_the_clock() {
    if (mono_now() >= until()) report();
  }

 private:
  bool begin(std::size_t got, std::uint64_t run) {
    have_ += got;
    if (have_ < request_.size()) return true;
    const Nanos length{static_cast<std::int64_t>(get(request_.data() + 16))};
    endless_ = length == Nanos{0};
    if (get(request_.data()) != kBulkMagic || get(request_.data() + 8) != run ||
        (!endless_ && (length < Throughput::kShortest || length > Throughput::kLongest))) {
      return false;
    }
    begun_ = true;
    if (endless_) return true;
    first_ = last_ = mono_now();
    warm_ = first_ + length / 3;
    until_ = first_ + length;
    return true;
  }
  // Bytes that came with the reading that ends the start-up belong to it: what is counted arrived
  // after `from_`.
  void count(std::uint64_t got) {
    const MonoTime now = mono_now();
    if (now > until_) return report();
    total_ += got;
    last_ = now;
    if (now < warm_) return;
    if (from_ == MonoTime{}) {
      from_ = now;
    } else {
      bytes_ += got;
    }
  }
  void report() {
    if (reported_) return;
    reported_ = true;
    const bool steady = bytes_ > 0 && last_ > from_;
    Reply reply{};
    put(reply.data(), steady ? bytes_ : total_);
    put(reply.data() + 8,
        static_cast<std::uint64_t>((steady ? last_ - from_ : mono_now() - first_).count()));
    (void)::send(fd_.get(), reply.data(), reply.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)::shutdown(fd_.get(), SHUT_WR);
  }

  UniqueFd fd_;
  BulkRequest request_{};
  std::size_t have_ = 0;
  bool begun_ = false, reported_ = false;
  bool endless_ = false;  // a bulk workload's: taken and forgotten until it is closed
  MonoTime first_{}, warm_{}, until_{}, from_{}, last_{};
  std::uint64_t total_ = 0, bytes_ = 0;
};

Result<UniqueFd> listen_on(const IpAddress& own, std::uint16_t port) {
  const std::string name = fmt::format("throughput {} port {}", own.to_string(), port);
  UniqueFd fd(
      ::socket(own.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno(errno, name);
  const int on = 1;
  // Connections of the run before may still be closing.
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const SocketAddress address = socket_address(own, port);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.length) == 0 &&
      ::listen(fd.get(), 16) == 0) {
    return fd;
  }
  if (errno == EADDRINUSE || errno == EADDRNOTAVAIL) {
    return fail(ErrorCode::kRefused,
                "{}: {}; choose another port for path probes, or correct the node's addresses in "
                "the cluster file",
                name, std::strerror(errno));
  }
  return fail_errno(errno, name);
}

}  // namespace

Result<std::unique_ptr<Throughput>> Throughput::start(const std::string& run,
                                                      const std::vector<IpAddress>& own,
                                                      std::uint16_t port) {
  UniqueFd stopped(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  UniqueFd cancelled(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stopped || !cancelled) return fail_errno(errno, "making an event descriptor for throughput");
  std::unique_ptr<Throughput> self(
      new Throughput(short_hash(run), own, port, std::move(stopped), std::move(cancelled)));
  ZQ_TRY(self->netns_, open_netns("/proc/thread-self/ns/net"));
  if (port == 0) return self;
  for (const auto& address : own) {
    ZQ_TRY(auto listener, listen_on(address, port));
    self->listeners_.push_back(std::move(listener));
  }
  self->thread_ = std::jthread([raw = self.get()] { raw->accept_all(); });
  return self;
}

Throughput::Throughput(std::uint64_t run, std::vector<IpAddress> own, std::uint16_t port,
                       UniqueFd stopped, UniqueFd cancelled)
    : run_(run),
      own_(std::move(own)),
      port_(port),
      stopped_(std::move(stopped)),
      cancelled_(std::move(cancelled)) {}

Throughput::~Throughput() { stop(); }

void Throughput::cancel() {
  std::unique_lock lock(mutex_);
  (void)::eventfd_write(cancelled_.get(), 1);
  idle_.wait(lock, [this] { return under_way_.empty(); });
  eventfd_t count = 0;
  (void)::eventfd_read(cancelled_.get(), &count);
}

void Throughput::stop() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  cancel();
  (void)::eventfd_write(stopped_.get(), 1);
  if (thread_.joinable()) thread_.join();
  listeners_.clear();
}

void Throughput::accept_all() {
  std::list<Arrivals> connections;
  std::vector<pollfd> polled;
  while (true) {
    polled.assign(1, {stopped_.get(), POLLIN, 0});
    const bool room = connections.size() < kMaxConnections;
    for (const auto& listener : listeners_) {
      polled.push_back({listener.get(), static_cast<short>(room ? POLLIN : 0), 0});
    }
    MonoTime until = mono_now() + kLongest;
    for (const auto& connection : connections) {
      polled.push_back({connection.fd(), POLLIN, 0});
      until = std::min(until, connection.until());
    }
    (void)::poll(polled.data(), polled.size(), milliseconds_until(until));
    if (polled[0].revents != 0) return;
    std::size_t at = 1 + listeners_.size();
    for (auto it = connections.begin(); it != connections.end(); ++at) {
      const bool going = polled[at].revents == 0 || it->take(run_);
      if (going) it->look_at_the_clock();
      it = going ? std::next(it) : connections.erase(it);
    }
    for (std::size_t i = 0; i < listeners_.size() && room; ++i) {
      if (polled[1 + i].revents == 0) continue;
      UniqueFd fd(::accept4(listeners_[i].get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (fd) connections.emplace_back(std::move(fd));
    }
  }
}

Result<Goodput> Throughput::measure(const IpAddress& peer, Nanos length) {
  if (length < kShortest || length > kLongest) {
    return fail(ErrorCode::kInput, "throughput: {} is outside {} to {}", format_duration(length),
                format_duration(kShortest), format_duration(kLongest));
  }
  const auto from = std::find_if(own_.begin(), own_.end(),
                                 [&](const IpAddress& own) { return own.is_v4() == peer.is_v4(); });
  if (port_ == 0 || from == own_.end()) {
    return fail(ErrorCode::kRefused, "throughput to {}: this node has no {}", peer.to_string(),
                port_ == 0 ? "probe port" : "address of that family");
  }
  {
    const std::lock_guard lock(mutex_);
    if (ended_)
      return fail(ErrorCode::kCancelled, "throughput to {}: the run ends", peer.to_string());
    if (!under_way_.insert(peer).second) {
      return fail(ErrorCode::kRefused, "throughput to {}: is being measured already",
                  peer.to_string());
    }
  }
  auto result = send_to(peer, *from, length);
  const std::lock_guard lock(mutex_);
  under_way_.erase(peer);
  idle_.notify_all();
  if (!result) {
    return tl::unexpected(
        std::move(result).error().with_context("throughput to " + peer.to_string()));
  }
  return result;
}

Result<Goodput> Throughput::send_to(const IpAddress& peer, const IpAddress& from,
                                    Nanos length) const {
  UniqueFd fd;
  ZQ_CHECK(in_netns(netns_.get(), [&]() -> Status {
    fd.reset(
        ::socket(peer.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    return fd ? Status{} : Status(fail_errno(errno, "socket"));
  }));
  const linger at_once{1, 0};  // what has not been sent by the end is not sent at all
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  (void)::setsockopt(fd.get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kUnsent, sizeof kUnsent);
  const SocketAddress own = socket_address(from, 0);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&own.storage), own.length) != 0) {
    return fail_errno(errno, "binding to " + from.to_string());
  }
  const SocketAddress there = socket_address(peer, port_);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&there.storage), there.length) != 0 &&
      errno != EINPROGRESS) {
    return fail(ErrorCode::kUnavailable, "{}", std::strerror(errno));
  }
  // Waits for the events; false = the deadline has passed.
  const auto wait = [&](short events, MonoTime deadline) -> Result<bool> {
    std::array<pollfd, 2> polled{pollfd{fd.get(), events, 0}, {cancelled_.get(), POLLIN, 0}};
    const int ready = ::poll(polled.data(), polled.size(), milliseconds_until(deadline));
    if (polled[1].revents != 0) return fail(ErrorCode::kCancelled, "the run ends");
    return ready > 0 || mono_now() < deadline;
  };
  ZQ_TRY(const bool connected, wait(POLLOUT, mono_now() + kConnectPatience));
  int error = 0;
  socklen_t size = sizeof error;
  (void)::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return fail(ErrorCode::kUnavailable, "{}", std::strerror(error));
  if (!connected) {
    return fail(ErrorCode::kTimeout, "no connection within {}", format_duration(kConnectPatience));
  }

  std::vector<std::uint8_t> data(kChunk);
  const BulkRequest request = bulk_request(run_, length);
  std::copy(request.begin(), request.end(), data.begin());
  const MonoTime end = mono_now() + length;
  const MonoTime patience = end + kReplyPatience;
  std::size_t sent = 0;
  Reply reply{};
  for (std::size_t have = 0; have < reply.size();) {
    const bool sending = mono_now() < end;
    ZQ_TRY(const bool going,
           wait(static_cast<short>(sending ? POLLIN | POLLOUT : POLLIN), sending ? end : patience));
    if (!going && !sending) {
      return fail(ErrorCode::kTimeout, "no answer within {} after the end",
                  format_duration(kReplyPatience));
    }
    if (sending) {
      const std::size_t unit = std::clamp(sent / kUnitsSent, kLeastUnit, data.size());
      const ssize_t taken =
          ::send(fd.get(), data.data(), unit, MSG_NOSIGNAL | MSG_DONTWAIT | MSG_EOR);
      if (taken > 0) sent += static_cast<std::size_t>(taken);
    }
    const ssize_t got = ::recv(fd.get(), reply.data() + have, reply.size() - have, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
      return fail(ErrorCode::kUnavailable,
                  "the connection was closed: is the same run armed at the other end? ({})",
                  got == 0 ? "end of stream" : std::strerror(errno));
    }
    if (got > 0) have += static_cast<std::size_t>(got);
  }
  return Goodput{get(reply.data()), Nanos{static_cast<std::int64_t>(get(reply.data() + 8))}};
}

}  // namespace zq
