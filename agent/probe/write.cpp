#include "agent/probe/write.h"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>
#include <vector>

namespace zq {
namespace {

using nlohmann::json;

constexpr const char* kNameStart = "w-";
constexpr std::size_t kMaxLostKeys = 100;  // listed by name; all are counted
constexpr Nanos kReadRetry = std::chrono::milliseconds(200);
constexpr int kCleanTries = 3;

std::string random_word() {
  std::random_device device;
  return fmt::format("{:08x}", device());
}

class Workload : public RunningWorkload {
 public:
  Workload(std::unique_ptr<WriteTarget> target, std::stop_source stop, Nanos interval)
      : target_(std::move(target)),
        interval_(interval),
        own_start_(fmt::format("{}{}-", kNameStart, random_word())),
        stop_(std::move(stop)),
        thread_([this] { run(); }) {}

  ~Workload() override {
    request_stop();
    thread_.join();
  }

  void read_back() override {
    const std::lock_guard lock(mutex_);
    reading_ = true;
    changed_.notify_all();
  }

  void request_stop() override { stop_.request_stop(); }
  [[nodiscard]] bool finished() const override { return finished_; }

  [[nodiscard]] std::string report() override {
    const std::lock_guard lock(mutex_);
    const MonoTime second_ago = mono_now() - std::chrono::seconds(1);
    const auto recent =
        std::ranges::count_if(recent_, [second_ago](MonoTime time) { return time > second_ago; });
    json report = {{"attempted", acknowledged_.size()},
                   {"acknowledged", std::ranges::count(acknowledged_, true)},
                   {"failed", failed_},
                   {"acknowledged_in_last_s", recent},
                   {"last_error", last_error_},
                   {"first_ack_mono_ns", first_ack_ns_},
                   {"last_ack_mono_ns", last_ack_ns_},
                   {"read_back", read_back_done_}};
    if (read_back_done_) {
      report["lost"] = lost_;
      report["lost_keys"] = lost_keys_;
      report["unexpected"] = unexpected_;
      report["cleaned"] = cleaned_;
    }
    return report.dump(-1, ' ', false, json::error_handler_t::replace);
  }

 private:
  void run() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    for (MonoTime next = mono_now(); wait_until(next, true);
         next = std::max(next + interval_, mono_now()))
      write_one();
    while (!stop_.stop_requested() && !read_all()) wait_until(mono_now() + kReadRetry, false);
    for (int i = 0; i < kCleanTries && !stop_.stop_requested() && !clean(); ++i)
      wait_until(mono_now() + kReadRetry, false);
    target_.reset();
    finished_ = true;
  }

  // False: not to go on, because of a stop or (if asked for) because it is time to read back.
  bool wait_until(MonoTime time, bool while_writing) {
    std::unique_lock lock(mutex_);
    const bool reading = changed_.wait_until(lock, stop_.get_token(), time,
                                             [&] { return while_writing && reading_; });
    return !reading && !stop_.stop_requested();
  }

  [[nodiscard]] std::string name_of(std::size_t sequence) const {
    return fmt::format("{}{:010}", own_start_, sequence);
  }
  static std::string value_of(const std::string& name) { return "zonequake " + name; }

  void write_one() {
    std::size_t sequence = 0;
    {
      const std::lock_guard lock(mutex_);
      sequence = acknowledged_.size();
      acknowledged_.push_back(false);
    }
    const std::string name = name_of(sequence);
    const Status written = target_->put(name, value_of(name));
    const MonoTime now = mono_now();
    const std::lock_guard lock(mutex_);
    if (!written) {
      ++failed_;
      last_error_ = written.error().message;
      return;
    }
    acknowledged_[sequence] = true;
    last_ack_ns_ = to_ns(now);
    if (first_ack_ns_ == 0) first_ack_ns_ = last_ack_ns_;
    recent_.push_back(now);
    while (recent_.front() < now - std::chrono::seconds(2)) recent_.pop_front();
  }

  bool read_all() {
    const auto found = target_->read(own_start_);
    const std::lock_guard lock(mutex_);
    if (!found) {
      last_error_ = "read back: " + found.error().message;
      return false;
    }
    for (std::size_t sequence = 0; sequence < acknowledged_.size(); ++sequence) {
      const std::string name = name_of(sequence);
      const auto entry = found->find(name);
      const bool present = entry != found->end() && entry->second == value_of(name);
      if (present && !acknowledged_[sequence]) ++unexpected_;
      if (present || !acknowledged_[sequence]) continue;
      ++lost_;
      if (lost_keys_.size() < kMaxLostKeys) lost_keys_.push_back(name);
    }
    read_back_done_ = true;
    return true;
  }

  // Also what an earlier workload under this prefix left, for instance one of an agent that died.
  bool clean() {
    const Status cleaned = target_->clean(kNameStart);
    const std::lock_guard lock(mutex_);
    cleaned_ = cleaned.has_value();
    if (!cleaned) last_error_ = "clean: " + cleaned.error().message;
    return cleaned_;
  }

  std::unique_ptr<WriteTarget> target_;  // the thread's
  const Nanos interval_;
  const std::string
      own_start_;  // unique, so that a workload never takes another's keys for its own
  std::stop_source stop_;
  std::atomic<bool> finished_{false};

  mutable std::mutex mutex_;  // guards all below
  std::condition_variable_any changed_;
  bool reading_ = false;
  std::vector<bool> acknowledged_;  // by sequence number; its size is what was attempted
  std::uint64_t failed_ = 0;
  std::deque<MonoTime> recent_;  // acknowledgements of the last two seconds
  std::string last_error_;
  std::int64_t first_ack_ns_ = 0;
  std::int64_t last_ack_ns_ = 0;
  bool read_back_done_ = false;
  std::uint64_t lost_ = 0;
  std::uint64_t unexpected_ = 0;  // not acknowledged, yet there: may be either way, never lost
  std::vector<std::string> lost_keys_;
  bool cleaned_ = false;

  std::thread thread_;  // last: everything it uses is there before it starts
};

}  // namespace

Result<std::unique_ptr<RunningWorkload>> start_write(const zonequake::Probe& probe) {
  const zonequake::WriteProbe& write = probe.write();
  const auto or_second = [](std::uint32_t ms) {
    return std::chrono::milliseconds(ms == 0 ? 1000 : ms);
  };
  if (write.prefix().size() < 2 || !write.prefix().starts_with('/'))
    return fail(ErrorCode::kInput,
                "a write probe needs a prefix of its own that begins with '/', not '{}'",
                write.prefix());
  // "Nothing lost" would be a lie: what was acknowledged is known to the writing workload alone.
  if (write.read_back())
    return fail(ErrorCode::kNotFound, "there is no workload under {} to read back on this agent",
                write.prefix());
  std::stop_source stop;
  WriteTargetOptions options{.endpoint = write.endpoint(),
                             .prefix = write.prefix(),
                             .timeout = or_second(probe.timeout_ms()),
                             .stop = stop.get_token()};
  std::unique_ptr<WriteTarget> target;
  if (write.kind() == "etcd") {
    ZQ_TRY(target, open_etcd(std::move(options)));
  } else if (write.kind() == "zookeeper") {
    ZQ_TRY(target, open_zookeeper(std::move(options)));
  } else if (write.kind() == "redis-sentinel") {
    ZQ_TRY(target, open_redis_sentinel(std::move(options)));
  } else {
    return fail(ErrorCode::kInput,
                "a write probe knows 'etcd', 'redis-sentinel' and 'zookeeper', not '{}'",
                write.kind());
  }
  return std::make_unique<Workload>(std::move(target), std::move(stop),
                                    or_second(probe.interval_ms()));
}

}  // namespace zq
