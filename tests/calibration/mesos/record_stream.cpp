#include "tests/calibration/mesos/record_stream.h"

#include "agent/base/time.h"

namespace zq::calibration {

using nlohmann::json;

void RecordStream::push(const json& event) {
  const auto text = event.dump();
  const std::lock_guard lock(mutex_);
  if (!ended_) records_.push_back(std::to_string(text.size()) + "\n" + text);
  changed_.notify_all();
}

void RecordStream::end() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

void RecordStream::serve(const scheduler::WriteChunk& write) {
  for (;;) {
    std::string bytes;
    {
      std::unique_lock lock(mutex_);
      const bool any = changed_.wait_for(lock, from_seconds(kHeartbeatSeconds),
                                         [this] { return ended_ || !records_.empty(); });
      if (!any) {
        const std::string heartbeat = json{{"type", "HEARTBEAT"}}.dump();
        bytes = std::to_string(heartbeat.size()) + "\n" + heartbeat;
      }
      for (; !records_.empty(); records_.pop_front()) bytes += records_.front();
      if (bytes.empty()) return;
    }
    if (!write(bytes)) return;
  }
}

}  // namespace zq::calibration
