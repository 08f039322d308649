// The asks of one border in the order in which a node's kernel goes through them.
#pragma once

#include <cstddef>
#include <unordered_map>
#include <vector>

#include "controller/plan/asks.h"
#include "controller/plan/plan.h"

namespace zq {

// Plan::impairments, in which equal ones are one.
class ImpairmentTable {
 public:
  std::size_t add(const Impairment& impairment);
  std::vector<Impairment> take() { return std::move(impairments_); }

 private:
  std::vector<Impairment> impairments_;
  std::unordered_multimap<std::size_t, std::size_t> by_hash_;
};

// Segments as ProgrammeEntry has them, without a limit on their number. Impairments that meet in
// time and packets are combined: a narrower scope gets its own and that of everything. kInput, with
// both positions: two that cannot be combined, or two scopes of which a packet can be in both,
// neither of them everything.
Result<std::vector<FaultSegment>> flatten(const std::vector<Ask>& asks, ImpairmentTable& table);

// When nothing at all passes, as ProgrammeEntry::windows says it.
[[nodiscard]] std::vector<Window> cut_windows(const std::vector<FaultSegment>& segments);

}  // namespace zq
