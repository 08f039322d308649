#include "controller/judge/sweep.h"

#include <algorithm>
#include <cmath>

namespace zq {
namespace {

MonoTime expiry(const Series& series, const Segment& segment) {
  const Nanos room = MonoTime::max() - std::max(segment.last, MonoTime{});
  if (series.stale_after >= room) return MonoTime::max();
  return segment.last + series.stale_after + Nanos{1};
}

Measure measure(CompareOp op, Truth truth, Interval measured, Interval bound) {
  Measure result;
  result.exact = measured.is_point() && bound.is_point();
  // Which end of each side is the nearest to turning the comparison over?
  bool low = true;
  switch (op) {
    case CompareOp::kGreater:
    case CompareOp::kGreaterEqual:
      low = truth == Truth::kTrue;
      break;
    case CompareOp::kLess:
    case CompareOp::kLessEqual:
      low = truth == Truth::kFalse;
      break;
    case CompareOp::kEqual:
    case CompareOp::kNotEqual:
      low = measured.low >= bound.high;
      break;
  }
  result.measured = low ? measured.low : measured.high;
  result.bound = low ? bound.high : bound.low;
  const double distance = std::abs(result.measured - result.bound);
  result.margin = truth == Truth::kTrue ? distance : -distance;
  if (distance == 0) result.margin = 0;  // not "-0"
  return result;
}

bool less_margin(const Finding& a, const Finding& b) {
  if (!a.measure || !b.measure) return a.measure.has_value() && !b.measure.has_value();
  return a.measure->margin < b.measure->margin;
}

bool greater_margin(const Finding& a, const Finding& b) {
  if (!a.measure || !b.measure) return a.measure.has_value() && !b.measure.has_value();
  return a.measure->margin > b.measure->margin;
}

}  // namespace

MonoTime segment_end(const Series& series, std::size_t segment) {
  const MonoTime stale = expiry(series, series.segments[segment]);
  if (segment + 1 == series.segments.size()) return stale;
  return std::min(stale, series.segments[segment + 1].from);
}

Sweep::Sweep(const Program& program, std::span<const Series> series, MonoTime from)
    : program_(program), now_(from), numbers_(program.numbers.size()) {
  conditions_.resize(program.conditions.size());
  trees_.reserve(program.aggregates.size());
  for (std::size_t i = 0; i < program.aggregates.size(); ++i) {
    AggregateTree& tree = trees_.emplace_back(program.aggregates[i]);
    const auto& members = program.aggregates[i].members;
    for (std::size_t member = 0; member < members.size(); ++member) {
      Cursor cursor{i, member, &series[members[member]], 0, false};
      const auto& segments = cursor.series->segments;
      const auto begun = std::upper_bound(
          segments.begin(), segments.end(), from,
          [](MonoTime instant, const Segment& segment) { return instant < segment.from; });
      cursor.next_segment = static_cast<std::size_t>(begun - segments.begin());
      cursor.stale = cursor.next_segment > 0 &&
                     expiry(*cursor.series, segments[cursor.next_segment - 1]) <= from;
      tree.prepare(member, state(cursor));
      const MonoTime next = next_change(cursor);
      if (next != MonoTime::max()) heap_.emplace_back(next, cursors_.size());
      cursors_.push_back(cursor);
    }
    tree.build();
  }
  std::ranges::make_heap(heap_, std::greater{});
}

MemberState Sweep::state(const Cursor& cursor) {
  if (cursor.next_segment == 0) return {};
  if (cursor.stale) return {true, std::nullopt};
  return {true, cursor.series->segments[cursor.next_segment - 1].value};
}

MonoTime Sweep::next_change(const Cursor& cursor) {
  const auto& segments = cursor.series->segments;
  MonoTime next = MonoTime::max();
  if (cursor.next_segment > 0 && !cursor.stale) {
    next = expiry(*cursor.series, segments[cursor.next_segment - 1]);
  }
  if (cursor.next_segment < segments.size()) {
    next = std::min(next, segments[cursor.next_segment].from);
  }
  return next;
}

MonoTime Sweep::next_change() const {
  return heap_.empty() ? MonoTime::max() : heap_.front().first;
}

void Sweep::advance() {
  now_ = next_change();
  while (!heap_.empty() && heap_.front().first <= now_) {
    std::ranges::pop_heap(heap_, std::greater{});
    auto& [time, index] = heap_.back();
    Cursor& cursor = cursors_[index];
    const auto& segments = cursor.series->segments;
    const bool next_begins =
        cursor.next_segment < segments.size() && segments[cursor.next_segment].from <= time;
    if (next_begins) ++cursor.next_segment;
    cursor.stale = !next_begins;
    trees_[cursor.aggregate].update(cursor.member, state(cursor));
    time = next_change(cursor);
    if (time == MonoTime::max()) {
      heap_.pop_back();
    } else {
      std::ranges::push_heap(heap_, std::greater{});
    }
  }
}

void Sweep::work_out_numbers() {
  for (std::size_t i = 0; i < numbers_.size(); ++i) {
    const ProgramNumber& number = program_.numbers[i];
    if (const auto* constant = std::get_if<Interval>(&number)) {
      numbers_[i] = *constant;
    } else if (const auto* aggregate = std::get_if<AggregateRef>(&number)) {
      numbers_[i] = trees_[aggregate->index].value();
    } else {
      const auto& arithmetic = std::get<ProgramArithmetic>(number);
      operands_.clear();
      for (const std::size_t operand : arithmetic.operands) operands_.push_back(numbers_[operand]);
      numbers_[i] = calculate(arithmetic.op, operands_);
    }
  }
}

Interval Sweep::number() {
  work_out_numbers();
  return numbers_.back();
}

Finding Sweep::compare_now(std::size_t index) const {
  const ProgramComparison& comparison = program_.comparisons[index];
  const Interval measured = numbers_[comparison.measured];
  const Interval bound = numbers_[comparison.bound];
  Finding result{compare(comparison.op, measured, bound), index, std::nullopt};
  if (result.truth != Truth::kUnknown) {
    result.measure = measure(comparison.op, result.truth, measured, bound);
  }
  return result;
}

Finding Sweep::join(const ProgramJoint& joint) const {
  Truth truth = joint.all ? Truth::kTrue : Truth::kFalse;
  for (const std::size_t operand : joint.operands) {
    truth = joint.all ? std::min(truth, conditions_[operand].truth)
                      : std::max(truth, conditions_[operand].truth);
  }
  const Finding* decides = nullptr;
  for (const std::size_t operand : joint.operands) {
    const Finding& finding = conditions_[operand];
    if (finding.truth != truth) continue;
    const bool better = decides == nullptr || (joint.all ? less_margin(finding, *decides)
                                                         : greater_margin(finding, *decides));
    if (better) decides = &finding;
  }
  return *decides;
}

Finding Sweep::evaluate() {
  work_out_numbers();
  for (std::size_t i = 0; i < conditions_.size(); ++i) {
    const ProgramCondition& condition = program_.conditions[i];
    const auto* comparison = std::get_if<ComparisonRef>(&condition);
    conditions_[i] = comparison != nullptr ? compare_now(comparison->index)
                                           : join(std::get<ProgramJoint>(condition));
  }
  return conditions_.back();
}

void for_each_run(const Program& program, std::span<const Series> series, MonoTime from,
                  MonoTime until, const std::function<bool(const Run&)>& visit) {
  if (from >= until) return;
  Sweep sweep(program, series, from);
  std::optional<Run> run;
  for (MonoTime now = from;;) {
    const Finding finding = sweep.evaluate();
    const MonoTime next = std::min(sweep.next_change(), until);
    if (run && run->first.truth != finding.truth) {
      run->until = now;
      if (!visit(*run)) return;
      run.reset();
    }
    if (!run) run = Run{now, now, finding, finding, now, finding, now};
    if (less_margin(finding, run->worst)) {
      run->worst = finding;
      run->worst_at = now;
    }
    if (greater_margin(finding, run->best)) {
      run->best = finding;
      run->best_at = now;
    }
    if (next >= until) break;
    sweep.advance();
    now = next;
  }
  run->until = until;
  visit(*run);
}

}  // namespace zq
