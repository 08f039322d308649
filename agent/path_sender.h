// The sending half of the path prober: one thread that paces probes by the clock.
#pragma once

#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "agent/path_packet.h"
#include "agent/path_prober.h"
#include "agent/path_sequence.h"
#include "agent/path_socket.h"

namespace zq {

class PathSender {
 public:
  // `sockets` outlive the sender. kRefused: a target has a family of which there is no socket.
  static Result<std::unique_ptr<PathSender>> start(const PathProberConfig& config,
                                                   const std::vector<PathSocket>& sockets);
  ~PathSender();
  PathSender(const PathSender&) = delete;
  PathSender& operator=(const PathSender&) = delete;

  void set_programme(const std::vector<GateRule>& rules);
  // An echo came back. Ignored when it does not belong to a target of ours.
  void take_echo(const PathPacket& echo, const IpAddress& from, std::int64_t at_ns);
  void begin_stage(std::uint32_t number);
  [[nodiscard]] std::vector<PathCounts::Sent> measure();

 private:
  struct Target {
    PathProberConfig::Target where;
    SocketAddress address;
    std::size_t socket = 0;
    std::uint64_t sequence = 0;
    std::vector<GateRule::Segment> segments;
    PathCounts::Sent counts;
    std::vector<std::int64_t> rtts_ns;  // since the last measure()
    std::unique_ptr<SequenceWindow> echoes = std::make_unique<SequenceWindow>();
    LatencyHistogram stage{LatencyHistogram::Origin::kZero};
  };

  PathSender(const PathProberConfig& config, std::vector<Target> targets,
             const std::vector<PathSocket>& sockets);
  void run(const std::stop_token& stop);
  // Takes mutex_. A sender that is always late does not get it before those who wait for it.
  [[nodiscard]] std::unique_lock<std::mutex> enter();
  void send_next();  // with mutex_ held

  const std::uint64_t run_;
  const std::string node_;
  const double rate_;              // of all targets together
  const std::uint64_t echo_each_;  // every n-th probe of a target asks for an echo
  const std::vector<PathSocket>& sockets_;
  std::mutex entry_;  // held while waiting for mutex_, see enter()
  std::mutex mutex_;  // held for the whole of a burst: see PathProber::set_programme
  std::vector<Target> targets_;
  std::size_t next_target_ = 0;
  std::uint32_t stage_ = 0;
  std::jthread thread_;
};

}  // namespace zq
