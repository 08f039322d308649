#include "tests/vm/faults/bulk.h"

#include <atomic>
#include <future>
#include <vector>

namespace zq::test {

using namespace std::chrono_literals;

namespace {

void set_timeouts(int fd, Nanos timeout) {
  const timeval wait{timeout / 1s, (timeout % 1s) / 1us};
  (void)::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  (void)::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
}

UniqueFd tcp_socket(const TestNetns& netns, const SocketAddress& bound) {
  return netns.run([&] {
    UniqueFd fd(::socket(bound.get()->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    (void)::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (!fd || ::bind(fd.get(), bound.get(), bound.size) != 0) throw std::runtime_error("tcp bind");
    return fd;
  });
}

// Closing resets the connection, so that nothing lingers in the queue under test.
void reset_on_close(int fd) {
  const linger at_once{1, 0};
  (void)::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

double receive(int listener, Nanos lead, Nanos span) {
  const UniqueFd peer(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
  if (!peer) throw std::runtime_error("nobody connected");
  set_timeouts(peer.get(), 20s);
  reset_on_close(peer.get());
  std::vector<char> buffer(1 << 18);
  MonoTime begin{};
  MonoTime first{};
  MonoTime last{};
  double bytes = 0;
  for (;;) {
    const ssize_t size = ::recv(peer.get(), buffer.data(), buffer.size(), 0);
    if (size <= 0) throw std::runtime_error("the stream broke off");
    const MonoTime now = mono_now();
    if (begin == MonoTime{}) begin = now;
    if (now < begin + lead) continue;
    if (first == MonoTime{}) {
      first = now;  // what came with this read came before
      continue;
    }
    bytes += static_cast<double>(size);
    last = now;
    if (last >= first + span) return bytes * 8 / to_seconds(last - first);
  }
}

}  // namespace

double tcp_goodput(const TestNetns& from, const std::string& source, const TestNetns& to,
                   const std::string& address, std::uint16_t port, Nanos lead, Nanos span) {
  const SocketAddress target(address, port);
  const UniqueFd listener = tcp_socket(to, target);
  if (::listen(listener.get(), 1) != 0) throw std::runtime_error("listen");
  set_timeouts(listener.get(), 20s);
  const UniqueFd sender = tcp_socket(from, SocketAddress(source, 0));
  set_timeouts(sender.get(), 200ms);
  reset_on_close(sender.get());

  auto received =
      std::async(std::launch::async, [&] { return receive(listener.get(), lead, span); });
  std::vector<char> data(1 << 16, 'z');
  // The connection itself may be slow where delays are long.
  const MonoTime patience = mono_now() + 20s;
  while (::connect(sender.get(), target.get(), target.size) != 0 && errno != EISCONN) {
    if (mono_now() > patience) break;
  }
  while (received.wait_for(0s) != std::future_status::ready) {
    if (::send(sender.get(), data.data(), data.size(), MSG_NOSIGNAL) < 0 && errno != EAGAIN) break;
  }
  return received.get();
}

}  // namespace zq::test
