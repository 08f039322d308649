#include "agent/serve.h"

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <memory>
#include <vector>

#include "agent/base/ip.h"
#include "agent/service.h"
#include "agent/session.h"

namespace zq {
namespace {

constexpr std::string_view kUnix = "unix:";
constexpr int kMaxRequestBytes = 64 << 20;  // an address book of a million entries

int stop_event = -1;  // eventfd, for the signal handler

void on_stop_signal(int /*signal*/) {
  const int saved = errno;
  (void)::eventfd_write(stop_event, 1);
  errno = saved;
}

// A handler rather than SIG_IGN: programs that probes start get the default back.
void on_pipe_signal(int /*signal*/) {}

Status install_handlers() {
  struct sigaction action {};
  action.sa_flags = SA_RESTART;
  action.sa_handler = on_stop_signal;
  if (::sigaction(SIGTERM, &action, nullptr) != 0 || ::sigaction(SIGINT, &action, nullptr) != 0) {
    return fail_errno(errno, "installing signal handlers");
  }
  action.sa_handler = on_pipe_signal;
  if (::sigaction(SIGPIPE, &action, nullptr) != 0) {
    return fail_errno(errno, "installing signal handlers");
  }
  return {};
}

void wait_for_stop(int event) {
  pollfd polled{event, POLLIN, 0};
  while (::poll(&polled, 1, -1) < 1) {
  }
}

// gRPC takes over the path of a unix socket, whoever listens there. kRefused when somebody does.
Status check_free(const std::string& listen) {
  if (!listen.starts_with(kUnix)) return {};
  const std::string path = listen.substr(kUnix.size());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno(errno, "making a unix socket");
  // EAGAIN: it lives, but has not come round to those who connected before.
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
      errno != EAGAIN) {
    return {};
  }
  ucred peer{};
  socklen_t size = sizeof peer;
  (void)::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size);
  return fail(ErrorCode::kRefused,
              "--listen {}: {} listens there already; stop it first, or choose another path",
              listen, peer.pid > 0 ? fmt::format("process {}", peer.pid) : "another process");
}

Result<std::unique_ptr<grpc::Server>> listen_on(AgentService& service, const std::string& address) {
  grpc::ServerBuilder builder;
  int port = 0;
  builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (!server) {
    return fail(ErrorCode::kInput,
                "cannot listen on {}: the directory is missing, or the address is taken", address);
  }
  if (!address.starts_with(kUnix)) {
    service.set_control_port(static_cast<std::uint16_t>(port));
    spdlog::info("port {}", port);
  }
  return server;
}

}  // namespace

Status check_listen(const std::string& listen) {
  if (listen.starts_with(kUnix)) {
    const std::string path = listen.substr(kUnix.size());
    if (path.empty() || path.front() != '/') {
      return fail(ErrorCode::kInput, "--listen {}: the path of a unix socket must be absolute",
                  listen);
    }
    if (path.size() >= sizeof(sockaddr_un::sun_path)) {
      return fail(ErrorCode::kInput, "--listen {}: the path is longer than {} bytes", listen,
                  sizeof(sockaddr_un::sun_path) - 1);
    }
    return {};
  }
  const std::size_t colon = listen.rfind(':');
  if (colon == std::string::npos) {
    return fail(ErrorCode::kInput, "--listen {}: expected unix:/path or HOST:PORT", listen);
  }
  std::string host = listen.substr(0, colon);
  const std::string port = listen.substr(colon + 1);
  std::uint16_t number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc{} || end != port.data() + port.size()) {
    return fail(ErrorCode::kInput, "--listen {}: '{}' is not a port", listen, port);
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const auto address = IpAddress::parse(host);
  if (!address) return tl::unexpected(Error(address.error()).with_context("--listen " + listen));
  const bool loopback =
      address->is_v4() ? address->v4_bytes()[0] == 127 : *address == *IpAddress::parse("::1");
  if (!loopback) {
    return fail(ErrorCode::kInput,
                "--listen {}: this version has no mutual TLS, so it serves TCP on loopback "
                "addresses only; use unix:/path or 127.0.0.1:PORT",
                listen);
  }
  return {};
}

Result<UniqueFd> lock_state_dir(const std::string& state_dir) {
  std::error_code error;
  if (!std::filesystem::is_directory(state_dir, error)) {
    std::filesystem::create_directories(state_dir, error);
    if (error) {
      return fail(ErrorCode::kInput, "--state-dir {}: {}", state_dir, error.message());
    }
    if (::chmod(state_dir.c_str(), 0700) != 0) return fail_errno(errno, state_dir);
  }
  const std::string path = state_dir + "/agent.lock";
  UniqueFd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock) return fail_errno(errno, path);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return fail_errno(errno, path);
    return fail(
        ErrorCode::kRefused,
        "--state-dir {}: an agent is running there; stop it first, or use another directory",
        state_dir);
  }
  return lock;
}

Status serve(const ServeOptions& options) {
  ZQ_CHECK(check_listen(options.listen));
  ZQ_CHECK(check_free(options.listen));
  ZQ_TRY(const UniqueFd lock, lock_state_dir(options.state_dir));
  const UniqueFd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) return fail_errno(errno, "making an event descriptor");
  stop_event = event.get();
  ZQ_CHECK(install_handlers());

  std::vector<std::string> removed;
  ZQ_TRY(const auto session, Session::open({options.node, options.state_dir}, removed));
  for (const auto& line : removed) spdlog::warn("left by an earlier life, removed: {}", line);
  AgentService service(*session, options.node);
  const mode_t mask = ::umask(0077);  // the unix socket is for its owner alone
  auto listening = listen_on(service, options.listen);
  ::umask(mask);
  if (!listening) return tl::unexpected(std::move(listening).error());
  const auto server = std::move(*listening);
  spdlog::info("node {}: zonequake-agent {} listens on {}", options.node, ZQ_VERSION,
               options.listen);

  wait_for_stop(event.get());
  spdlog::info("node {}: ending", options.node);
  session->release("the agent was stopped");
  server->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(500));
  return {};
}

}  // namespace zq
