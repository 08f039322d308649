// Frames as a device carries them, seen by a packet socket.
#pragma once

#include <net/ethernet.h>
#include <netpacket/packet.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/vm/faults/stream.h"

namespace zq::test {

// A datagram of a Stream, as it arrived on the wire.
struct Frame {
  std::uint64_t number = 0;
  int wrong_bits = 0;  // of the pattern
};

class Wire {
 public:
  // Records frames that come in on `device`, from now on.
  static Wire on_device(const TestNetns& netns, const std::string& device, bool v6) {
    return Wire(netns.run([&] {
      UniqueFd fd = roomy(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)));
      sockaddr_ll place{};
      place.sll_family = AF_PACKET;
      place.sll_protocol = htons(ETH_P_ALL);
      place.sll_ifindex = static_cast<int>(::if_nametoindex(device.c_str()));
      if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&place), sizeof place) != 0) {
        throw std::runtime_error("packet socket on " + device);
      }
      return fd;
    }),
                sizeof(ether_header) + (v6 ? 40 : 20) + 8);
  }
  // Records UDP packets as IP hands them on, before their checksums are looked at. Packet sockets
  // see what comes in before the ingress hooks, and do not see what was held there a second time.
  static Wire behind_ingress(const TestNetns& netns, bool v6) {
    return Wire(netns.run([&] {
      return roomy(::socket(v6 ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP));
    }),
                (v6 ? 0 : 20) + 8);
  }

  // The stream's datagrams so far, by their size, since the bits that tell their kind may be wrong.
  [[nodiscard]] std::vector<Frame> frames(std::size_t payload) const {
    std::vector<Frame> result;
    std::uint8_t bytes[2048];
    for (;;) {
      sockaddr_storage from{};
      socklen_t size_of_from = sizeof from;
      const ssize_t size = ::recvfrom(fd_.get(), bytes, sizeof bytes, MSG_DONTWAIT,
                                      reinterpret_cast<sockaddr*>(&from), &size_of_from);
      if (size < 0) return result;
      if (from.ss_family == AF_PACKET &&
          reinterpret_cast<const sockaddr_ll*>(&from)->sll_pkttype == PACKET_OUTGOING) {
        continue;
      }
      if (static_cast<std::size_t>(size) != start_ + payload) continue;
      Frame frame;
      std::memcpy(&frame.number, bytes + start_ + 8, sizeof frame.number);
      for (std::size_t i = kStreamHeader; i < payload; ++i) {
        frame.wrong_bits += __builtin_popcount(bytes[start_ + i] ^ stream_pattern(i));
      }
      result.push_back(frame);
    }
  }

 private:
  Wire(UniqueFd fd, std::size_t start) : fd_(std::move(fd)), start_(start) {}
  static UniqueFd roomy(int raw) {
    UniqueFd fd(raw);
    const int buffer = 256 << 20;
    if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer) != 0) {
      throw std::runtime_error(std::string("raw socket: ") + std::strerror(errno));
    }
    return fd;
  }

  UniqueFd fd_;
  std::size_t start_;  // of a stream's payload
};

}  // namespace zq::test
