// Subscribers of /v2/events: server-sent events with a bounded queue each.
#pragma once

#include <condition_variable>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "tests/calibration/scheduler/http_server.h"

namespace zq::scheduler {

class EventHub {
 public:
  void publish(const std::string& type, const nlohmann::json& event);
  // Writes events to a client until it is gone or too slow. `types` empty = all.
  void serve(const std::set<std::string>& types, const std::string& remote,
             const WriteChunk& write);

 private:
  struct Subscriber {
    std::set<std::string> types;
    std::deque<std::string> waiting;
    bool overrun = false;
  };

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::list<std::shared_ptr<Subscriber>> subscribers_;
};

}  // namespace zq::scheduler
