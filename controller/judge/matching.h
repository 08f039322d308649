// Which series an aggregate is about. Private to the judge.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "controller/judge/judge.h"
#include "experiments/expression.h"
#include "experiments/signal.h"

namespace zq {

// Indices of the matching series. A label that a series lacks is the empty word. A bare word that
// names a selection stands for any of its members.
[[nodiscard]] std::vector<std::uint32_t> matching_series(const AggregateExpr& aggregate,
                                                         const JudgeContext& context,
                                                         std::span<const Series> series);

}  // namespace zq
