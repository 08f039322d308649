#include "agent/probe/tcp.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace zq {
namespace {

using zonequake::Observation;

constexpr std::size_t kMaxAnswer = std::size_t{8} << 20;

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

Result<SocketAddress> numeric_address(const std::string& host, std::uint32_t port) {
  if (port == 0 || port > 65535) return fail(ErrorCode::kInput, "{} is not a TCP port", port);
  const std::string address = host == "localhost" ? "127.0.0.1" : host;
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found) != 0)
    return fail(ErrorCode::kInput, "'{}' is not an IP address; this probe takes no names", host);
  SocketAddress result;
  std::memcpy(&result.storage, found->ai_addr, found->ai_addrlen);
  result.length = found->ai_addrlen;
  freeaddrinfo(found);
  return result;
}

// A port of the ephemeral range on this machine with nobody behind it can connect to itself.
bool is_connected_to_itself(int fd) {
  SocketAddress ours;
  SocketAddress theirs;
  ours.length = theirs.length = sizeof(sockaddr_storage);
  return getsockname(fd, reinterpret_cast<sockaddr*>(&ours.storage), &ours.length) == 0 &&
         getpeername(fd, reinterpret_cast<sockaddr*>(&theirs.storage), &theirs.length) == 0 &&
         ours.length == theirs.length &&
         std::memcmp(&ours.storage, &theirs.storage, ours.length) == 0;
}

}  // namespace

TcpExchange::TcpExchange(const std::string& host, std::uint32_t port,
                         std::optional<std::string> request)
    : request_(std::move(request)) {
  const Result<SocketAddress> address = numeric_address(host, port);
  if (!address) {
    early_ = failed_result(address.error().message);
    return;
  }
  socket_.reset(
      ::socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket_ || (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address->storage),
                             address->length) != 0 &&
                   errno != EINPROGRESS))
    early_ = result_of_errno(errno);
}

std::optional<ProbeResult> TcpExchange::finish_connect() {
  pollfd wait{.fd = socket_.get(), .events = POLLOUT, .revents = 0};
  if (::poll(&wait, 1, 0) <= 0) return std::nullopt;
  int error_number = 0;
  socklen_t length = sizeof(error_number);
  ::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error_number, &length);
  if (error_number != 0) return result_of_errno(error_number);
  if (is_connected_to_itself(socket_.get())) return result_of_errno(ECONNREFUSED);
  connected_ = true;
  return std::nullopt;
}

std::optional<ProbeResult> TcpExchange::send_request() {
  while (sent_ < request_->size()) {
    const ssize_t sent =
        ::send(socket_.get(), request_->data() + sent_, request_->size() - sent_, MSG_NOSIGNAL);
    if (sent >= 0)
      sent_ += static_cast<std::size_t>(sent);
    else if (errno == EAGAIN)
      return std::nullopt;
    else if (errno != EINTR)
      return result_of_errno(errno);
  }
  return std::nullopt;
}

std::optional<ProbeResult> TcpExchange::receive() {
  std::array<char, 16384> buffer;
  while (true) {
    const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (got > 0) {
      received_.append(buffer.data(), static_cast<std::size_t>(got));
      if (received_.size() > kMaxAnswer)
        return failed_result(fmt::format("the answer is larger than {} MiB", kMaxAnswer >> 20));
    } else if (got == 0) {
      if (received_.empty())
        return ProbeResult{.outcome = Observation::REFUSED,
                           .error = "the connection was closed without an answer"};
      return ProbeResult{.outcome = Observation::ANSWER, .body = std::move(received_)};
    } else if (errno == EAGAIN) {
      return std::nullopt;
    } else if (errno != EINTR) {
      return result_of_errno(errno);
    }
  }
}

std::optional<ProbeResult> TcpExchange::advance() {
  if (early_) return std::move(early_);
  if (!connected_) {
    if (auto failed = finish_connect()) return failed;
    if (!connected_) return std::nullopt;
  }
  if (!request_) return ProbeResult{.outcome = Observation::ANSWER};
  if (auto failed = send_request()) return failed;
  return receive();
}

void TcpExchange::collect(std::vector<DescriptorWait>& waits) const {
  if (!socket_) return;
  const bool sending = request_ && sent_ < request_->size();
  waits.push_back({.fd = socket_.get(), .writable = !connected_ || sending});
}

ProbeResult TcpExchange::time_out() const {
  const char* why = !connected_         ? "no connection in time"
                    : received_.empty() ? "connected, but no answer came in time"
                                        : "only a part of the answer came in time";
  return {.outcome = Observation::TIMED_OUT, .error = why};
}

namespace {

class TcpAttempt : public Attempt {
 public:
  TcpAttempt(const std::string& host, std::uint32_t port, std::optional<std::string> request)
      : exchange_(host, port, std::move(request)) {}
  void collect(std::vector<DescriptorWait>& waits) const override { exchange_.collect(waits); }
  std::optional<ProbeResult> advance() override { return exchange_.advance(); }
  ProbeResult time_out() override { return exchange_.time_out(); }

 private:
  TcpExchange exchange_;
};

}  // namespace

std::unique_ptr<Attempt> start_tcp(const zonequake::TcpProbe& probe) {
  return std::make_unique<TcpAttempt>(probe.host(), probe.port(), std::nullopt);
}

std::unique_ptr<Attempt> start_four_letter(const zonequake::FourLetterProbe& probe) {
  if (probe.word().empty()) return start_known(failed_result("the probe has no word to send"));
  return std::make_unique<TcpAttempt>(probe.host(), probe.port(), probe.word());
}

}  // namespace zq
