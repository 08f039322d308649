#include "tests/integration/probe/harness.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>
#include <stdexcept>

namespace zq::probe_test {
namespace {

void require(bool ok, const char* what) {
  if (!ok) throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(errno)));
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

UniqueFd listen_tcp(int backlog, std::uint16_t& port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = loopback(0);
  socklen_t length = sizeof(address);
  require(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length) == 0, "bind");
  require(::listen(fd.get(), backlog) == 0, "listen");
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length);
  port = ntohs(address.sin_port);
  return fd;
}

sockaddr_un unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  return address;
}

UniqueFd listen_unix(const std::string& path, int backlog) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = unix_address(path);
  require(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0,
          "bind");
  require(::listen(fd.get(), backlog) == 0, "listen");
  return fd;
}

}  // namespace

ProbeEngine::Sink Collector::sink() {
  return [this](Observation observation, ProbeNews news) {
    const std::lock_guard lock(mutex_);
    if (news == ProbeNews::kAlive)
      ++alive_[observation.probe()];
    else
      results_[observation.probe()].push_back(std::move(observation));
    arrived_.notify_all();
    return true;
  };
}

std::size_t Collector::alive(const std::string& probe) {
  const std::lock_guard lock(mutex_);
  return alive_[probe];
}

std::optional<Observation> Collector::wait(const std::string& probe,
                                           const std::function<bool(const Observation&)>& matches,
                                           Nanos within) {
  std::unique_lock lock(mutex_);
  const auto newest_matches = [&] {
    const auto& results = results_[probe];
    return !results.empty() && matches(results.back());
  };
  if (!arrived_.wait_until(lock, mono_now() + within, newest_matches)) return std::nullopt;
  return results_[probe].back();
}

std::vector<Observation> Collector::all(const std::string& probe) {
  const std::lock_guard lock(mutex_);
  return results_[probe];
}

bool Collector::wait_count(const std::string& probe, std::size_t count, Nanos within) {
  std::unique_lock lock(mutex_);
  return arrived_.wait_until(lock, mono_now() + within,
                             [&] { return results_[probe].size() >= count; });
}

Observation first_result(zonequake::Probe probe) {
  Collector collector;
  ProbeEngine engine(collector.sink());
  engine.set_probes(make_set({probe}));
  if (!collector.wait_count(probe.id(), 1)) return {};
  return collector.all(probe.id()).front();
}

zonequake::Probe make_probe(const std::string& id, std::uint32_t interval_ms,
                            std::uint32_t timeout_ms) {
  zonequake::Probe probe;
  probe.set_id(id);
  probe.set_interval_ms(interval_ms);
  probe.set_timeout_ms(timeout_ms);
  return probe;
}

zonequake::ProbeSet make_set(const std::vector<zonequake::Probe>& probes) {
  zonequake::ProbeSet set;
  for (const auto& probe : probes) *set.add_probes() = probe;
  return set;
}

TempDir::TempDir() {
  std::string pattern = (std::filesystem::temp_directory_path() / "zq-probe-XXXXXX").string();
  require(::mkdtemp(pattern.data()) != nullptr, "mkdtemp");
  path_ = pattern;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string own_loopback() {
  static std::atomic<unsigned> counter{0};
  const auto pid = static_cast<unsigned>(::getpid());
  return fmt::format("127.{}.{}.{}", 16 + ((pid >> 8) & 0x7f), pid & 0xff, 1 + counter++ % 250);
}

struct Server::State {
  UniqueFd listener;
  Handler handler;
  std::atomic<bool> stopping{false};
  std::atomic<std::size_t> accepted{0};
  std::mutex mutex;
  std::set<int> open;
  std::vector<std::thread> threads;

  void serve(UniqueFd connection) {
    handler(connection.get());
    const std::lock_guard lock(mutex);
    open.erase(connection.get());
    connection.reset();  // under the lock: stop() must not shut down a number used again
  }

  void accept_all() {
    while (true) {
      UniqueFd connection(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!connection || stopping) return;
      ++accepted;
      const std::lock_guard lock(mutex);
      open.insert(connection.get());
      threads.emplace_back([this, fd = connection.release()] { serve(UniqueFd(fd)); });
    }
  }
};

Server::Server(UniqueFd listener, std::uint16_t port, Handler handler)
    : state_(std::make_shared<State>()), port_(port) {
  state_->listener = std::move(listener);
  state_->handler = std::move(handler);
  acceptor_ = std::thread([state = state_] { state->accept_all(); });
}

Server Server::tcp(Handler handler) {
  std::uint16_t port = 0;
  UniqueFd listener = listen_tcp(128, port);
  return {std::move(listener), port, std::move(handler)};
}

Server Server::unix_socket(const std::string& path, Handler handler) {
  return {listen_unix(path, 128), 0, std::move(handler)};
}

Server::~Server() {
  if (!state_) return;
  state_->stopping = true;
  ::shutdown(state_->listener.get(), SHUT_RDWR);  // ends accept()
  acceptor_.join();
  {
    const std::lock_guard lock(state_->mutex);
    for (const int fd : state_->open) ::shutdown(fd, SHUT_RDWR);
  }
  for (std::thread& thread : state_->threads) thread.join();
}

std::string Server::url(const std::string& path) const {
  return fmt::format("http://127.0.0.1:{}{}", port_, path);
}

std::size_t Server::accepted() const { return state_->accepted; }

std::string read_head(int connection) {
  std::string head;
  std::array<char, 4096> buffer;
  while (head.find("\r\n\r\n") == std::string::npos) {
    const ssize_t got = ::recv(connection, buffer.data(), buffer.size(), 0);
    if (got <= 0) break;
    head.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return head;
}

void write_all(int connection, const std::string& text) {
  std::size_t sent = 0;
  while (sent < text.size()) {
    const ssize_t now = ::send(connection, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (now <= 0) return;
    sent += static_cast<std::size_t>(now);
  }
}

Server::Handler answer_http(const std::string& body, int status) {
  return [body, status](int connection) {
    read_head(connection);
    write_all(connection, fmt::format("HTTP/1.1 {} X\r\nContent-Length: {}\r\n\r\n{}", status,
                                      body.size(), body));
  };
}

void hang(int connection) {
  std::array<char, 4096> buffer;
  while (::recv(connection, buffer.data(), buffer.size(), 0) > 0) {
  }
}

FullQueue full_tcp_queue() {
  FullQueue queue;
  queue.listener = listen_tcp(0, queue.port);
  const sockaddr_in address = loopback(queue.port);
  while (true) {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const int made =
        ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    require(made == 0 || errno == EINPROGRESS, "connect");
    pollfd wait{.fd = fd.get(), .events = POLLOUT, .revents = 0};
    const bool connected = ::poll(&wait, 1, 100) > 0;
    queue.waiting.push_back(std::move(fd));
    if (!connected) return queue;
  }
}

FullQueue full_unix_queue(const std::string& path) {
  FullQueue queue;
  queue.listener = listen_unix(path, 0);
  const sockaddr_un address = unix_address(path);
  while (true) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      require(errno == EAGAIN, "connect");
      return queue;
    }
    queue.waiting.push_back(std::move(fd));
  }
}

std::uint16_t closed_port() {
  // Bound but not listening: refuses, and nobody else can come to listen on it.
  static std::vector<UniqueFd> kept;
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = loopback(0);
  socklen_t length = sizeof(address);
  require(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length) == 0, "bind");
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length);
  kept.push_back(std::move(fd));
  return ntohs(address.sin_port);
}

ChildProcess::ChildProcess(const std::vector<std::string>& argv, const std::filesystem::path& log) {
  std::vector<char*> words;
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  const UniqueFd output(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  require(static_cast<bool>(output), "open");
  pid_ = ::fork();
  require(pid_ >= 0, "fork");
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // even if the test is killed
    ::dup2(output.get(), STDOUT_FILENO);
    ::dup2(output.get(), STDERR_FILENO);
    ::execvp(words[0], words.data());
    ::_exit(127);
  }
}

ChildProcess::~ChildProcess() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void ChildProcess::kill(int signal) const {
  if (pid_ > 0) ::kill(pid_, signal);
}

std::optional<int> ChildProcess::wait_end(Nanos within) {
  const MonoTime deadline = mono_now() + within;
  while (mono_now() < deadline) {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      return status;
    }
    std::this_thread::sleep_for(1ms);
  }
  return std::nullopt;
}

nlohmann::json body_of(const Observation& observation) {
  return nlohmann::json::parse(observation.body(), nullptr, false);
}

}  // namespace zq::probe_test
