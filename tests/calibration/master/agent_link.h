// A master's link to one agent: pings, of which misses are counted at the end of each period as
// SlaveObserver in Mesos' src/master/master.cpp does, and messages in order.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

#include "agent/base/time.h"

namespace zq::calibration {

class AgentLink : public std::enable_shared_from_this<AgentLink> {
 public:
  struct Callbacks {
    std::function<void()> on_pong;            // an answer in time
    std::function<void(unsigned)> on_missed;  // so many periods in a row without one
    std::function<void()> on_broken;          // refused or reset: nobody listens there
  };

  static std::shared_ptr<AgentLink> start(std::string address, std::string master_id,
                                          Nanos ping_timeout, Callbacks callbacks);
  // No callback begins after this; a message that is under way may still arrive.
  void stop();
  // Delivered again and again until the agent has answered or the link is stopped.
  void send(std::string path, nlohmann::json message);
  // What pings say: an agent that hears that it is not registers again.
  void set_connected(bool connected);

 private:
  AgentLink(std::string address, std::string master_id, Nanos ping_timeout, Callbacks callbacks);
  void ping();
  void deliver();
  bool wait_until(MonoTime time);

  const std::string address_;
  const std::string master_id_;
  const Nanos ping_timeout_;
  const Callbacks callbacks_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::pair<std::string, nlohmann::json>> messages_;
  bool connected_ = true;
  bool stopped_ = false;
};

}  // namespace zq::calibration
