#include "agent/lease_keeper.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>

namespace zq {

Result<std::unique_ptr<LeaseKeeper>> LeaseKeeper::start(Gate& gate, Nanos lease, Nanos orphan) {
  std::unique_ptr<LeaseKeeper> keeper(new LeaseKeeper(gate, lease, orphan));
  ZQ_CHECK(keeper->renew());
  keeper->thread_ =
      std::jthread([self = keeper.get()](const std::stop_token& stop) { self->run(stop); });
  return keeper;
}

LeaseKeeper::LeaseKeeper(Gate& gate, Nanos lease, Nanos orphan)
    : gate_(gate), lease_(lease), orphan_(orphan), last_beat_ns_(to_ns(mono_now())) {}

LeaseKeeper::~LeaseKeeper() { stop(); }

void LeaseKeeper::beat(MonoTime at) {
  std::int64_t known = last_beat_ns_.load();
  while (known < to_ns(at) && !last_beat_ns_.compare_exchange_weak(known, to_ns(at))) {
  }
}

MonoTime LeaseKeeper::last_beat() const { return mono_from_ns(last_beat_ns_.load()); }

void LeaseKeeper::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
  held_until_ns_ = 0;
}

bool LeaseKeeper::held() const { return to_ns(mono_now()) < held_until_ns_.load(); }

std::optional<std::string> LeaseKeeper::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

Status LeaseKeeper::renew() {
  const MonoTime before = mono_now();
  const std::int64_t held_until_ns = held_until_ns_.load();
  ZQ_TRY(const bool renewed, gate_.renew_lease(lease_));
  if (!renewed) {
    const Nanos late = before - mono_from_ns(held_until_ns);
    return fail(ErrorCode::kRefused,
                "lease lapsed: the agent could not renew it for {} ({} after its end); it was "
                "stopped, or the machine was too busy to run it",
                format_duration(lease_ + late), format_duration(std::max(late, Nanos{})));
  }
  held_until_ns_ = to_ns(before + lease_);
  return {};
}

void LeaseKeeper::run(const std::stop_token& stop) {
  // Helps on a busy machine; without the privilege the lease is just as safe, only easier to lose.
  sched_param priority{};
  priority.sched_priority = 1;
  (void)::pthread_setschedparam(::pthread_self(), SCHED_FIFO, &priority);
  const Nanos period = std::min<Nanos>(std::chrono::seconds(1), lease_ / 3);
  while (true) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, stop, period, [] { return false; });
    }
    if (stop.stop_requested()) return;
    if (mono_now() - last_beat() > orphan_) continue;
    if (auto renewed = renew(); !renewed) {
      held_until_ns_ = 0;
      const std::lock_guard lock(mutex_);
      failure_ = std::move(renewed).error().message;
      return;
    }
  }
}

}  // namespace zq
