#include "controller/judge/aggregate_tree.h"

#include <algorithm>
#include <cmath>

namespace zq {

AggregateTree::AggregateTree(const ProgramAggregate& aggregate)
    : aggregate_(aggregate), nodes_(std::max<std::size_t>(2, 2 * aggregate.members.size())) {}

AggregateTree::Node AggregateTree::leaf(const MemberState& state) const {
  Node node;
  if (!state.begun || (aggregate_.known && !state.value)) return node;
  node.members = 1;
  if (!state.value || std::isnan(*state.value)) {
    node.unknown = 1;
    return node;
  }
  const auto& filter = aggregate_.filter;
  if (filter && !compare(filter->first, *state.value, filter->second)) return node;
  node.sum = node.least = node.greatest = *state.value;
  node.counted = 1;
  return node;
}

void AggregateTree::combine(std::size_t index) {
  const Node& a = nodes_[2 * index];
  const Node& b = nodes_[2 * index + 1];
  nodes_[index] =
      Node{a.sum + b.sum,         std::min(a.least, b.least), std::max(a.greatest, b.greatest),
           a.counted + b.counted, a.unknown + b.unknown,      a.members + b.members};
}

void AggregateTree::prepare(std::size_t member, const MemberState& state) {
  nodes_[aggregate_.members.size() + member] = leaf(state);
}

void AggregateTree::build() {
  for (std::size_t i = aggregate_.members.size(); i-- > 1;) combine(i);
}

void AggregateTree::update(std::size_t member, const MemberState& state) {
  prepare(member, state);
  for (std::size_t i = (aggregate_.members.size() + member) / 2; i >= 1; i /= 2) combine(i);
}

Interval AggregateTree::value() const {
  const double unlimited = std::numeric_limits<double>::infinity();
  const Node& root = nodes_[1];
  if (root.members == 0) return Interval::everything();
  const bool sure = root.unknown == 0;
  // With a filter an unknown member may be none, and the least of nothing is no number.
  const bool maybe_empty = root.counted == 0 && (sure || aggregate_.filter.has_value());
  switch (aggregate_.op) {
    case AggregateOp::kCount:
      return {static_cast<double>(root.counted), static_cast<double>(root.counted) + root.unknown};
    case AggregateOp::kSum:
      return Interval::between(root.sum, sure ? root.sum : unlimited);
    case AggregateOp::kMin:
      if (maybe_empty) return Interval::everything();
      return Interval::between(sure ? root.least : std::min(0.0, root.least), root.least);
    case AggregateOp::kMax:
      if (maybe_empty) return Interval::everything();
      return Interval::between(sure ? root.greatest : std::max(0.0, root.greatest),
                               sure ? root.greatest : unlimited);
  }
  return Interval::everything();
}

}  // namespace zq
