// Traffic that goes on by itself, on a thread of its own, and is asked for reports.
#pragma once

#include <string>

namespace zq {

class RunningWorkload {
 public:
  RunningWorkload() = default;
  virtual ~RunningWorkload() = default;  // requests the stop and waits for the thread
  RunningWorkload(const RunningWorkload&) = delete;
  RunningWorkload& operator=(const RunningWorkload&) = delete;

  // JSON, as the probe's message says. Any thread, but one at a time.
  [[nodiscard]] virtual std::string report() = 0;
  // Of workloads that write: stops writing, keeps what was acknowledged, and reads back until that
  // succeeds. Any thread.
  virtual void read_back() {}
  virtual void request_stop() = 0;
  // The thread is done; destroying does not wait.
  [[nodiscard]] virtual bool finished() const = 0;
};

}  // namespace zq
