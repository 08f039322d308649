// What can be done to packets between two groups of nodes, apart from timing: which packets
// (Scope), and what happens to them (Treatment, Impairment). Experiments state it, the plan hands
// it on, the data plane enforces it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/time.h"

namespace zq {

struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;  // inclusive
  auto operator<=>(const PortRange&) const = default;
};

inline constexpr std::size_t kMaxPortRanges = 8;  // of a scope, all three lists together

// Whether packets of the protocol carry ports where TCP's do: TCP, UDP, SCTP, UDP-Lite, DCCP.
[[nodiscard]] bool has_ports(std::uint8_t protocol);

// Packets of a pair of groups that a fault is about; the default is all of them. Within a list one
// range must match, and every list that is not empty must. Later fragments of a datagram carry no
// ports, so that a scope with ports does not match them.
struct Scope {
  // IPPROTO_*; 0 = any. IPPROTO_ICMP stands for ICMP of both families, neighbour discovery aside.
  std::uint8_t protocol = 0;
  std::vector<PortRange> ports;  // on either end of the packet
  std::vector<PortRange> source_ports;
  std::vector<PortRange> destination_ports;

  [[nodiscard]] bool everything() const {
    return protocol == 0 && ports.empty() && source_ports.empty() && destination_ports.empty();
  }
  auto operator<=>(const Scope&) const = default;
};

// "all", "tcp ports 2181,2888-3888", "udp from 5000 to 53".
[[nodiscard]] std::string to_string(const Scope& scope);

enum class Treatment : std::uint8_t {
  kDrop,    // silently
  kReject,  // answered with a TCP reset or an ICMP unreachable
  kImpair,
};

enum class Distribution : std::uint8_t { kUniform, kNormal, kPareto, kParetoNormal, kCustom };

// Probabilities are in [0, 1].
struct LossModel {
  enum class Kind : std::uint8_t { kNone, kRandom, kGilbertElliott, kFourState };
  Kind kind = Kind::kNone;
  // kRandom: probability, correlation with the decision before.
  // kGilbertElliott: p (good to bad), r (bad to good), loss while bad, loss while good.
  // kFourState: p13, p31, p32, p23, p14, as tc-netem(8) names them.
  std::array<double, 5> parameters{};
  bool operator==(const LossModel&) const = default;
  // Share of packets lost in the long run.
  [[nodiscard]] double expected() const;
};

// One way, for packets of one directed pair of groups. At least one part is set.
struct Impairment {
  Nanos delay{};
  Nanos jitter{};                // scale of the distribution around `delay`; less than `delay`
  double delay_correlation = 0;  // of successive delays
  Distribution distribution = Distribution::kUniform;
  std::vector<std::int16_t> table;  // kCustom: in netem's form, scaled by 8192, 16 to 16384 values
  LossModel loss;
  double duplicate = 0;
  double corrupt = 0;          // one bit is flipped
  double reorder = 0;          // share of packets that skip the delay; needs a delay
  std::uint64_t rate_bps = 0;  // bits per second of a node's packets to the group; 0 = no cap
  bool operator==(const Impairment&) const = default;

  // Has to pass through a queue (all but loss and duplicate alone).
  [[nodiscard]] bool queues() const {
    return delay > Nanos{0} || corrupt > 0 || reorder > 0 || rate_bps > 0;
  }
  // Loss and duplication are drawn as netem draws them: each once for a packet, and one that is to
  // come twice and to be lost comes once. The share that does not arrive at all, and of those that
  // do the share that arrives twice.
  [[nodiscard]] double missing_share() const;
  [[nodiscard]] double doubled_share() const;
};

inline constexpr Nanos kMaxDelay = std::chrono::seconds(60);  // delay + jitter
inline constexpr std::uint64_t kMinRateBps = 8'000;
inline constexpr std::uint64_t kMaxRateBps = 100'000'000'000;

// kInput: what is wrong, without a position.
Status check(const Impairment& impairment);
// "delay 50ms +-5ms normal, loss 1%, rate 100Mbit/s".
[[nodiscard]] std::string to_string(const Impairment& impairment);
// "100Mbit/s", "1.5Gbit/s".
[[nodiscard]] std::string format_rate(std::uint64_t bits_per_second);

// The table from which delays are drawn: value * jitter / 8192 is added to the delay. Empty for
// kUniform. The same as tc's tables of that name up to sampling noise.
[[nodiscard]] std::vector<std::int16_t> distribution_table(Distribution distribution);

}  // namespace zq
