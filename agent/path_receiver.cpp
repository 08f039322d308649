#include "agent/path_receiver.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

#include <array>
#include <bit>
#include <cerrno>
#include <memory>

#include "agent/orders.h"

namespace zq {
namespace {

constexpr std::size_t kBatch = 64;
// Names come from the network: forged ones must not grow the table without end.
constexpr std::size_t kMaxSenders = 4'096;

}  // namespace

struct PathReceiver::Buffers {
  // A raw socket's messages have an IPv4 header of up to 60 bytes in front, and the ICMP header.
  std::array<std::array<std::uint8_t, kPathPacketMax + 60 + kEchoHeaderSize + 1>, kBatch> bytes{};
  alignas(cmsghdr) std::array<std::array<std::uint8_t, kPathControlSize>, kBatch> control{};
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
      senders_(sockets.size()) {
  thread_ = std::jthread([this](const std::stop_token& stop) { this->run(stop); });
}

PathReceiver::~PathReceiver() {
  thread_.request_stop();
  (void)::eventfd_write(wake_.get(), 1);
}

void PathReceiver::begin_stage(std::uint32_t number) {
  const std::lock_guard lock(mutex_);
  stage_ = number;
  for (auto& senders : senders_) {
    for (auto& [name, sender] : senders.by_name) {
      sender->stage.clear();
      if (sender->next_stage == number) std::swap(sender->stage, sender->next);
    }
  }
}

std::vector<PathCounts::Received> PathReceiver::measure() {
  const std::lock_guard lock(mutex_);
  std::vector<PathCounts::Received> result;
  for (std::size_t i = 0; i < senders_.size(); ++i) {
    for (const auto& [node, sender] : senders_[i].by_name) {
      result.push_back({node, sockets_[i].own, sender->received, sender->received_in_window,
                        sender->duplicates, sender->out_of_order, sender->corrupted,
                        sender->stage.figures()});
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
    header.msg_control = buffers.control[i].data();
    header.msg_controllen = buffers.control[i].size();
    buffers.messages[i] = {header, 0};
  }
  // A failure here is an ICMP error of an earlier send: reading it has cleared it.
  const int count =
      ::recvmmsg(sockets_[socket].fd.get(), buffers.messages.data(), kBatch, MSG_DONTWAIT, nullptr);
  for (int n = 0; n < count; ++n) {
    const auto i = static_cast<std::size_t>(n);
    take(socket, {buffers.bytes[i].data(), buffers.messages[i].msg_len},
         buffers.messages[i].msg_hdr);
  }
}

void PathReceiver::take(std::size_t index, std::span<std::uint8_t> bytes, const msghdr& header) {
  const PathSocket& socket = sockets_[index];
  const std::int64_t at_ns = receive_time_ns(header, to_ns(mono_now()));
  const IpAddress from = address_of(*static_cast<const sockaddr_storage*>(header.msg_name));
  if (socket.kind == PathSocket::Kind::kEcho) {
    take_echo_reply(socket, bytes, from, at_ns);
    return;
  }
  const auto decoded = decode_path_packet(bytes);
  if (!decoded) return;
  const PathPacket& packet = decoded->packet;
  if (decoded->damaged) {
    if (packet.echo || std::popcount(packet.run ^ run_) > 2) return;
    const std::lock_guard lock(mutex_);
    const auto& known = senders_[index].by_address;
    if (const auto sender = known.find(from); sender != known.end()) ++sender->second->corrupted;
    return;
  }
  if (packet.run != run_) return;
  if (packet.echo) {
    sink_(packet, from, at_ns);
    return;
  }
  if (packet.address != socket.own) return;
  {
    const std::lock_guard lock(mutex_);
    count(senders_[index], packet, from, at_ns);
  }
  if (!packet.want_echo) return;
  PathPacket echo = packet;
  echo.echo = true;
  echo.held_ns = to_ns(mono_now()) - at_ns;
  std::array<std::uint8_t, kPathPacketMax> reply{};
  const std::size_t size = encode_path_packet(echo, reply);
  // An echo that cannot be sent is missed at the other end like one lost on the way.
  (void)::sendto(socket.fd.get(), reply.data(), size, MSG_DONTWAIT,
                 static_cast<const sockaddr*>(header.msg_name), header.msg_namelen);
}

void PathReceiver::take_echo_reply(const PathSocket& socket, std::span<std::uint8_t> message,
                                   const IpAddress& from, std::int64_t at_ns) {
  const auto decoded = decode_path_packet(echo_reply_payload(socket.own, message));
  if (!decoded || decoded->damaged || decoded->packet.run != run_) return;
  PathPacket echo = decoded->packet;  // as we sent it
  echo.echo = true;
  echo.held_ns = 0;
  sink_(echo, from, at_ns);
}

void PathReceiver::count(Senders& senders, const PathPacket& packet, const IpAddress& from,
                         std::int64_t at_ns) {
  auto entry = senders.by_name.find(packet.node);
  if (entry == senders.by_name.end()) {
    if (senders.by_name.size() >= kMaxSenders) return;
    entry = senders.by_name.emplace(std::string(packet.node), std::make_unique<Sender>()).first;
    senders.by_address[from] = entry->second.get();
  }
  Sender& sender = *entry->second;
  switch (sender.arrived.take(packet.sequence)) {
    case SequenceWindow::Arrival::kAgain:
      ++sender.duplicates;
      return;
    case SequenceWindow::Arrival::kLate:
      ++sender.out_of_order;
      break;
    case SequenceWindow::Arrival::kNewest:
      break;
  }
  ++sender.received;
  if (packet.in_window) ++sender.received_in_window;
  const std::int64_t one_way_ns = at_ns - packet.sent_ns;
  if (packet.stage == stage_) {
    sender.stage.add(one_way_ns);
  } else if (packet.stage > stage_) {
    if (packet.stage != sender.next_stage) sender.next.clear();
    sender.next_stage = packet.stage;
    sender.next.add(one_way_ns);
  }
}

}  // namespace zq
