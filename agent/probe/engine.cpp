#include "agent/probe/engine.h"

#include <google/protobuf/util/message_differencer.h>
#include <pthread.h>
#include <signal.h>

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "agent/base/time.h"
#include "agent/probe/attempt.h"
#include "agent/probe/bulk.h"
#include "agent/probe/event_stream.h"
#include "agent/probe/http.h"
#include "agent/probe/write.h"

namespace zq {
namespace {

using google::protobuf::util::MessageDifferencer;

constexpr Nanos kReportInterval = std::chrono::seconds(1);  // of workloads
constexpr Nanos kLongWait = std::chrono::seconds(60);
constexpr Nanos kMinAliveInterval = std::chrono::milliseconds(500);  // of streams
constexpr const char* kTooFast =
    "events came faster than they could be passed on: the stream is opened anew";

// What probes about, but the mode of a write probe: equal means the same workload goes on.
bool is_same_work(const zonequake::Probe& a, const zonequake::Probe& b) {
  zonequake::Probe a_writing = a;
  zonequake::Probe b_writing = b;
  if (a.has_write() && b.has_write()) {
    if (a.write().read_back() && !b.write().read_back()) return false;  // a new workload
    a_writing.mutable_write()->set_read_back(false);
    b_writing.mutable_write()->set_read_back(false);
  }
  return MessageDifferencer::Equals(a_writing, b_writing);
}

Nanos or_default(std::uint32_t ms) { return std::chrono::milliseconds(ms == 0 ? 1000 : ms); }

}  // namespace

class ProbeEngine::Impl {
 public:
  explicit Impl(Sink sink) : sink_(std::move(sink)), thread_([this] { run(); }) {}

  ~Impl() { stop(); }

  void set_probes(const zonequake::ProbeSet& set) {
    {
      const std::lock_guard lock(mutex_);
      wanted_ = set;
    }
    http_.wake();
  }

  void stop() {
    const std::lock_guard once(stop_mutex_);
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    http_.wake();
    if (thread_.joinable()) thread_.join();
  }

 private:
  struct Slot {
    zonequake::Probe probe;
    MonoTime next;     // start of the next attempt, or of the next report of a workload
    MonoTime started;  // of `attempt`
    std::unique_ptr<Attempt> attempt;
    std::unique_ptr<EventStream> stream;
    MonoTime alive_at;      // when to say next that the stream lives
    bool too_fast = false;  // the stream was closed for that, which is still to be told
    std::unique_ptr<RunningWorkload> workload;
  };

  void run() {
    // Signals are the daemon's business, on its own threads.
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    std::vector<DescriptorWait> waits;
    while (take_orders()) {
      start_due();
      http_.perform();
      MonoTime wake_at = mono_now() + kLongWait;
      waits.clear();
      for (auto& [id, slot] : slots_) {
        go_on(slot);
        if (slot.attempt) {
          slot.attempt->collect(waits);
          wake_at = std::min(wake_at, slot.started + or_default(slot.probe.timeout_ms()));
        } else if (slot.stream) {
          wake_at = std::min(wake_at, slot.stream->deadline());
          if (slot.stream->lives()) wake_at = std::min(wake_at, slot.alive_at);
        } else {
          wake_at = std::min(wake_at, slot.next);
        }
      }
      std::erase_if(retired_, [](const auto& workload) { return workload->finished(); });
      http_.wait(waits, wake_at);
    }
    for (auto& [id, slot] : slots_) retire(slot);
    slots_.clear();
    retired_.clear();  // joins
  }

  // Makes the wish of set_probes() true. False = stop.
  bool take_orders() {
    std::optional<zonequake::ProbeSet> wanted;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return false;
      wanted.swap(wanted_);
    }
    if (!wanted) return true;
    std::map<std::string, Slot> next;
    for (zonequake::Probe& probe : *wanted->mutable_probes()) {
      Slot& slot = next[probe.id()];
      if (auto old = slots_.extract(probe.id())) slot = std::move(old.mapped());
      const bool runs = slot.attempt || slot.workload || slot.stream || slot.next != MonoTime{};
      if (runs && is_same_work(slot.probe, probe)) {
        if (slot.workload && probe.write().read_back()) slot.workload->read_back();
        slot.probe = std::move(probe);
        continue;
      }
      retire(slot);
      slot = Slot{};
      slot.probe = std::move(probe);
      slot.next = mono_now();
    }
    for (auto& [id, slot] : slots_) retire(slot);
    slots_ = std::move(next);
    return true;
  }

  // A workload's thread may be in the middle of a call: it ends by itself, nobody waits for it
  // here.
  void retire(Slot& slot) {
    if (!slot.workload) return;
    slot.workload->request_stop();
    retired_.push_back(std::move(slot.workload));
  }

  void start_due() {
    for (auto& [id, slot] : slots_) {
      const MonoTime now = mono_now();
      if (slot.attempt || slot.workload || slot.stream || now < slot.next) continue;
      slot.started = now;
      try {
        start(slot);
      } catch (const std::exception& error) {  // out of threads, say
        slot.attempt = start_known(failed_result(error.what()));
      }
      // Start to start; after a late end at once, without making up for what was missed.
      const Nanos interval = slot.workload ? kReportInterval : or_default(slot.probe.interval_ms());
      slot.next = std::max(slot.next + interval, now);
    }
  }

  void start(Slot& slot) {
    if (slot.probe.has_stream()) {
      // What was lost must be told before anything new.
      if (slot.too_fast) slot.too_fast = !send_end(slot, slot.started, failed_result(kTooFast));
      if (slot.too_fast) return;
      slot.alive_at = {};
      slot.stream = std::make_unique<EventStream>(slot.probe.stream(),
                                                  or_default(slot.probe.timeout_ms()), http_);
      return;
    }
    if (!slot.probe.has_write() && !slot.probe.has_bulk()) {
      slot.attempt = start_attempt(slot.probe, http_);
      return;
    }
    Result<std::unique_ptr<RunningWorkload>> workload =
        slot.probe.has_write() ? start_write(slot.probe) : start_bulk(slot.probe.bulk());
    if (workload)
      slot.workload = std::move(*workload);
    else
      slot.attempt = start_known(failed_result(workload.error().message));
  }

  void go_on(Slot& slot) {
    const MonoTime now = mono_now();
    if (slot.workload) {
      if (now < slot.next) return;
      slot.next = std::max(slot.next + kReportInterval, now);
      report(slot, now,
             {.outcome = zonequake::Observation::ANSWER, .body = slot.workload->report()});
      return;
    }
    if (slot.stream) go_on_stream(slot, now);
    if (!slot.attempt) return;
    std::optional<ProbeResult> result = slot.attempt->advance();
    if (!result && now >= slot.started + or_default(slot.probe.timeout_ms()))
      result = slot.attempt->time_out();
    if (!result) return;
    slot.attempt.reset();
    report(slot, slot.started, std::move(*result));
  }

  void go_on_stream(Slot& slot, MonoTime now) {
    const MonoTime opened = slot.stream->opened();
    const Nanos interval = or_default(slot.probe.interval_ms());
    const auto close = [&] {
      slot.stream.reset();
      slot.next = now + interval;
    };
    for (StreamEvent& event : slot.stream->take_events()) {
      ProbeResult result{
          .outcome = zonequake::Observation::ANSWER, .status = 200, .body = std::move(event.body)};
      if (sink_(observe(slot, opened, event.at, std::move(result)), ProbeNews::kEvent)) continue;
      slot.too_fast = true;
      close();
      return;
    }
    if (std::optional<ProbeResult> end = slot.stream->end(now)) {
      // Also an end must not get lost.
      slot.too_fast = !send_end(slot, opened, std::move(*end));
      close();
    } else if (slot.stream->lives() && now >= slot.alive_at) {
      slot.alive_at = now + std::max(interval, kMinAliveInterval);
      zonequake::Observation alive;
      alive.set_probe(slot.probe.id());
      alive.set_at_mono_ns(to_ns(now));
      sink_(std::move(alive), ProbeNews::kAlive);
    }
  }

  bool send_end(const Slot& slot, MonoTime opened, ProbeResult end) {
    return sink_(observe(slot, opened, mono_now(), std::move(end)), ProbeNews::kEvent);
  }

  void report(const Slot& slot, MonoTime started, ProbeResult result) {
    sink_(observe(slot, started, mono_now(), std::move(result)), ProbeNews::kResult);
  }

  static zonequake::Observation observe(const Slot& slot, MonoTime started, MonoTime at,
                                        ProbeResult result) {
    zonequake::Observation observation;
    observation.set_probe(slot.probe.id());
    observation.set_at_mono_ns(to_ns(at));
    observation.set_outcome(result.outcome);
    observation.set_status(result.status);
    observation.set_body(std::move(result.body));
    observation.set_error(std::move(result.error));
    observation.set_took_ns((at - started).count());
    observation.mutable_headers()->insert(result.headers.begin(), result.headers.end());
    return observation;
  }

  const Sink sink_;
  HttpClient http_;

  std::mutex mutex_;  // guards the two below
  std::optional<zonequake::ProbeSet> wanted_;
  bool stopping_ = false;

  // The engine's thread only.
  std::map<std::string, Slot> slots_;
  std::vector<std::unique_ptr<RunningWorkload>> retired_;

  std::mutex stop_mutex_;
  std::thread thread_;  // last: everything it uses is there before it starts
};

ProbeEngine::ProbeEngine(Sink sink) : impl_(std::make_unique<Impl>(std::move(sink))) {}
ProbeEngine::~ProbeEngine() = default;
void ProbeEngine::set_probes(const zonequake::ProbeSet& set) { impl_->set_probes(set); }
void ProbeEngine::stop() { impl_->stop(); }

}  // namespace zq
