// The delay line's thread: reads frames from the TAP, gives each its time, sends it on when that
// has come, and says that it is alive. See delay_line.h for what it promises.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/unique_fd.h"
#include "agent/dataplane/delay_line.h"
#include "agent/dataplane/delay_line_counters.h"
#include "agent/dataplane/delay_line_draw.h"
#include "agent/dataplane/delay_line_pool.h"
#include "agent/dataplane/delay_line_reader.h"
#include "agent/dataplane/delay_line_uplink.h"
#include "agent/dataplane/tap.h"

namespace zq {

struct LineClasses {
  std::array<std::optional<LineDelay>, ZQ_CLASS_MASK + 1> by_id;
};

// Everything but run() and what it calls may be used by other threads while it runs.
class LineLoop {
 public:
  static Result<std::unique_ptr<LineLoop>> make(const DelayLine::Options& options);

  // Serves until request_stop(). On the thread that is to do it.
  void run();
  void request_stop();

  // Returns when the thread uses them, or no longer runs.
  void set_classes(std::unique_ptr<const LineClasses> classes);
  [[nodiscard]] const LineClasses& classes() const { return *classes_.back(); }
  [[nodiscard]] const LineCounters& counters() const { return counters_; }
  [[nodiscard]] const Tap& tap() const { return tap_; }
  [[nodiscard]] bool realtime() const { return realtime_; }
  [[nodiscard]] bool serving() const;

 private:
  LineLoop(Tap tap, FramePool pool, UniqueFd wake, int liveness_map_fd);
  void prepare_thread();
  void serve_once();
  bool read_frames();
  void accept_frame(std::int64_t now_ns);
  void stamp(std::int64_t now_ns);
  void write_stamp(std::int64_t until_ns) const;
  void wait(std::int64_t until_ns);
  [[nodiscard]] std::int64_t next_event_ns() const;

  // A frame's flow is one of so many by its hash; flows that share a place keep order among
  // themselves too.
  static constexpr std::size_t kFlowPlaces = 65536;

  Tap tap_;
  FramePool pool_;
  UniqueFd wake_;
  int liveness_map_fd_;
  LineReader reader_;
  LineCounters counters_;
  LineRandom random_;
  std::vector<LineUplink> uplinks_;
  std::vector<std::int64_t> flow_release_ns_;
  std::array<LineDrawState, ZQ_CLASS_MASK + 1> draws_{};
  std::uint64_t frames_ = 0;
  std::int64_t stamped_ns_ = 0;
  bool readable_ = true;
  const LineClasses* current_ = nullptr;

  std::vector<std::unique_ptr<const LineClasses>> classes_;  // the last one counts
  std::atomic<const LineClasses*> wanted_{nullptr}, used_{nullptr};
  std::atomic<bool> stop_{false}, running_{true}, gone_{false}, realtime_{false};
  std::atomic<std::int64_t> served_ns_{0};  // when the thread last looked at everything
};

}  // namespace zq
