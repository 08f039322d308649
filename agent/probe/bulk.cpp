#include "agent/probe/bulk.h"

#include <fmt/format.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <vector>

#include "agent/base/short_hash.h"
#include "agent/base/socket_address.h"
#include "agent/base/unique_fd.h"

namespace zq {
namespace {

constexpr unsigned kMostStreams = 64;
constexpr Nanos kLook = std::chrono::milliseconds(100);  // at what was acknowledged
constexpr Nanos kRetry = std::chrono::seconds(1);
constexpr Nanos kConnectPatience = std::chrono::seconds(3);
// TCP alone would wait minutes between its last tries, and so find out long after a heal.
constexpr int kSilenceMs = 3000;
constexpr std::size_t kUnit = 32 << 10;
constexpr int kUnsent = 128 << 10;
constexpr int kTurns = 16;  // units of one stream before the next one's turn

Result<IpAddress> read_mapped(const std::string& bytes, const char* what) {
  std::array<std::uint8_t, 16> raw{};
  if (bytes.size() != raw.size())
    return fail(ErrorCode::kInput, "bulk data: '{}' is no address", what);
  std::copy(bytes.begin(), bytes.end(), raw.begin());
  return IpAddress::from_bytes(raw);
}

// One connection, begun anew whenever it ends. All by the workload's thread.
class Stream {
 public:
  struct Way {
    SocketAddress from, to;
    BulkRequest request{};
    std::uint64_t bytes_per_s = 0;  // 0 = no limit
  };

  explicit Stream(const Way& way) : way_(way) {}

  [[nodiscard]] bool flows() const { return flows_; }
  [[nodiscard]] MonoTime wake_at() const { return fd_ ? deadline_ : retry_at_; }
  [[nodiscard]] pollfd wait() const {
    return {.fd = fd_ ? fd_.get() : -1, .events = POLLOUT, .revents = 0};
  }
  // Bytes that the peer acknowledged since the last call.
  std::uint64_t take_acknowledged() {
    look();
    return std::exchange(fresh_, 0);
  }

  // `ready` as poll() says. The error is why it ended.
  Status go_on(bool ready, MonoTime now) {
    if (!fd_) return now < retry_at_ ? Status() : noted(begin(now), now);
    if (!flows_ && !ready) {
      if (now < deadline_) return {};
      return noted(
          fail(ErrorCode::kTimeout, "no connection within {}", format_duration(kConnectPatience)),
          now);
    }
    return ready ? noted(send_more(), now) : Status();
  }

 private:
  Status begin(MonoTime now) {
    fd_.reset(::socket(way_.to.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd_) return fail_errno(errno, "socket");
    const auto set = [&](int level, int option, const auto& value) {
      (void)::setsockopt(fd_.get(), level, option, &value, sizeof value);
    };
    set(SOL_SOCKET, SO_LINGER, linger{1, 0});  // what has not been sent by the end never is
    set(IPPROTO_TCP, TCP_NOTSENT_LOWAT, kUnsent);
    set(IPPROTO_TCP, TCP_USER_TIMEOUT, kSilenceMs);
    if (way_.bytes_per_s > 0) set(SOL_SOCKET, SO_MAX_PACING_RATE, way_.bytes_per_s);
    sent_ = known_ = 0;
    deadline_ = now + kConnectPatience;
    if (::bind(fd_.get(), address(way_.from), way_.from.length) != 0)
      return fail_errno(errno, "bind");
    if (::connect(fd_.get(), address(way_.to), way_.to.length) != 0 && errno != EINPROGRESS)
      return fail(ErrorCode::kUnavailable, "{}", std::strerror(errno));
    return {};
  }

  Status send_more() {
    int error = 0;
    socklen_t size = sizeof error;
    (void)::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return fail(ErrorCode::kUnavailable, "{}", std::strerror(error));
    flows_ = true;
    deadline_ = MonoTime::max();
    static const std::array<std::uint8_t, kUnit> kZeros{};
    for (int turn = 0; turn < kTurns; ++turn) {
      const bool head = sent_ < way_.request.size();
      const ssize_t taken =
          head ? ::send(fd_.get(), way_.request.data() + sent_, way_.request.size() - sent_,
                        MSG_NOSIGNAL | MSG_DONTWAIT)
               : ::send(fd_.get(), kZeros.data(), kZeros.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (taken < 0 && (errno == EAGAIN || errno == EINTR)) return {};
      if (taken < 0) return fail(ErrorCode::kUnavailable, "{}", std::strerror(errno));
      sent_ += static_cast<std::size_t>(taken);
    }
    return {};
  }

  Status noted(Status status, MonoTime now) {
    if (status) return status;
    look();
    fd_.reset();
    flows_ = false;
    retry_at_ = now + kRetry;
    return status;
  }

  void look() {
    if (!flows_) return;
    tcp_info info{};
    socklen_t size = sizeof info;
    if (::getsockopt(fd_.get(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
        size < offsetof(tcp_info, tcpi_bytes_acked) + sizeof info.tcpi_bytes_acked)
      return;
    if (info.tcpi_bytes_acked > known_) fresh_ += info.tcpi_bytes_acked - known_;
    known_ = info.tcpi_bytes_acked;
  }

  static const sockaddr* address(const SocketAddress& address) {
    return reinterpret_cast<const sockaddr*>(&address.storage);
  }

  const Way& way_;
  UniqueFd fd_;
  bool flows_ = false;
  MonoTime retry_at_{};
  MonoTime deadline_{};
  std::size_t sent_ = 0;
  std::uint64_t known_ = 0;  // acknowledged on this connection
  std::uint64_t fresh_ = 0;  // not taken yet
};

class BulkWorkload : public RunningWorkload {
 public:
  BulkWorkload(const Stream::Way& way, unsigned streams, UniqueFd wake)
      : way_(way), streams_(streams), wake_(std::move(wake)), thread_([this] { run(); }) {}

  ~BulkWorkload() override {
    request_stop();
    thread_.join();
  }

  std::string report() override {
    const std::lock_guard lock(mutex_);
    const double seconds = to_seconds(looked_at_ - reported_at_);
    const double mbps =
        seconds > 0 ? static_cast<double>(bytes_ - reported_bytes_) * 8e-6 / seconds : 0;
    reported_at_ = looked_at_;
    reported_bytes_ = bytes_;
    const nlohmann::json report = {
        {"mbps", mbps}, {"streams", flowing_}, {"bytes", bytes_}, {"last_error", last_error_}};
    return report.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }

  void request_stop() override {
    stopping_ = true;
    (void)::eventfd_write(wake_.get(), 1);
  }
  bool finished() const override { return finished_; }

 private:
  void run() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    std::vector<Stream> streams;
    streams.reserve(streams_);
    for (unsigned i = 0; i < streams_; ++i) streams.emplace_back(way_);
    std::vector<pollfd> waits;
    while (!stopping_) {
      MonoTime until = mono_now() + kLook;
      waits.assign(1, {.fd = wake_.get(), .events = POLLIN, .revents = 0});
      for (const Stream& stream : streams) {
        waits.push_back(stream.wait());
        until = std::min(until, stream.wake_at());
      }
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - mono_now()).count();
      (void)::poll(waits.data(), waits.size(), static_cast<int>(std::max<long>(left, 0)));
      std::optional<std::string> error;
      for (std::size_t i = 0; i < streams.size(); ++i) {
        if (Status went = streams[i].go_on(waits[i + 1].revents != 0, mono_now()); !went)
          error = std::move(went).error().message;
      }
      if (mono_now() >= next_look_ || error) look(streams, error);
    }
    finished_ = true;
  }

  void look(std::vector<Stream>& streams, const std::optional<std::string>& error) {
    const std::lock_guard lock(mutex_);
    looked_at_ = mono_now();
    next_look_ = looked_at_ + kLook;
    flowing_ = 0;
    for (Stream& stream : streams) {
      bytes_ += stream.take_acknowledged();
      flowing_ += stream.flows() ? 1U : 0U;
    }
    if (error) last_error_ = *error;
  }

  const Stream::Way way_;
  const unsigned streams_;
  const UniqueFd wake_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> finished_{false};
  MonoTime next_look_{};  // the thread's

  std::mutex mutex_;  // guards all below
  MonoTime looked_at_ = mono_now();
  MonoTime reported_at_ = looked_at_;
  std::uint64_t bytes_ = 0;
  std::uint64_t reported_bytes_ = 0;
  unsigned flowing_ = 0;
  std::string last_error_;

  std::thread thread_;  // last: everything it uses is there before it starts
};

}  // namespace

BulkRequest bulk_request(std::uint64_t run, Nanos length) {
  BulkRequest request{};
  std::size_t at = 0;
  for (const std::uint64_t word : {kBulkMagic, run, static_cast<std::uint64_t>(length.count())}) {
    for (int shift = 56; shift >= 0; shift -= 8)
      request[at++] = static_cast<std::uint8_t>(word >> shift);
  }
  return request;
}

Result<std::unique_ptr<RunningWorkload>> start_bulk(const zonequake::BulkProbe& probe) {
  ZQ_TRY(const IpAddress from, read_mapped(probe.from(), "from"));
  ZQ_TRY(const IpAddress to, read_mapped(probe.to(), "to"));
  if (from.is_v4() != to.is_v4() || probe.port() == 0 || probe.port() > 65535 ||
      probe.streams() > kMostStreams) {
    return fail(ErrorCode::kInput,
                "bulk data from {} to {}, port {}, in {} streams: one family, a port and at most "
                "{} streams are needed",
                from.to_string(), to.to_string(), probe.port(), probe.streams(), kMostStreams);
  }
  const unsigned streams = std::max(1U, probe.streams());
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return fail_errno(errno, "making an event descriptor for bulk data");
  Stream::Way way{.from = socket_address(from, 0),
                  .to = socket_address(to, static_cast<std::uint16_t>(probe.port())),
                  .request = bulk_request(short_hash(probe.run()), Nanos{0}),
                  .bytes_per_s = probe.rate_bps() / 8 / streams};
  if (probe.rate_bps() > 0) way.bytes_per_s = std::max<std::uint64_t>(way.bytes_per_s, 1);
  return std::make_unique<BulkWorkload>(way, streams, std::move(wake));
}

}  // namespace zq
