// Runs the probes of a ProbeSet and hands every result on. One instance per Observe stream or per
// agent; cheap to start, everything happens on its own thread (write and bulk probes have one more
// each).
#pragma once

#include <functional>
#include <memory>

#include "agent.pb.h"

namespace zq {

enum class ProbeNews {
  kResult,  // of an attempt; of no interest when it equals the one before
  kEvent,   // of a stream, or its end: each counts, equal or not
  kAlive,   // a stream lives; only the probe's id and the time are set
};

class ProbeEngine {
 public:
  // Returns whether the news was taken. Only an event that was not has consequences: its stream is
  // closed, that is told when news are taken again, and then the stream is opened anew.
  using Sink = std::function<bool(zonequake::Observation, ProbeNews)>;

  // `sink` gets one result at a time, always from the engine's own thread, in the order in which
  // the results came about (at_mono_ns is not decreasing per probe). It must not block for long
  // (every probe waits for it) and must not call the engine back. No call begins after stop().
  explicit ProbeEngine(Sink sink);
  ~ProbeEngine();  // stop()
  ProbeEngine(const ProbeEngine&) = delete;
  ProbeEngine& operator=(const ProbeEngine&) = delete;

  // Makes `set.probes()` what runs, by id: unchanged probes go on undisturbed, changed ones
  // restart, missing ones stop (what is under way is dropped without a result). A probe runs at
  // once and then every interval_ms, measured start to start, never overlapping itself; a result
  // always comes within timeout_ms and a small slack. 0 stands for the defaults: interval 1000,
  // timeout 1000. A probe that cannot be made (bad URL, unknown kind, path too long) yields FAILED
  // at its interval. A write or bulk probe gives a report once a second; a change of its read_back
  // from false to true switches the mode and keeps the acknowledged set, while one that starts with
  // read_back has nothing to compare with and is FAILED. Of two probes with the same id the last
  // one counts. Any thread; returns before the change has taken effect.
  void set_probes(const zonequake::ProbeSet& set);

  // Stops all probes, kills what exec probes started, joins. Idempotent. Not from the sink. Well
  // under a second, but up to three where the session of a ZooKeeper workload must be closed.
  void stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace zq
