// Exit codes (DESIGN part 8).
#pragma once

#include <algorithm>
#include <array>

#include "agent/base/error.h"
#include "results/store.h"

namespace zq {

inline constexpr int kExitPassed = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUndecided = 2;  // invalid or inconclusive
inline constexpr int kExitAborted = 3;
inline constexpr int kExitBadInput = 64;
inline constexpr int kExitInternal = 70;

[[nodiscard]] inline int exit_code_of(RunVerdict verdict) {
  switch (verdict) {
    case RunVerdict::kPassed:
      return kExitPassed;
    case RunVerdict::kFailed:
      return kExitFailed;
    case RunVerdict::kAborted:
    case RunVerdict::kInterrupted:
      return kExitAborted;
    default:
      return kExitUndecided;
  }
}

[[nodiscard]] inline int exit_code_of(const Error& error) {
  switch (error.code) {
    case ErrorCode::kInput:
    case ErrorCode::kNotFound:
    case ErrorCode::kExists:
    case ErrorCode::kRefused:
      return kExitBadInput;
    case ErrorCode::kCancelled:
      return kExitAborted;
    default:
      return kExitInternal;
  }
}

// Several runs exit with the worst: 70, 3, 1, 2, 0 in this order.
[[nodiscard]] inline int worse_exit_code(int a, int b) {
  constexpr std::array kOrder{kExitInternal, kExitBadInput,  kExitAborted,
                              kExitFailed,   kExitUndecided, kExitPassed};
  return *std::min(
      {std::find(kOrder.begin(), kOrder.end(), a), std::find(kOrder.begin(), kOrder.end(), b)});
}

}  // namespace zq
