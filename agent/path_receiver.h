// The receiving half of the path prober: one thread that counts probes and echoes those that ask.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "agent/path_packet.h"
#include "agent/path_prober.h"
#include "agent/path_socket.h"

namespace zq {

class PathReceiver {
 public:
  using EchoSink =
      std::function<void(const PathPacket& echo, const IpAddress& from, std::int64_t now_ns)>;

  // `sockets` outlive the receiver; `sink` is called on the receiver's thread.
  static Result<std::unique_ptr<PathReceiver>> start(const std::string& run,
                                                     const std::vector<PathSocket>& sockets,
                                                     EchoSink sink);
  ~PathReceiver();
  PathReceiver(const PathReceiver&) = delete;
  PathReceiver& operator=(const PathReceiver&) = delete;

  [[nodiscard]] std::vector<PathCounts::Received> measure();

 private:
  struct Counts {
    std::uint64_t received = 0, received_in_window = 0;
  };
  struct Buffers;

  PathReceiver(std::uint64_t run, const std::vector<PathSocket>& sockets, EchoSink sink,
               UniqueFd wake);
  void run(const std::stop_token& stop);
  void drain(std::size_t socket, Buffers& buffers);
  void take(std::size_t socket, std::span<std::uint8_t> bytes, const sockaddr_storage& from,
            socklen_t from_length);

  const std::uint64_t run_;
  const std::vector<PathSocket>& sockets_;
  const EchoSink sink_;
  const UniqueFd wake_;  // eventfd: the thread is to end
  std::mutex mutex_;
  std::vector<std::map<std::string, Counts, std::less<>>> counts_;  // by socket, by sender
  std::jthread thread_;
};

}  // namespace zq
