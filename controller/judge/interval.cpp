#include "controller/judge/interval.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>

namespace zq {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Infinite ends stand for "without limit" and are never reached: 0 x unlimited is 0, and so is the
// least of unlimited / unlimited, whose other values the other corners give.
double corner(double value) { return std::isnan(value) ? 0 : value; }

Interval hull(std::initializer_list<double> corners) {
  return Interval::between(std::min(corners), std::max(corners));
}

Interval calculate_two(ArithmeticOp op, Interval a, Interval b) {
  switch (op) {
    case ArithmeticOp::kAdd:
      return Interval::between(a.low + b.low, a.high + b.high);
    case ArithmeticOp::kSubtract:
      return Interval::between(a.low - b.high, a.high - b.low);
    case ArithmeticOp::kMultiply:
      return hull({corner(a.low * b.low), corner(a.low * b.high), corner(a.high * b.low),
                   corner(a.high * b.high)});
    case ArithmeticOp::kDivide:
      if (b.low <= 0 && b.high >= 0) return Interval::everything();
      return hull({corner(a.low / b.low), corner(a.low / b.high), corner(a.high / b.low),
                   corner(a.high / b.high)});
    case ArithmeticOp::kMin:
      return {std::min(a.low, b.low), std::min(a.high, b.high)};
    case ArithmeticOp::kMax:
      return {std::max(a.low, b.low), std::max(a.high, b.high)};
  }
  return Interval::everything();
}

}  // namespace

Interval Interval::point(double value) { return between(value, value); }

Interval Interval::everything() { return {-kInfinity, kInfinity}; }

Interval Interval::between(double low, double high) {
  // An overflow is no number either.
  if (std::isnan(low) || std::isnan(high) || low == kInfinity || high == -kInfinity) {
    return everything();
  }
  return {low, high};
}

bool Interval::is_everything() const { return low == -kInfinity && high == kInfinity; }

Interval calculate(ArithmeticOp op, std::span<const Interval> operands) {
  Interval result = operands.front();
  for (const Interval& operand : operands.subspan(1)) result = calculate_two(op, result, operand);
  return result;
}

Truth compare(CompareOp op, Interval left, Interval right) {
  const auto certain = [](bool yes, bool no) {
    if (yes) return Truth::kTrue;
    return no ? Truth::kFalse : Truth::kUnknown;
  };
  const bool apart = left.high < right.low || right.high < left.low;
  const bool same = left.is_point() && right.is_point() && left.low == right.low;
  switch (op) {
    case CompareOp::kLess:
      return certain(left.high < right.low, left.low >= right.high);
    case CompareOp::kLessEqual:
      return certain(left.high <= right.low, left.low > right.high);
    case CompareOp::kEqual:
      return certain(same, apart);
    case CompareOp::kNotEqual:
      return certain(apart, same);
    case CompareOp::kGreaterEqual:
      return certain(left.low >= right.high, left.high < right.low);
    case CompareOp::kGreater:
      return certain(left.low > right.high, left.high <= right.low);
  }
  return Truth::kUnknown;
}

bool compare(CompareOp op, double left, double right) {
  return compare(op, Interval{left, left}, Interval{right, right}) == Truth::kTrue;
}

CompareOp opposite(CompareOp op) {
  switch (op) {
    case CompareOp::kLess:
      return CompareOp::kGreaterEqual;
    case CompareOp::kLessEqual:
      return CompareOp::kGreater;
    case CompareOp::kEqual:
      return CompareOp::kNotEqual;
    case CompareOp::kNotEqual:
      return CompareOp::kEqual;
    case CompareOp::kGreaterEqual:
      return CompareOp::kLess;
    case CompareOp::kGreater:
      break;
  }
  return CompareOp::kLessEqual;
}

CompareOp mirrored(CompareOp op) {
  switch (op) {
    case CompareOp::kLess:
      return CompareOp::kGreater;
    case CompareOp::kLessEqual:
      return CompareOp::kGreaterEqual;
    case CompareOp::kGreaterEqual:
      return CompareOp::kLessEqual;
    case CompareOp::kGreater:
      return CompareOp::kLess;
    case CompareOp::kEqual:
    case CompareOp::kNotEqual:
      break;
  }
  return op;
}

}  // namespace zq
