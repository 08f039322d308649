#include "agent/dataplane/delay_line.h"

#include <thread>

#include "agent/dataplane/delay_line_thread.h"

namespace zq {

class DelayLine::Impl {
 public:
  explicit Impl(std::unique_ptr<LineLoop> made)
      : loop(std::move(made)), thread([this] { loop->run(); }) {}

  std::unique_ptr<LineLoop> loop;
  std::thread thread;
};

Result<std::unique_ptr<DelayLine>> DelayLine::start(const Options& options) {
  ZQ_TRY(auto loop, LineLoop::make(options));
  std::unique_ptr<DelayLine> line(new DelayLine(std::make_unique<Impl>(std::move(loop))));
  line->set_classes({});  // so that the thread runs when this returns
  return line;
}

DelayLine::DelayLine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DelayLine::~DelayLine() { stop(); }

void DelayLine::stop() {
  if (!impl_->thread.joinable()) return;
  impl_->loop->request_stop();
  impl_->thread.join();
}

void DelayLine::set_classes(const std::vector<QueueClass>& classes) {
  auto wanted = std::make_unique<LineClasses>();
  for (const QueueClass& queue : classes) {
    wanted->by_id[queue.id & ZQ_CLASS_MASK] = line_delay(queue.impairment);
  }
  impl_->loop->set_classes(std::move(wanted));
}

unsigned DelayLine::device_index() const { return impl_->loop->tap().index(); }

DelayLineStats DelayLine::stats() const {
  const LineCounters& counters = impl_->loop->counters();
  DelayLineStats stats;
  stats.forwarded_packets = counters.forwarded_packets.get();
  stats.forwarded_bytes = counters.forwarded_bytes.get();
  stats.send_errors = counters.send_errors.get();
  stats.send_retries = counters.send_retries.get();
  stats.overflowed = counters.overflowed.get() + impl_->loop->tap().dropped();
  stats.held_packets = counters.held_packets.get();
  stats.discarded = counters.discarded.get();
  stats.worst_lateness = Nanos(counters.worst_lateness_ns.get());
  stats.realtime = impl_->loop->realtime();
  stats.serving = impl_->loop->serving();
  return stats;
}

std::vector<DelayLine::ClassCount> DelayLine::class_counts() const {
  const LineCounters& counters = impl_->loop->counters();
  const LineClasses& classes = impl_->loop->classes();
  std::vector<ClassCount> counts;
  for (std::size_t id = 0; id < counters.classes.size(); ++id) {
    const LineCounters::Class& of_class = counters.classes[id];
    const ClassCount count{static_cast<std::uint16_t>(id), of_class.forwarded_packets.get(),
                           of_class.forwarded_bytes.get(), of_class.held_packets.get()};
    if (classes.by_id[id] || count.forwarded_packets != 0 || count.held_packets != 0) {
      counts.push_back(count);
    }
  }
  return counts;
}

}  // namespace zq
