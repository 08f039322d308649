// sum, min, max and count over many series of which one changes at a time. Private to the judge.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "controller/judge/interval.h"
#include "controller/judge/program.h"

namespace zq {

// What a series contributes at an instant.
struct MemberState {
  // A series that has not begun is no member: until its first sample its observer did not know of
  // it, and an observer that could not see feeds a series that says so.
  bool begun = false;
  std::optional<double> value;
};

// A change costs the logarithm of the number of members, and the result does not depend on what was
// there before (a running sum would drift).
class AggregateTree {
 public:
  explicit AggregateTree(const ProgramAggregate& aggregate);

  // Sets a leaf without working out the inner nodes; build() does that for all of them.
  void prepare(std::size_t member, const MemberState& state);
  void build();
  void update(std::size_t member, const MemberState& state);

  // Values are never negative, so an unknown one lies in [0, unlimited). Nothing to look at at all
  // is everything(): silence is no evidence.
  [[nodiscard]] Interval value() const;

 private:
  struct Node {
    double sum = 0;
    double least = std::numeric_limits<double>::infinity();
    double greatest = -std::numeric_limits<double>::infinity();
    std::uint32_t counted = 0;
    std::uint32_t unknown = 0;
    std::uint32_t members = 0;
  };
  [[nodiscard]] Node leaf(const MemberState& state) const;
  void combine(std::size_t index);

  const ProgramAggregate& aggregate_;
  std::vector<Node> nodes_;  // children of i are 2i and 2i + 1; the leaves are the upper half
};

}  // namespace zq
