// Numbers that are known only to lie somewhere, and what can be said about them for certain.
#pragma once

#include <cstdint>
#include <span>

#include "experiments/expression.h"

namespace zq {

// Ordered so that "and" is the smaller and "or" the greater of two.
enum class Truth : std::uint8_t { kFalse, kUnknown, kTrue };

// Closed; the ends may be infinite. What is not known at all lies in everything().
struct Interval {
  double low = 0;
  double high = 0;

  static Interval point(double value);
  static Interval everything();
  // [low, high], or everything() if that is no interval of numbers.
  static Interval between(double low, double high);

  [[nodiscard]] bool is_point() const { return low == high; }
  [[nodiscard]] bool is_everything() const;
};

// All values that the operation can have. Division by what may be zero gives everything().
[[nodiscard]] Interval calculate(ArithmeticOp op, std::span<const Interval> operands);

// True or false only if it is so for all values of both.
[[nodiscard]] Truth compare(CompareOp op, Interval left, Interval right);
[[nodiscard]] bool compare(CompareOp op, double left, double right);

[[nodiscard]] CompareOp opposite(CompareOp op);  // of "<": ">="
[[nodiscard]] CompareOp mirrored(CompareOp op);  // of "<": ">"

}  // namespace zq
