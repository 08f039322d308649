#include "controller/plan/combine.h"

#include <algorithm>

namespace zq {

namespace {

using Kind = LossModel::Kind;

double either(double one, double other) { return 1 - (1 - one) * (1 - other); }

bool is_plain(const LossModel& loss) {
  return loss.kind == Kind::kRandom && loss.parameters[1] == 0;
}

Result<LossModel> combine_losses(const LossModel& one, const LossModel& other) {
  if (one.kind == Kind::kNone) return other;
  if (other.kind == Kind::kNone) return one;
  const bool first_plain = is_plain(one);
  if (!first_plain && !is_plain(other)) {
    return fail(ErrorCode::kInput, "both lose packets by a model with a memory");
  }
  LossModel both = first_plain ? other : one;
  const double share = first_plain ? one.parameters[0] : other.parameters[0];
  switch (both.kind) {
    case Kind::kRandom:
      if (!is_plain(both)) {
        return fail(ErrorCode::kInput, "one loses packets with a correlation, the other without");
      }
      both.parameters[0] = either(both.parameters[0], share);
      return both;
    case Kind::kGilbertElliott:
      both.parameters[2] = either(both.parameters[2], share);
      both.parameters[3] = either(both.parameters[3], share);
      return both;
    default:
      return fail(ErrorCode::kInput, "one loses packets by the 4-state model, the other too");
  }
}

}  // namespace

Result<Impairment> combine(const Impairment& one, const Impairment& other) {
  Impairment both = one.jitter > Nanos{0} ? one : other;  // for the shape of the jitter
  const Impairment& rest = one.jitter > Nanos{0} ? other : one;
  if (rest.jitter > Nanos{0} &&
      (both.distribution != rest.distribution || both.table != rest.table ||
       both.delay_correlation != rest.delay_correlation)) {
    return fail(ErrorCode::kInput, "their jitters differ in distribution or correlation");
  }
  both.delay += rest.delay;
  both.jitter += rest.jitter;
  ZQ_TRY(both.loss, combine_losses(one.loss, other.loss));
  both.duplicate = either(one.duplicate, other.duplicate);
  both.corrupt = either(one.corrupt, other.corrupt);
  both.reorder = either(one.reorder, other.reorder);
  both.rate_bps = one.rate_bps == 0 || other.rate_bps == 0 ? std::max(one.rate_bps, other.rate_bps)
                                                           : std::min(one.rate_bps, other.rate_bps);
  ZQ_CHECK(check(both));
  return both;
}

}  // namespace zq
