// What a programme must be, and how it is told to the kernel.
#pragma once

#include <cstdint>
#include <vector>

#include "agent/base/error.h"
#include "agent/base/time.h"
#include "agent/dataplane/bpf/gate_shared.h"
#include "agent/dataplane/gate_rule.h"

namespace zq {

// kInput: rules or impairments that contradict themselves. `groups` is how many there are.
Status check_programme(const GateProgramme& programme, std::uint32_t groups);

// Where a segment's loss and duplication are, and the queue that it goes through; 0 = none.
struct SegmentLinks {
  std::uint32_t chance = 0;  // 1 + key in zq_chances
  std::uint16_t queue = 0;   // class id
};

// The kernel's form of one rule. `links` are those of its segments, in their order; the evidence of
// segment i has the key evidence_first + i. Segments end at `end` at the latest, those that begin
// after it are left out.
[[nodiscard]] zq_programme_entry kernel_entry(const GateRule& rule,
                                              const std::vector<SegmentLinks>& links,
                                              std::uint32_t evidence_slot,
                                              std::uint32_t evidence_first, MonoTime end);

// Thresholds of an impairment's loss and duplication.
[[nodiscard]] zq_chance kernel_chance(const Impairment& impairment);
[[nodiscard]] inline bool has_chance(const Impairment& impairment) {
  return impairment.duplicate > 0 || impairment.loss.kind != LossModel::Kind::kNone;
}

}  // namespace zq
