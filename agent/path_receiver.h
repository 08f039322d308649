// The receiving half of the path prober: one thread that counts probes, echoes those that ask, and
// hands on the echoes of our own.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "agent/path_packet.h"
#include "agent/path_prober.h"
#include "agent/path_sequence.h"
#include "agent/path_socket.h"

namespace zq {

class PathReceiver {
 public:
  using EchoSink =
      std::function<void(const PathPacket& echo, const IpAddress& from, std::int64_t at_ns)>;

  // `sockets` outlive the receiver; `sink` is called on the receiver's thread.
  static Result<std::unique_ptr<PathReceiver>> start(const std::string& run,
                                                     const std::vector<PathSocket>& sockets,
                                                     EchoSink sink);
  ~PathReceiver();
  PathReceiver(const PathReceiver&) = delete;
  PathReceiver& operator=(const PathReceiver&) = delete;

  void begin_stage(std::uint32_t number);
  [[nodiscard]] std::vector<PathCounts::Received> measure();

 private:
  struct Sender {
    std::uint64_t received = 0, received_in_window = 0;
    std::uint64_t duplicates = 0, out_of_order = 0, corrupted = 0;
    SequenceWindow arrived;
    LatencyHistogram stage{LatencyHistogram::Origin::kFirstValue};
    // The sender may be in a later stage than we are already.
    LatencyHistogram next{LatencyHistogram::Origin::kFirstValue};
    std::uint32_t next_stage = 0;
  };
  // Of one socket.
  struct Senders {
    std::map<std::string, std::unique_ptr<Sender>, std::less<>> by_name;
    std::map<IpAddress, Sender*> by_address;  // what a damaged probe says of itself is not believed
  };
  struct Buffers;

  PathReceiver(std::uint64_t run, const std::vector<PathSocket>& sockets, EchoSink sink,
               UniqueFd wake);
  void run(const std::stop_token& stop);
  void drain(std::size_t socket, Buffers& buffers);
  void take(std::size_t socket, std::span<std::uint8_t> bytes, const msghdr& header);
  void take_echo_reply(const PathSocket& socket, std::span<std::uint8_t> message,
                       const IpAddress& from, std::int64_t at_ns);
  // With mutex_ held.
  void count(Senders& senders, const PathPacket& packet, const IpAddress& from, std::int64_t at_ns);

  const std::uint64_t run_;
  const std::vector<PathSocket>& sockets_;
  const EchoSink sink_;
  const UniqueFd wake_;  // eventfd: the thread is to end
  std::mutex mutex_;
  std::uint32_t stage_ = 0;
  std::vector<Senders> senders_;  // by socket
  std::jthread thread_;
};

}  // namespace zq
