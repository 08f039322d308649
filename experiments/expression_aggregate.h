// The part of the expression language that names signals and their labels. Private to
// expression.cpp.
#pragma once

#include <optional>

#include "agent/base/error.h"
#include "experiments/expression.h"
#include "experiments/expression_scanner.h"

namespace zq {

// < <= == != >= >, if one stands next.
std::optional<CompareOp> accept_comparator(ExpressionScanner& scan);

// What follows "sum(", "min(", "max(" or "count(", with the closing parenthesis.
Result<AggregateExpr> read_aggregate(ExpressionScanner& scan, AggregateOp op);

}  // namespace zq
