// One-way delays of datagrams between two namespaces of this machine: from the moment before the
// sender's system call to the kernel's own time of arrival, so that a receiver that has to wait for
// a CPU counts for nothing.
#pragma once

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <ctime>
#include <thread>
#include <vector>

#include "agent/base/time.h"
#include "tests/integration/support/netns_fixture.h"

namespace zq::test {

inline std::int64_t realtime_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

struct OneWay {
  std::vector<double> delays_ms;       // of those that arrived, in the order of arrival
  std::vector<std::uint64_t> numbers;  // the same
  std::size_t sent = 0;

  [[nodiscard]] std::size_t lost() const { return sent - delays_ms.size(); }
  [[nodiscard]] double quantile(double share) const {
    if (delays_ms.empty()) throw std::runtime_error("nothing arrived");
    auto sorted = delays_ms;
    std::ranges::sort(sorted);
    const double place = share * static_cast<double>(sorted.size() - 1);
    return sorted[static_cast<std::size_t>(std::lround(place))];
  }
  [[nodiscard]] double median() const { return quantile(0.5); }
  [[nodiscard]] double mean() const {
    double sum = 0;
    for (const double delay : delays_ms) sum += delay;
    return sum / static_cast<double>(delays_ms.size());
  }
  [[nodiscard]] double deviation() const {
    double sum = 0;
    for (const double delay : delays_ms) sum += (delay - mean()) * (delay - mean());
    return std::sqrt(sum / static_cast<double>(delays_ms.size()));
  }
};

struct OneWayPlan {
  std::size_t packets = 200;
  Nanos interval = std::chrono::milliseconds(2);
  std::size_t flows = 1;  // source ports, used in turn
  std::size_t size = 64;  // bytes of payload
  int priority = 0;       // SO_PRIORITY
};

struct OneWayStamp {
  std::uint64_t number = 0;
  std::int64_t sent_ns = 0;
};

class OneWayReceiver {
 public:
  OneWayReceiver(const TestNetns& netns, const std::string& address, std::uint16_t port)
      : socket_(netns, address, port) {
    const int on = 1;
    const timeval wait{0, 20'000};
    (void)::setsockopt(socket_.fd(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    (void)::setsockopt(socket_.fd(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  }
  // Takes a datagram, if one comes within 20 ms.
  bool receive(OneWay& into) const {
    OneWayStamp stamp;
    iovec part{&stamp, sizeof stamp};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(timespec))];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (::recvmsg(socket_.fd(), &message, 0) < static_cast<ssize_t>(sizeof stamp)) return false;
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header == nullptr || header->cmsg_type != SCM_TIMESTAMPNS) return false;
    timespec arrived{};
    std::memcpy(&arrived, CMSG_DATA(header), sizeof arrived);
    const std::int64_t ns = arrived.tv_sec * 1'000'000'000 + arrived.tv_nsec - stamp.sent_ns;
    into.delays_ms.push_back(static_cast<double>(ns) / 1e6);
    into.numbers.push_back(stamp.number);
    return true;
  }

 private:
  UdpSocket socket_;
};

// Sends by a real-time thread, which measures rather than competes, and waits for all to arrive;
// for a second at most after the last one. So no delay may be longer.
inline OneWay measure_one_way(const TestNetns& from, const std::string& source, const TestNetns& to,
                              const std::string& address, const OneWayPlan& plan = {}) {
  constexpr std::uint16_t kPort = 7100, kFirstSource = 20000;
  const OneWayReceiver receiver(to, address, kPort);
  std::vector<UdpSocket> sockets;
  for (std::size_t i = 0; i < plan.flows; ++i) {
    sockets.emplace_back(from, source, static_cast<std::uint16_t>(kFirstSource + i));
    (void)::setsockopt(sockets.back().fd(), SOL_SOCKET, SO_PRIORITY, &plan.priority,
                       sizeof plan.priority);
  }
  const SocketAddress target(address, kPort);
  sockets.front().send(target, "", 0);  // resolves the neighbour; too short to be counted
  OneWay result;
  result.sent = plan.packets;
  std::atomic<bool> done{false};
  std::thread sender([&] {
    const sched_param priority{20};
    (void)::sched_setscheduler(0, SCHED_FIFO, &priority);
    std::vector<char> payload(std::max(plan.size, sizeof(OneWayStamp)));
    MonoTime next = mono_now() + std::chrono::milliseconds(20);
    for (std::size_t i = 0; i < plan.packets; ++i, next += plan.interval) {
      std::this_thread::sleep_until(next);
      const OneWayStamp stamp{i, realtime_ns()};
      std::memcpy(payload.data(), &stamp, sizeof stamp);
      (void)sockets[i % sockets.size()].send(target, payload.data(), payload.size());
    }
    done = true;
  });
  // Looks once more after the time is up: it may have passed while this thread had no CPU.
  for (MonoTime last = mono_now(); result.lost() > 0;) {
    const bool in_time = !done || mono_now() - last < std::chrono::seconds(1);
    if (receiver.receive(result) || !done) {
      last = mono_now();
    } else if (!in_time) {
      break;
    }
  }
  sender.join();
  return result;
}

// Measures once more when a median is off: a machine that stands still for a moment (others' load,
// its hypervisor) shows as delay, too. What is wrong with the delay is wrong again.
template <class Measure>
OneWay measure_median(const Measure& measure, double expected_ms, double tolerance_ms) {
  const OneWay first = measure();
  if (first.lost() > 0 || std::abs(first.median() - expected_ms) <= tolerance_ms) return first;
  return measure();
}

}  // namespace zq::test
