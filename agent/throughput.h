// TCP goodput between agents, over the network that faults are in. The receiver measures: it leaves
// out the first third of the time, in which the connection gets going and a queue's burst passes,
// and counts what arrives from then on until the time is over.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/ip.h"
#include "agent/base/time.h"
#include "agent/base/unique_fd.h"

namespace zq {

struct Goodput {
  std::uint64_t bytes = 0;  // that arrived during `took`
  Nanos took{};
};

// One node's part, from arming until it is stopped. Any thread may call.
class Throughput {
 public:
  static constexpr Nanos kShortest = std::chrono::milliseconds(100);
  static constexpr Nanos kLongest = std::chrono::seconds(60);

  // Accepts connections of the run at every own address and the port; port 0 = nothing to accept.
  // In the calling thread's network namespace, in which measure() connects too. kRefused: an
  // address is not this node's, or the port is taken.
  static Result<std::unique_ptr<Throughput>> start(const std::string& run,
                                                   const std::vector<IpAddress>& own,
                                                   std::uint16_t port);
  ~Throughput();  // stop()
  Throughput(const Throughput&) = delete;
  Throughput& operator=(const Throughput&) = delete;

  // Sends to the agent at `peer` for so long. kRefused: no own address of that family, or a
  // measurement to that peer is under way. kTimeout, kUnavailable: the peer does not answer.
  // kCancelled: by cancel() or stop().
  Result<Goodput> measure(const IpAddress& peer, Nanos length);

  // Ends measurements under way; returns when all have ended.
  void cancel();
  // The same, and takes no more.
  void stop();

 private:
  Throughput(std::uint64_t run, std::vector<IpAddress> own, std::uint16_t port, UniqueFd stopped,
             UniqueFd cancelled);
  Result<Goodput> send_to(const IpAddress& peer, const IpAddress& from, Nanos length) const;
  void accept_all();

  const std::uint64_t run_;
  const std::vector<IpAddress> own_;
  const std::uint16_t port_;
  const UniqueFd stopped_;    // eventfd, for the accepting thread
  const UniqueFd cancelled_;  // eventfd, for those who measure
  UniqueFd netns_;
  std::vector<UniqueFd> listeners_;
  std::mutex mutex_;
  std::condition_variable idle_;
  std::set<IpAddress> under_way_;
  bool ended_ = false;
  std::jthread thread_;
};

}  // namespace zq
