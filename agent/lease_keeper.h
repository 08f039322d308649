// Renews the gate's lease while it is right to do so: the controller's beats are fresh and nobody
// said stop. A lease that has lapsed is never renewed again (the kernel sees to that); the keeper
// only learns of it and says so.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "agent/base/error.h"
#include "agent/base/time.h"
#include "agent/dataplane/gate.h"

namespace zq {

class LeaseKeeper {
 public:
  // Makes the first renewal before it returns. Starting counts as a beat. `gate` outlives the
  // keeper.
  static Result<std::unique_ptr<LeaseKeeper>> start(Gate& gate, Nanos lease, Nanos orphan);
  ~LeaseKeeper();
  LeaseKeeper(const LeaseKeeper&) = delete;
  LeaseKeeper& operator=(const LeaseKeeper&) = delete;

  // The controller was heard of at that time.
  void beat(MonoTime at);
  [[nodiscard]] MonoTime last_beat() const;
  // When it returns, no renewal is under way and none will follow. Idempotent.
  void stop();
  // By the keeper's own knowledge, without asking the kernel.
  [[nodiscard]] bool held() const;
  // Why the lease was lost, if it was.
  [[nodiscard]] std::optional<std::string> failure() const;

 private:
  LeaseKeeper(Gate& gate, Nanos lease, Nanos orphan);
  Status renew();
  void run(const std::stop_token& stop);

  Gate& gate_;
  const Nanos lease_;
  const Nanos orphan_;
  std::atomic<std::int64_t> last_beat_ns_;
  std::atomic<std::int64_t> held_until_ns_{0};  // 0 = not held
  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  std::optional<std::string> failure_;
  std::jthread thread_;
};

}  // namespace zq
