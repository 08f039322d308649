// Between the probe engine and an Observe stream: passes on what changed, confirms what did not,
// and holds a bounded amount while the controller does not read.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <stop_token>
#include <string>

#include "agent.pb.h"
#include "agent/base/time.h"
#include "agent/probe/engine.h"

namespace zq {

class Observer {
 public:
  // Observations beyond `max_bytes` of bodies and errors are dropped and counted.
  explicit Observer(std::size_t max_bytes = 32U << 20);

  // News of the probe engine. Never blocks. False = an event of a stream that there is no room for:
  // it is not counted as dropped, because its stream begins anew and says so.
  bool add(zonequake::Observation observation, ProbeNews news = ProbeNews::kResult);
  // Forgets probes that are not in the set, so that they start anew when they come back.
  void keep_only(const zonequake::ProbeSet& set);
  // Waits until there is something to send or `stop` is requested; empty = stopped. At most about
  // a megabyte at a time, unless one observation is larger.
  [[nodiscard]] zonequake::ObservationBatch take(const std::stop_token& stop);

 private:
  struct Probe {
    zonequake::Observation sent;       // the last result handed on
    std::int64_t reported_at_ns = 0;   // the newest time that the controller knows of
    std::int64_t confirmed_at_ns = 0;  // to be confirmed; 0 = nothing
  };

  void confirm(Probe& probe, std::int64_t at_ns);
  void hand_on(Probe& probe, zonequake::Observation observation);

  const std::size_t max_bytes_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::map<std::string, Probe> probes_;
  std::deque<zonequake::Observation> waiting_;
  std::size_t waiting_bytes_ = 0;
  std::size_t confirmations_ = 0;  // probes with confirmed_at_ns
  std::uint64_t dropped_ = 0;
};

// Whether two results of a probe say the same about its target: times aside, and the wording of
// failures to reach it aside.
[[nodiscard]] bool says_the_same(const zonequake::Observation& a, const zonequake::Observation& b);

}  // namespace zq
