#include "tests/vm/faults/stream.h"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <map>

namespace zq::test {

using namespace std::chrono_literals;

namespace {

// The clock of the kernel's receive stamps.
std::int64_t stamp_now() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

std::int64_t stamp_of(const msghdr& message) {
  for (const cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(const_cast<msghdr*>(&message), const_cast<cmsghdr*>(part))) {
    if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_TIMESTAMPNS) {
      timespec stamp{};
      std::memcpy(&stamp, CMSG_DATA(part), sizeof stamp);
      return stamp.tv_sec * 1'000'000'000 + stamp.tv_nsec;
    }
  }
  throw std::runtime_error("a datagram without a receive stamp");
}

// What has arrived and belongs to this stream's run `first_number` on.
void collect(int fd, std::vector<Arrival>& arrivals) {
  std::uint8_t payload[2048];
  alignas(cmsghdr) char control[256];
  for (;;) {
    iovec piece{payload, sizeof payload};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t size = ::recvmsg(fd, &message, MSG_DONTWAIT);
    if (size < 0) return;
    std::uint64_t words[3];
    if (static_cast<std::size_t>(size) < sizeof words) continue;
    std::memcpy(words, payload, sizeof words);
    if (words[0] != kStreamMagic) continue;
    const auto sent = static_cast<std::int64_t>(words[2]);
    arrivals.push_back({words[1], Nanos(stamp_of(message) - sent)});
  }
}

}  // namespace

std::uint8_t stream_pattern(std::size_t offset) {
  return static_cast<std::uint8_t>(offset * 37 + 11);
}

Nanos quantile(const std::vector<Nanos>& sorted, double share) {
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return sorted.at(std::clamp<std::size_t>(rank, 1, sorted.size()) - 1);
}

double milliseconds(Nanos duration) { return to_seconds(duration) * 1e3; }

std::vector<Arrival> StreamResult::distinct() const {
  std::map<std::uint64_t, Arrival> first;
  for (const Arrival& arrival : arrivals) first.emplace(arrival.number, arrival);
  std::vector<Arrival> result;
  result.reserve(first.size());
  for (const auto& [number, arrival] : first) result.push_back(arrival);
  return result;
}

std::vector<Nanos> StreamResult::latencies() const {
  std::vector<Nanos> result;
  for (const Arrival& arrival : distinct()) result.push_back(arrival.latency);
  std::sort(result.begin(), result.end());
  return result;
}

Stream::Stream(const TestNetns& from, std::string source, const TestNetns& to, std::string address,
               std::uint16_t port)
    : from_(from),
      source_(std::move(source)),
      address_(std::move(address)),
      port_(port),
      receiver_(to, address_, port) {
  const int on = 1;
  if (::setsockopt(receiver_.fd(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) != 0) {
    throw std::runtime_error("SO_TIMESTAMPNS");
  }
}

StreamResult Stream::run(const StreamPlan& plan) {
  std::vector<std::unique_ptr<UdpSocket>> senders;
  for (std::size_t i = 0; i < std::max<std::size_t>(1, plan.flows); ++i) {
    senders.push_back(std::make_unique<UdpSocket>(from_, source_, 0));
    // What a queue holds is charged to the sender in some kernels.
    const int buffer = 64 << 20;
    (void)::setsockopt(senders.back()->fd(), SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer);
  }
  const SocketAddress target(address_, port_);
  std::vector<std::uint8_t> payload(std::max(plan.payload, kStreamHeader));
  for (std::size_t i = kStreamHeader; i < payload.size(); ++i) payload[i] = stream_pattern(i);

  StreamResult result;
  // Neighbours are resolved, and the path is warm, before the first packet that counts.
  for (const auto& sender : senders) (void)sender->send(target, "warm", 4);
  (void)receiver_.receive(std::chrono::duration_cast<std::chrono::milliseconds>(plan.patience) +
                          1s);
  std::this_thread::sleep_for(plan.patience);
  (void)receiver_.drain();

  MonoTime next = mono_now();
  for (std::size_t i = 0; i < plan.count; ++i) {
    std::this_thread::sleep_until(next);
    next += plan.interval;
    const std::uint64_t words[3] = {kStreamMagic, i, static_cast<std::uint64_t>(stamp_now())};
    std::memcpy(payload.data(), words, sizeof words);
    ++result.sent;
    if (senders[i % senders.size()]->send(target, payload.data(), payload.size()) != 0) {
      ++result.send_errors;
    }
  }
  const MonoTime end = mono_now() + plan.patience;
  while (mono_now() < end) {
    collect(receiver_.fd(), result.arrivals);
    if (result.arrivals.size() > result.sent) break;
    std::this_thread::sleep_for(5ms);
  }
  collect(receiver_.fd(), result.arrivals);
  return result;
}

}  // namespace zq::test
