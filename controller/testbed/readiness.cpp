#include "controller/testbed/readiness.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <thread>

#include "agent/base/ip.h"
#include "agent/base/netns.h"
#include "agent/base/unique_fd.h"
#include "controller/testbed/files.h"

namespace zq::testbed {
namespace {

constexpr auto kAttempt = std::chrono::seconds(1);
constexpr auto kPause = std::chrono::milliseconds(50);
constexpr std::size_t kLongestAnswer = std::size_t{256} * 1024;

tl::unexpected<Error> not_ready(std::string message) {
  return tl::unexpected(Error{ErrorCode::kUnavailable, std::move(message)});
}

// True when the socket can be read or written before the deadline.
bool wait_for(int fd, short events, MonoTime deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - mono_now()).count();
  pollfd entry{fd, events, 0};
  return ::poll(&entry, 1, static_cast<int>(std::max<std::int64_t>(left, 0))) > 0;
}

Result<UniqueFd> connect_to(int family, const sockaddr* address, socklen_t length,
                            MonoTime deadline) {
  UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno(errno, "opening a socket");
  if (::connect(fd.get(), address, length) == 0) return fd;
  if (errno != EINPROGRESS) return not_ready(fmt::format("connect: {}", std::strerror(errno)));
  if (!wait_for(fd.get(), POLLOUT, deadline)) return not_ready("connect: no answer");
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return not_ready(fmt::format("connect: {}", std::strerror(error)));
  return fd;
}

Result<UniqueFd> connect_unix(const std::string& path, MonoTime deadline) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return fail(ErrorCode::kInput, "the socket path {} is too long", path);
  }
  path.copy(address.sun_path, path.size());
  return connect_to(AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof address, deadline);
}

// "10.66.1.1:2379" or "[fd66::1]:2379"
Result<UniqueFd> connect_tcp(std::string_view target, MonoTime deadline) {
  const auto colon = target.rfind(':');
  std::uint16_t port = 0;
  if (colon != std::string_view::npos) {
    std::from_chars(target.data() + colon + 1, target.data() + target.size(), port);
  }
  if (port == 0) return fail(ErrorCode::kInput, "'{}' is not ADDRESS:PORT", target);
  std::string_view host = target.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  ZQ_TRY(const IpAddress ip, IpAddress::parse(host));
  if (ip.is_v4()) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    std::memcpy(&address.sin_addr, ip.v4_bytes().data(), sizeof address.sin_addr);
    return connect_to(AF_INET, reinterpret_cast<const sockaddr*>(&address), sizeof address,
                      deadline);
  }
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  std::memcpy(&address.sin6_addr, ip.bytes().data(), sizeof address.sin6_addr);
  return connect_to(AF_INET6, reinterpret_cast<const sockaddr*>(&address), sizeof address,
                    deadline);
}

// Sends the request and reads until the other side closes.
Result<std::string> converse(int fd, std::string_view request, MonoTime deadline) {
  if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) < 0) {
    return not_ready(fmt::format("send: {}", std::strerror(errno)));
  }
  std::string answer;
  char buffer[4096];
  while (answer.size() < kLongestAnswer && wait_for(fd, POLLIN, deadline)) {
    const ssize_t count = ::recv(fd, buffer, sizeof buffer, 0);
    // Reset behind an answer: the other side did not read all that it was sent.
    const bool reset = count < 0 && errno == ECONNRESET && !answer.empty();
    if (count == 0 || reset) return answer;
    if (count < 0) return not_ready(fmt::format("receive: {}", std::strerror(errno)));
    answer.append(buffer, static_cast<std::size_t>(count));
  }
  return not_ready("it does not answer");
}

// "http://HOST:PORT/PATH" or "unix:SOCKET:/PATH"
Result<std::string> http_get(std::string_view url, MonoTime deadline) {
  UniqueFd fd;
  std::string host = "localhost";
  std::string path;
  if (url.starts_with("unix:")) {
    const auto colon = url.find(":/", 5);
    if (colon == std::string_view::npos) {
      return fail(ErrorCode::kInput, "'{}' is not unix:SOCKET:/PATH", url);
    }
    path = url.substr(colon + 1);
    ZQ_TRY(fd, connect_unix(std::string(url.substr(5, colon - 5)), deadline));
  } else if (url.starts_with("http://")) {
    const auto slash = url.find('/', 7);
    host = url.substr(7, slash == std::string_view::npos ? slash : slash - 7);
    path = slash == std::string_view::npos ? "/" : url.substr(slash);
    ZQ_TRY(fd, connect_tcp(host, deadline));
  } else {
    return fail(ErrorCode::kInput, "'{}' starts neither with http:// nor with unix:", url);
  }
  ZQ_TRY(
      std::string answer,
      converse(fd.get(), fmt::format("GET {} HTTP/1.0\r\nHost: {}\r\n\r\n", path, host), deadline));
  const std::string status = answer.substr(0, answer.find('\r'));
  if (status.find(" 200") == std::string::npos) return not_ready("HTTP answer: " + status);
  return answer;
}

// "ADDRESS:PORT/WORD"
Result<std::string> four_letter(std::string_view target, MonoTime deadline) {
  const auto slash = target.find('/');
  if (slash == std::string_view::npos) {
    return fail(ErrorCode::kInput, "'{}' is not ADDRESS:PORT/WORD", target);
  }
  ZQ_TRY(const UniqueFd fd, connect_tcp(target.substr(0, slash), deadline));
  return converse(fd.get(), target.substr(slash + 1), deadline);
}

Result<std::string> run_command(const ReadyCheck& check, const Layout& layout, MonoTime deadline) {
  const std::string output = layout.steps_dir() + "/probe.out";
  ZQ_CHECK(write_file(output, ""));
  ZQ_TRY(Child process, spawn({check.target,
                               {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
                               check.netns,
                               layout.steps_cgroup(),
                               layout.steps_dir(),
                               output,
                               output}));
  ZQ_TRY(const auto code, process.wait_until(deadline));
  if (!code) {
    process.kill_session();
    ZQ_CHECK(await_death(process.identity(), kAttempt));
    return not_ready("the command is still running");
  }
  if (*code != 0) return not_ready(fmt::format("the command's exit code is {}", *code));
  return read_file(output);
}

Result<std::string> attempt(const ReadyCheck& check, const Layout& layout) {
  const MonoTime deadline = mono_now() + kAttempt;
  const std::string& target = check.target.front();
  if (check.kind == "http") return http_get(target, deadline);
  if (check.kind == "four_letter") return four_letter(target, deadline);
  if (check.kind == "command") return run_command(check, layout, deadline);
  if (check.kind == "file") {
    if (path_exists(target)) return std::string();
    return not_ready(fmt::format("{} is not there", target));
  }
  const auto socket =
      check.kind == "unix" ? connect_unix(target, deadline) : connect_tcp(target, deadline);
  if (!socket) return tl::unexpected(socket.error());
  return std::string();
}

}  // namespace

Status probe(const ReadyCheck& check, const Layout& layout) {
  const auto work = [&]() -> Status {
    ZQ_TRY(const std::string answer, attempt(check, layout));
    if (answer.find(check.contains) != std::string::npos) return {};
    return not_ready(fmt::format("the answer does not contain '{}'", check.contains));
  };
  if (check.netns.empty() || check.kind == "command") return work();
  ZQ_TRY(const UniqueFd netns, open_netns(check.netns));
  return in_netns(netns.get(), work);
}

Status wait_ready(const std::vector<Started>& started, const Layout& layout,
                  const std::stop_token& stop) {
  const MonoTime begin = mono_now();
  std::vector<const Started*> waiting;
  for (const Started& entry : started) {
    if (entry.launch->ready) waiting.push_back(&entry);
  }
  while (!waiting.empty()) {
    for (auto it = waiting.begin(); it != waiting.end();) {
      if (stop.stop_requested()) return fail(ErrorCode::kCancelled, "stopped");
      const Launch& launch = *(*it)->launch;
      const Status status = probe(*launch.ready, layout);
      if (status) {
        it = waiting.erase(it);
        continue;
      }
      const std::string& log = launch.request.output;
      if (status.error().code != ErrorCode::kUnavailable) {
        return tl::unexpected(Error(status.error())
                                  .with_context(fmt::format("the readiness probe of {} on {}",
                                                            launch.name, launch.node)));
      }
      if (!is_alive((*it)->identity)) {
        return fail(ErrorCode::kUnavailable, "{} on {} has ended; {} says: {}", launch.name,
                    launch.node, log, tail_of(log));
      }
      if (mono_now() - begin > launch.ready->timeout) {
        return fail(ErrorCode::kTimeout, "{} on {} is not ready after {}: {}; {} says: {}",
                    launch.name, launch.node, format_duration(launch.ready->timeout),
                    status.error().message, log, tail_of(log));
      }
      ++it;
    }
    if (!waiting.empty()) std::this_thread::sleep_for(kPause);
  }
  return {};
}

}  // namespace zq::testbed
