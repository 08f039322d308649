// Which sequence numbers have arrived, in a window that moves with the newest.
#pragma once

#include <bitset>
#include <cstdint>

namespace zq {

class SequenceWindow {
 public:
  enum class Arrival {
    kNewest,  // sent after everything that had arrived
    kLate,    // sent before something that had arrived, itself for the first time
    kAgain,
  };
  // One that is older than the window counts as late: whether it came before is no longer known.
  // 65,536 numbers are 3 s of the highest probe rate to one target, and minutes of common ones.
  Arrival take(std::uint64_t sequence) {
    if (!any_ || sequence > newest_) {
      advance(sequence);
      seen_.set(sequence % kSize);
      return Arrival::kNewest;
    }
    if (newest_ - sequence >= kSize) return Arrival::kLate;
    if (seen_.test(sequence % kSize)) return Arrival::kAgain;
    seen_.set(sequence % kSize);
    return Arrival::kLate;
  }

 private:
  static constexpr std::uint64_t kSize = 65'536;

  void advance(std::uint64_t sequence) {
    if (!any_ || sequence - newest_ >= kSize) {
      seen_.reset();
    } else {
      for (std::uint64_t n = newest_ + 1; n < sequence; ++n) seen_.reset(n % kSize);
    }
    any_ = true;
    newest_ = sequence;
  }

  bool any_ = false;
  std::uint64_t newest_ = 0;
  std::bitset<kSize> seen_;
};

}  // namespace zq
