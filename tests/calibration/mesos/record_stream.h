// One subscriber's stream of events, as RecordIO, with heartbeats.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/calibration/scheduler/http_server.h"

namespace zq::calibration {

inline constexpr double kHeartbeatSeconds = 15;  // Mesos' DEFAULT_HEARTBEAT_INTERVAL

class RecordStream {
 public:
  void push(const nlohmann::json& event);
  // What was pushed before is still written.
  void end();
  // Writes until the stream is ended or its client is gone.
  void serve(const scheduler::WriteChunk& write);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> records_;
  bool ended_ = false;
};

}  // namespace zq::calibration
