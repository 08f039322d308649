// Several impairments of the same packets as one.
#pragma once

#include "agent/base/error.h"
#include "agent/base/impairment.h"

namespace zq {

// What a packet meets that passes through both: delays and jitters add, losses and other shares are
// independent of each other, the lower rate holds. kInput, without a position: one queue cannot do
// both, with why.
Result<Impairment> combine(const Impairment& one, const Impairment& other);

}  // namespace zq
