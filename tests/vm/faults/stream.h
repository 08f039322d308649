// Sequence-numbered datagrams between two namespaces, and when each came out: the one-way latency
// of every packet on one clock, from just before the send to the kernel's receive stamp.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/time.h"
#include "tests/integration/support/netns_fixture.h"

namespace zq::test {

struct StreamPlan {
  std::size_t count = 1000;
  Nanos interval = std::chrono::milliseconds(1);  // between sends
  std::size_t payload = 64;                       // bytes, at least kStreamHeader
  // Packets are spread over so many flows (source ports), one after the other: what keeps the order
  // of a flow then cannot hold up one packet because of another.
  std::size_t flows = 1;
  Nanos patience = std::chrono::milliseconds(200);  // how long the last packet may take
};

struct Arrival {
  std::uint64_t number = 0;  // of the packet, from 0
  Nanos latency{};
};

struct StreamResult {
  std::uint64_t sent = 0;
  std::uint64_t send_errors = 0;
  std::vector<Arrival> arrivals;  // in the order in which they arrived

  // Each packet once, by number, with its first arrival's latency.
  [[nodiscard]] std::vector<Arrival> distinct() const;
  // Of distinct(), ascending.
  [[nodiscard]] std::vector<Nanos> latencies() const;
};

// The payload: magic, number and time, then a pattern that the wire can be compared with.
inline constexpr std::size_t kStreamHeader = 24;
inline constexpr std::uint64_t kStreamMagic = 0x7a717374726d3031;
[[nodiscard]] std::uint8_t stream_pattern(std::size_t offset);

class Stream {
 public:
  // A receiver at `address`, on a port of its own.
  Stream(const TestNetns& from, std::string source, const TestNetns& to, std::string address,
         std::uint16_t port);

  // Sends, waits for the last packet to arrive or patience to end, and collects.
  StreamResult run(const StreamPlan& plan);

 private:
  const TestNetns& from_;
  std::string source_;
  std::string address_;
  std::uint16_t port_;
  UdpSocket receiver_;
};

// By nearest rank; `sorted` is not empty.
[[nodiscard]] Nanos quantile(const std::vector<Nanos>& sorted, double share);
[[nodiscard]] double milliseconds(Nanos duration);

}  // namespace zq::test
