#include "tests/calibration/scheduler/event_hub.h"

#include "agent/base/time.h"

namespace zq::scheduler {

using nlohmann::json;

namespace {

// Marathon's --event_stream_max_outstanding_messages; a slower client is cut off there too.
constexpr std::size_t kMaxWaiting = 1024;
constexpr auto kHeartbeat = std::chrono::seconds(10);

}  // namespace

void EventHub::publish(const std::string& type, const json& event) {
  const auto text = "event: " + type + "\ndata: " + event.dump() + "\n\n";
  const std::lock_guard lock(mutex_);
  for (const auto& subscriber : subscribers_) {
    if (!subscriber->types.empty() && !subscriber->types.contains(type)) continue;
    if (subscriber->waiting.size() >= kMaxWaiting) {
      subscriber->overrun = true;
    } else {
      subscriber->waiting.push_back(text);
    }
  }
  arrived_.notify_all();
}

void EventHub::serve(const std::set<std::string>& types, const std::string& remote,
                     const WriteChunk& write) {
  const auto self = std::make_shared<Subscriber>();
  self->types = types;
  {
    const std::lock_guard lock(mutex_);
    subscribers_.push_back(self);
  }
  const auto tell = [&](const char* type) {
    publish(type, {{"remoteAddress", remote},
                   {"eventType", type},
                   {"timestamp", format_wall(wall_now_ns())}});
  };
  tell("event_stream_attached");
  for (bool goes_on = true; goes_on;) {
    std::deque<std::string> ready;
    {
      std::unique_lock lock(mutex_);
      arrived_.wait_for(lock, kHeartbeat, [&] { return !self->waiting.empty() || self->overrun; });
      ready.swap(self->waiting);
      goes_on = !self->overrun;
    }
    if (ready.empty() && goes_on) goes_on = write("\n");
    for (const auto& text : ready) {
      if (!goes_on) break;
      goes_on = write(text);
    }
  }
  {
    const std::lock_guard lock(mutex_);
    subscribers_.remove(self);
  }
  tell("event_stream_detached");
}

}  // namespace zq::scheduler
