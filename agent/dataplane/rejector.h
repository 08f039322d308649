// Answers packets that the gate rejects, as the peer's host or a router would: a TCP reset, or an
// ICMP unreachable. What this node sent is answered to its own socket, in the peer's name, over the
// loopback device; what came from a peer is answered to the peer, past the gate.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "agent/base/error.h"

namespace zq {

inline constexpr double kMaxAnswersPerSecond = 20'000;  // what is rejected beyond is dropped

class Rejector {
 public:
  // Opens raw sockets in the network namespace of the calling thread and starts a thread that reads
  // the gate's ring buffer, which must outlive the rejector. Needs CAP_NET_RAW.
  static Result<std::unique_ptr<Rejector>> start(int ring_fd);
  ~Rejector();
  Rejector(const Rejector&) = delete;
  Rejector& operator=(const Rejector&) = delete;

  struct Stats {
    std::uint64_t answered = 0;
    std::uint64_t silent = 0;  // no host would answer it: a reset, an ICMP error, a multicast
    std::uint64_t excess = 0;  // above kMaxAnswersPerSecond
    std::uint64_t failed = 0;  // the kernel refused the answer
  };
  [[nodiscard]] Stats stats() const;  // any thread

 private:
  class Impl;
  explicit Rejector(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The answer to a packet that begins with its IP header and may be cut short: an IP packet from its
// destination to its source. Nothing where no host would answer.
[[nodiscard]] std::optional<std::vector<std::uint8_t>> reject_answer(
    std::span<const std::uint8_t> packet);

}  // namespace zq
