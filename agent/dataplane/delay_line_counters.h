// What the delay line's thread counts, and others read while it runs.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "agent/dataplane/bpf/gate_shared.h"

namespace zq {

// Written by one thread only, so that no locked instruction is needed.
class LineCounter {
 public:
  void add(std::uint64_t amount) { set(get() + amount); }
  void subtract(std::uint64_t amount) { set(get() - amount); }
  void set(std::uint64_t value) { value_.store(value, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

struct LineCounters {
  struct Class {
    LineCounter forwarded_packets, forwarded_bytes, held_packets;
  };
  LineCounter forwarded_packets, forwarded_bytes;
  LineCounter send_errors, send_retries, overflowed, held_packets, discarded;
  LineCounter worst_lateness_ns;
  std::array<Class, ZQ_CLASS_MASK + 1> classes;  // by class id
};

}  // namespace zq
