// Real traffic between two namespaces, measured.
#pragma once

#include <netinet/tcp.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "tests/integration/support/netns_fixture.h"

namespace zq::test {

using namespace std::chrono_literals;

inline void set_mark(int fd, std::int32_t mark) {
  if (mark != 0 && ::setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) != 0) {
    throw std::runtime_error("SO_MARK");
  }
}

// One TCP connection that sends as fast as it may; payload bits per second at the receiver, over
// `length` from the first byte on.
inline double tcp_goodput(const TestNetns& from, const TestNetns& to, const std::string& address,
                          std::chrono::milliseconds length, std::int32_t mark = 0) {
  const SocketAddress target(address, 5201);
  const int family = target.get()->sa_family;
  const UniqueFd listener = to.run([&] {
    UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    (void)::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (!fd || ::bind(fd.get(), target.get(), target.size) != 0 || ::listen(fd.get(), 1) != 0) {
      throw std::runtime_error("listening on " + address);
    }
    return fd;
  });
  const UniqueFd client = from.run([&] {
    UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    set_mark(fd.get(), mark);
    if (!fd || ::connect(fd.get(), target.get(), target.size) != 0) {
      throw std::runtime_error("connecting to " + address + ": " + std::strerror(errno));
    }
    return fd;
  });
  const UniqueFd server(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  std::atomic<bool> stop = false;
  std::thread sender([&] {
    const std::vector<char> data(1 << 16);
    while (!stop) {
      pollfd wait{client.get(), POLLOUT, 0};
      if (::poll(&wait, 1, 10) > 0) {
        (void)::send(client.get(), data.data(), data.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      }
    }
  });
  std::vector<char> buffer(1 << 18);
  std::uint64_t bytes = 0;
  std::optional<std::chrono::steady_clock::time_point> first;
  for (;;) {
    pollfd wait{server.get(), POLLIN, 0};
    const bool readable = ::poll(&wait, 1, first ? 5 : 5000) > 0;
    const auto now = std::chrono::steady_clock::now();
    if (first && now >= *first + length) break;
    if (!readable && !first) break;
    if (!readable) continue;
    const ssize_t size = ::recv(server.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size <= 0) break;
    bytes += static_cast<std::uint64_t>(size);
    if (!first) first = now;
  }
  stop = true;
  sender.join();
  // Nothing of it stays on the way.
  const linger reset{1, 0};
  (void)::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  return static_cast<double>(bytes) * 8 / std::chrono::duration<double>(length).count();
}

// Answers every datagram.
class Echo {
 public:
  Echo(const TestNetns& netns, const std::string& address, std::uint16_t port)
      : socket_(netns, address, port), thread_([this] { serve(); }) {}
  ~Echo() {
    stop_ = true;
    thread_.join();
  }
  Echo(const Echo&) = delete;
  Echo& operator=(const Echo&) = delete;

 private:
  void serve() const {
    std::array<char, 2048> buffer{};
    while (!stop_) {
      pollfd wait{socket_.fd(), POLLIN, 0};
      if (::poll(&wait, 1, 10) <= 0) continue;
      sockaddr_storage from{};
      socklen_t size = sizeof from;
      const ssize_t length = ::recvfrom(socket_.fd(), buffer.data(), buffer.size(), MSG_DONTWAIT,
                                        reinterpret_cast<sockaddr*>(&from), &size);
      if (length > 0) {
        (void)::sendto(socket_.fd(), buffer.data(), static_cast<std::size_t>(length), 0,
                       reinterpret_cast<sockaddr*>(&from), size);
      }
    }
  }
  UdpSocket socket_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

// Median round trip of some datagrams, one after the other; those that are lost do not count.
inline Nanos median_round_trip(const TestNetns& from, const std::string& own,
                               const std::string& peer, std::uint16_t port, int count = 21,
                               std::int32_t mark = 0) {
  const UdpSocket socket(from, own, 0);
  set_mark(socket.fd(), mark);
  std::vector<Nanos> times;
  for (int i = 0; i < count; ++i) {
    const auto start = std::chrono::steady_clock::now();
    if (socket.send(peer, port) != 0 || !socket.receive(3s)) continue;
    times.emplace_back(std::chrono::steady_clock::now() - start);
  }
  if (times.empty()) throw std::runtime_error("no answer from " + peer);
  std::ranges::sort(times);
  return times[times.size() / 2];
}

}  // namespace zq::test
