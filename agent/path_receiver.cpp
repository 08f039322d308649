#include "agent/path_receiver.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <memory>

#include "agent/orders.h"

namespace zq {
namespace {

constexpr std::size_t kBatch = 64;
// Names come from the network: forged ones must not grow the table without end.
constexpr std::size_t kMaxSenders = 10'000;

}  // namespace

struct PathReceiver::Buffers {
  std::array<std::array<std::uint8_t, kPathPacketMax + 1>, kBatch> bytes{};
  std::array<iovec, kBatch> vectors{};
  std::array<sockaddr_storage, kBatch> from{};
  std::array<mmsghdr, kBatch> messages{};
};

Result<std::unique_ptr<PathReceiver>> PathReceiver::start(const std::string& run,
                                                          const std::vector<PathSocket>& sockets,
                                                          EchoSink sink) {
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return fail_errno(errno, "making an event descriptor for path probes");
  return std::unique_ptr<PathReceiver>(
      new PathReceiver(short_hash(run), sockets, std::move(sink), std::move(wake)));
}

PathReceiver::PathReceiver(std::uint64_t run, const std::vector<PathSocket>& sockets, EchoSink sink,
                           UniqueFd wake)
    : run_(run),
      sockets_(sockets),
      sink_(std::move(sink)),
      wake_(std::move(wake)),
      counts_(sockets.size()) {
  thread_ = std::jthread([this](const std::stop_token& stop) { this->run(stop); });
}

PathReceiver::~PathReceiver() {
  thread_.request_stop();
  (void)::eventfd_write(wake_.get(), 1);
}

std::vector<PathCounts::Received> PathReceiver::measure() {
  const std::lock_guard lock(mutex_);
  std::vector<PathCounts::Received> result;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    for (const auto& [node, counts] : counts_[i]) {
      result.push_back({node, sockets_[i].own, counts.received, counts.received_in_window});
    }
  }
  return result;
}

void PathReceiver::run(const std::stop_token& stop) {
  const auto buffers = std::make_unique<Buffers>();
  std::vector<pollfd> polled;
  for (const auto& socket : sockets_) polled.push_back({socket.fd.get(), POLLIN, 0});
  polled.push_back({wake_.get(), POLLIN, 0});
  while (!stop.stop_requested()) {
    if (::poll(polled.data(), polled.size(), -1) < 0) continue;
    for (std::size_t i = 0; i < sockets_.size(); ++i) {
      if (polled[i].revents != 0) drain(i, *buffers);
    }
  }
}

void PathReceiver::drain(std::size_t socket, Buffers& buffers) {
  for (std::size_t i = 0; i < kBatch; ++i) {
    buffers.vectors[i] = {buffers.bytes[i].data(), buffers.bytes[i].size()};
    msghdr header{};
    header.msg_name = &buffers.from[i];
    header.msg_namelen = sizeof buffers.from[i];
    header.msg_iov = &buffers.vectors[i];
    header.msg_iovlen = 1;
    buffers.messages[i] = {header, 0};
  }
  // A failure here is an ICMP error of an earlier send: reading it has cleared it.
  const int count =
      ::recvmmsg(sockets_[socket].fd.get(), buffers.messages.data(), kBatch, MSG_DONTWAIT, nullptr);
  for (int n = 0; n < count; ++n) {
    const auto i = static_cast<std::size_t>(n);
    take(socket, {buffers.bytes[i].data(), buffers.messages[i].msg_len}, buffers.from[i],
         buffers.messages[i].msg_hdr.msg_namelen);
  }
}

void PathReceiver::take(std::size_t socket, std::span<std::uint8_t> bytes,
                        const sockaddr_storage& from, socklen_t from_length) {
  const auto packet = decode_path_packet(bytes);
  if (!packet || packet->run != run_) return;
  if (packet->echo) {
    sink_(*packet, address_of(from), to_ns(mono_now()));
    return;
  }
  if (packet->address != sockets_[socket].own) return;
  {
    const std::lock_guard lock(mutex_);
    auto& senders = counts_[socket];
    auto entry = senders.find(packet->node);
    if (entry == senders.end()) {
      if (senders.size() >= kMaxSenders) return;
      entry = senders.emplace(std::string(packet->node), Counts{}).first;
    }
    ++entry->second.received;
    if (packet->in_window) ++entry->second.received_in_window;
  }
  if (!packet->want_echo) return;
  PathPacket echo = *packet;
  echo.echo = true;
  std::array<std::uint8_t, kPathPacketMax> reply{};
  const std::size_t size = encode_path_packet(echo, reply);
  // An echo that cannot be sent is missed at the other end like one lost on the way.
  (void)::sendto(sockets_[socket].fd.get(), reply.data(), size, MSG_DONTWAIT,
                 reinterpret_cast<const sockaddr*>(&from), from_length);
}

}  // namespace zq
